"""API keys for the REST framework: `Authorization: Bearer ac_…`."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from apikeys import use
from apikeys.checking import BadKey, LiveKey, authenticate
from apikeys.refusals import refuse_bad_key
from audit.context import authenticated_by
from audit.middleware import client_address

#: The same for unknown, expired, paused, revoked and all the rest; the audit log knows which it was.
OUTWARDLY = "This API key is not accepted. Check that it is complete; whoever manages keys can see why."


class ApiKeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the `LiveKey` and `request.actor` to its actor; None where no key was sent."""

    def authenticate(self, request: Request) -> tuple[Any, LiveKey] | None:
        scheme, _, text = get_authorization_header(request).partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        at, address = timezone.now(), client_address(request._request)
        try:
            key = authenticate(text.strip().decode("latin-1"), address=address, at=at)
        except BadKey as bad:
            wait = refuse_bad_key(bad, address=address, at=at)
            if wait:
                raise Throttled(wait, detail="Too many requests with bad API keys came from this address.") from None
            raise AuthenticationFailed(OUTWARDLY) from None
        authenticated_by("API key")
        request._request.actor = key.actor  # type: ignore[attr-defined]
        use.count(key.pk, endpoint_of(request._request))
        return key, key

    def authenticate_header(self, request: Request) -> str:
        sent = scheme_of(request) == b"bearer"
        return 'Bearer realm="Agent Console"' + (', error="invalid_token"' if sent else "")


def scheme_of(request: Request) -> bytes:
    return get_authorization_header(request).partition(b" ")[0].lower()


def endpoint_of(request: HttpRequest) -> str:
    """Method and pattern of the path: bounded, and without anything that the caller made up."""
    match = request.resolver_match
    return f"{request.method} /{match.route if match else ''}"[:120]
