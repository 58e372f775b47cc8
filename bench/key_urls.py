"""`GET /api/v2/agent/status` as it is, and the same view behind other keys, and behind none."""

from importlib.util import find_spec
from typing import Any

from django.urls import path
from rest_framework.authentication import TokenAuthentication
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from agents.webconnect.api import Status, _page, sessions_of
from agents.webconnect.parameters import list_parameters
from apikeys.checking import LiveKey

EVERYTHING = LiveKey(0, "", 0, None, frozenset(), frozenset(), frozenset(), True, 1)


class WithoutKey(Status):
    authentication_classes: Any = []
    permission_classes: Any = []
    throttle_classes: Any = []

    def get(self, request: Any) -> Response:
        return Response(_page(sessions_of(EVERYTHING), list_parameters(request.query_params)))


class WithToken(WithoutKey):
    authentication_classes: Any = [TokenAuthentication]
    permission_classes: Any = [IsAuthenticated]


urlpatterns = [
    path("ours", Status.as_view()),
    path("none", WithoutKey.as_view()),
    path("token", WithToken.as_view()),
]

if find_spec("rest_framework_api_key"):
    from rest_framework_api_key.permissions import HasAPIKey

    class WithApiKey(WithoutKey):
        permission_classes: Any = [HasAPIKey]

    urlpatterns.append(path("api-key", WithApiKey.as_view()))

if find_spec("knox"):
    from knox.auth import TokenAuthentication as KnoxAuthentication

    class WithKnox(WithoutKey):
        authentication_classes: Any = [KnoxAuthentication]
        permission_classes: Any = [IsAuthenticated]

    urlpatterns.append(path("knox", WithKnox.as_view()))
