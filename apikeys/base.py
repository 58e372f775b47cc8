"""What all API views share."""

from typing import ClassVar
from uuid import UUID

from rest_framework.request import Request
from rest_framework.views import APIView

from apikeys.checking import LiveKey
from audit.actors import Actor


class KeyRequest(Request):
    """A request of a key that was let in."""

    auth: LiveKey
    actor: Actor
    operation_token: UUID


class ApiView(APIView):
    """A view declares `scopes`, and nothing else of what concerns keys."""

    scopes: ClassVar[dict[str, str]] = {}
    http_method_names = ["get", "head", "post", "patch"]
