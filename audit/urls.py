from django.urls import path

from audit import views

app_name = "audit"
urlpatterns = [
    path("", views.event_list, name="list"),
    path("<int:sequence>/", views.event_detail, name="event"),
    path("newer/", views.newer_events, name="newer"),
    path("searches/", views.save, name="save-search"),
    path("searches/<int:pk>/remove/", views.remove, name="remove-search"),
]
