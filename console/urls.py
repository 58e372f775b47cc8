from django.urls import include, path

from console import health, views

console_urls = [path("", views.overview, name="overview")]

handler429 = "console.people.throttle.too_many_requests"
urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("", include((console_urls, "console"))),
    path("", include("console.people.urls")),
    path("", include("agents.urls")),
    path("api-keys/", include("apikeys.urls")),
    path("audit/", include("audit.urls")),
]
