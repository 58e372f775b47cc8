from django.urls import path

from agents.webconnect import api

app_name = "webconnect-api"
urlpatterns = [
    path("agent/status", api.Status.as_view(), name="status"),
    path("agent/status/<str:direction>", api.StatusOfDirection.as_view(), name="status-of-direction"),
    path("agent/disconnection", api.Disconnect.as_view(), name="disconnection"),
]
