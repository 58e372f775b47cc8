from django.urls import path

from audit import api

app_name = "audit-api"
urlpatterns = [
    path("events", api.Events.as_view(), name="events"),
    path("summary", api.Summary.as_view(), name="summary"),
    path("events/<int:sequence>", api.OneEvent.as_view(), name="event"),
]
