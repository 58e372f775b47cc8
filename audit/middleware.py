from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from audit.context import RequestContext, new_request_id, request_context


def client_address(request: HttpRequest) -> str:
    """The caller's address; from X-Forwarded-For only as far as `CONSOLE_TRUSTED_PROXIES` proxies can vouch for it."""
    proxies: int = settings.CONSOLE_TRUSTED_PROXIES
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    if proxies and len(forwarded) >= proxies:
        return forwarded[-proxies]
    return str(request.META.get("REMOTE_ADDR", ""))


class AuditContextMiddleware:
    """Gives each request an ID of its own and lets every event of it carry address and user agent."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        context = RequestContext(
            request_id=new_request_id(),
            address=client_address(request)[:64],
            user_agent=request.headers.get("User-Agent", "")[:200],
            authentication="session" if request.user.is_authenticated else "",
        )
        with request_context(context):
            response = self.get_response(request)
        response["X-Request-ID"] = context.request_id
        return response
