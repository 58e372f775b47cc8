from django.urls import path

from audit import proof_views, views

app_name = "audit"
urlpatterns = [
    path("", views.event_list, name="list"),
    path("<int:sequence>/", views.event_detail, name="event"),
    path("newer/", views.newer_events, name="newer"),
    path("searches/", views.save, name="save-search"),
    path("searches/<int:pk>/remove/", views.remove, name="remove-search"),
    path("proof/", proof_views.proof, name="proof"),
    path("proof/check/", proof_views.check, name="check"),
    path("proof/checkpoint/", proof_views.checkpoint, name="checkpoint"),
    path("proof/audit-public-key.pem", proof_views.public_key, name="public_key"),
    path("proof/verify_audit.py", proof_views.verifier, name="verifier"),
    path("proof/keep/", proof_views.keep, name="keep"),
    path("proof/hold/", proof_views.hold, name="hold"),
    path("proof/release/", proof_views.release, name="release"),
]
