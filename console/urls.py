from django.urls import include, path, re_path

from apikeys.errors import no_such_path
from console import api_docs, health, views
from console.metrics import Metrics

console_urls = [path("", views.overview, name="overview")]

handler429 = "console.people.throttle.too_many_requests"
urlpatterns = [
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("metrics", Metrics.as_view(), name="metrics"),
    path("health/", health.page, name="health"),
    path("", include((console_urls, "console"))),
    path("", include("console.people.urls")),
    path("", include("agents.urls")),
    path("bridge/", include("bridge.urls")),
    path("api-keys/", include("apikeys.urls")),
    path("audit/", include("audit.urls")),
    path("api/v2/", include("agents.webconnect.urls")),
    path("api/console/v1/", include("agents.api_urls")),
    path("api/console/v1/", include("bridge.api_urls")),
    path("api/console/v1/", include("apikeys.api_urls")),
    path("api/console/v1/audit/", include("audit.api_urls")),
    path("api/console/v1/audit/", include("apikeys.audit_api_urls")),
    path("api/schema/", api_docs.schema, name="api-schema"),
    path("api/docs/", api_docs.docs, name="api-docs"),
    re_path(r"^api(?:/|$)", no_such_path),
]
