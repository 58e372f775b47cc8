"""What every answer below /api/ has: how the key stands with its limit, no keeping, and CORS where it is allowed.

CORS is these few lines and not a dependency: one list of origins, no cookies, the same methods and headers everywhere.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from apikeys.throttling import Rate

_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PATCH",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, Prefer, X-Reason",
    "Access-Control-Max-Age": "600",
}
_EXPOSED = (
    "Location, Retry-After, Preference-Applied, Idempotency-Replayed, WWW-Authenticate, X-RateLimit-Limit, "
    "X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-ID"
)


class ApiMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith("/api/"):
            return self.get_response(request)
        response = HttpResponse(status=204) if _is_preflight(request) else self.get_response(request)
        rate: Rate | None = getattr(request, "rate", None)
        for name, value in rate.headers.items() if rate else ():
            response[name] = value
        response.headers.setdefault("Cache-Control", "no-store")
        if settings.CONSOLE_API_ORIGINS:
            _allow(request, response)
        return response


def _is_preflight(request: HttpRequest) -> bool:
    return (
        request.method == "OPTIONS"
        and "Access-Control-Request-Method" in request.headers
        and request.headers.get("Origin") in settings.CONSOLE_API_ORIGINS
    )


def _allow(request: HttpRequest, response: HttpResponse) -> None:
    patch_vary_headers(response, ["Origin"])
    origin = request.headers.get("Origin")
    if origin not in settings.CONSOLE_API_ORIGINS:
        return
    response["Access-Control-Allow-Origin"] = origin
    response["Access-Control-Expose-Headers"] = _EXPOSED
    if request.method == "OPTIONS":
        for name, value in _ALLOWED.items():
            response[name] = value
