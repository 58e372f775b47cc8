from django.urls import path

from agents import api

app_name = "agents-api"
urlpatterns = [
    path("sessions", api.Sessions.as_view(), name="sessions"),
    path("sessions/<int:pk>", api.Session.as_view(), name="session"),
    path("sources", api.Sources.as_view(), name="sources"),
    path("sources/<int:pk>", api.OneSource.as_view(), name="source"),
    path("operations", api.Operations.as_view(), name="operations"),
    path("operations/<uuid:pk>", api.OneOperation.as_view(), name="operation"),
    path("operations/<uuid:pk>/cancel", api.CancelOperation.as_view(), name="cancel-operation"),
    path("disconnections", api.Disconnections.as_view(), name="disconnections"),
    path("disconnections/<uuid:pk>", api.OneDisconnection.as_view(), name="disconnection"),
    path("disconnections/<uuid:pk>/cancel", api.CancelDisconnection.as_view(), name="cancel-disconnection"),
]
