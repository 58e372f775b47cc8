from django.urls import path

from audit import proof_views, views
from audit.exports import views as exports
from audit.reviews import views as reviews
from audit.streams import views as sinks

app_name = "audit"
urlpatterns = [
    path("", views.event_list, name="list"),
    path("<int:sequence>/", views.event_detail, name="event"),
    path("review/", reviews.review, name="review"),
    path("exports/", exports.export_list, name="exports"),
    path("exports/<uuid:pk>/", exports.export, name="export"),
    path("exports/<uuid:pk>/file", exports.download, name="download_export"),
    path("exports/<uuid:pk>/end/", exports.end, name="end_export"),
    path("sinks/", sinks.sink_list, name="sinks"),
    path("sinks/add/", sinks.add, name="add_sink"),
    path("sinks/<uuid:pk>/", sinks.sink, name="sink"),
    path("sinks/<uuid:pk>/edit/", sinks.edit, name="edit_sink"),
    path("sinks/<uuid:pk>/test/", sinks.test, name="test_sink"),
    path("sinks/<uuid:pk>/pause/", sinks.pause, name="pause_sink"),
    path("sinks/<uuid:pk>/resume/", sinks.resume, name="resume_sink"),
    path("sinks/<uuid:pk>/secret/", sinks.replace_secret, name="replace_sink_secret"),
    path("sinks/<uuid:pk>/remove/", sinks.remove, name="remove_sink"),
    path("proof/", proof_views.proof, name="proof"),
    path("proof/check/", proof_views.check, name="check"),
    path("proof/checkpoint/", proof_views.checkpoint, name="checkpoint"),
    path("proof/audit-public-key.pem", proof_views.public_key, name="public_key"),
    path("proof/verify_audit.py", proof_views.verifier, name="verifier"),
    path("proof/keep/", proof_views.keep, name="keep"),
    path("proof/hold/", proof_views.hold, name="hold"),
    path("proof/release/", proof_views.release, name="release"),
    path("newer/", views.newer_events, name="newer"),
    path("searches/", views.save, name="save-search"),
    path("searches/<int:pk>/remove/", views.remove, name="remove-search"),
]
