from django.urls import include, path

from console import health, views

console_urls = [path("", views.overview, name="overview")]

urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("", include((console_urls, "console"))),
    path("accounts/", include("allauth.account.urls")),
    path("", include("agents.urls")),
    path("audit/", include("audit.urls")),
]
