from django.urls import path

from bridge import api

app_name = "bridge-api"
urlpatterns = [
    path("bridges", api.Bridges.as_view(), name="bridges"),
    path("bridges/disconnections", api.BridgeDisconnections.as_view(), name="disconnections"),
    path("bridges/disconnections/<uuid:pk>/cancel", api.CancelBridgeDisconnection.as_view(), name="cancel"),
    path("bridges/<int:pk>", api.OneBridge.as_view(), name="bridge"),
    path("bridges/<int:pk>/address", api.Address.as_view(), name="address"),
    path("bridges/<int:pk>/agents", api.DesktopAgents.as_view(), name="agents"),
    path("private-channels", api.PrivateChannels.as_view(), name="private-channels"),
    path("private-channels/<int:pk>/<slug:key>", api.OnePrivateChannel.as_view(), name="private-channel"),
]
