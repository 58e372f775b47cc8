from django.urls import path

from apikeys import api

app_name = "apikeys-api"
urlpatterns = [
    path("scopes", api.Scopes.as_view(), name="scopes"),
    path("api-keys", api.Keys.as_view(), name="keys"),
    path("api-keys/<int:pk>", api.Key.as_view(), name="key"),
    path("api-keys/<int:pk>/pause", api.PauseKey.as_view(), name="pause"),
    path("api-keys/<int:pk>/resume", api.ResumeKey.as_view(), name="resume"),
    path("api-keys/<int:pk>/revoke", api.RevokeKey.as_view(), name="revoke"),
    path("api-keys/<int:pk>/rotate", api.RotateKey.as_view(), name="rotate"),
    path("api-keys/<int:pk>/end-overlap", api.EndOverlap.as_view(), name="end-overlap"),
]
