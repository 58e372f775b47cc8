from django.urls import path

from agents import api

app_name = "agents-api"
urlpatterns = [
    path("disconnections/<uuid:pk>", api.OneDisconnection.as_view(), name="disconnection"),
]
