from django.urls import include, path

from console import views

console_urls = [path("", views.overview, name="overview")]

handler429 = "console.people.throttle.too_many_requests"
urlpatterns = [
    path("", include((console_urls, "console"))),
    path("", include("console.people.urls")),
    path("", include("agents.urls")),
    path("audit/", include("audit.urls")),
]
