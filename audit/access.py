"""Who may read the audit log, review it, and say where else it goes."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from audit.actors import Actor

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

READ = "audit:get"
REVIEW = "audit:review"
MANAGE = "audit:manage"
_ONLY = {
    READ: "Only Auditors and Administrators may read the audit log.",
    REVIEW: "Only Auditors and Administrators may review events.",
    MANAGE: "Only Administrators may say where the audit log goes and how long it is kept.",
}


class AuditRequest(HttpRequest):
    """A request of somebody who has the right that its page needs."""

    actor: Actor
    htmx: "HtmxDetails"


type Page[**P] = Callable[Concatenate[AuditRequest, P], HttpResponseBase]
type View[**P] = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def require(actor: Actor, right: str) -> None:
    """Raises PermissionDenied, which says who may."""
    if right not in actor.rights:
        raise PermissionDenied(_ONLY[right])


def only_with[**P](right: str) -> Callable[[Page[P]], View[P]]:
    """A person without the right gets the 403 page; somebody not signed in is asked to, except by live.js."""

    def decorate(view: Page[P]) -> View[P]:
        @wraps(view)
        def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            reader = cast(AuditRequest, request)
            require(reader.actor, right)
            return view(reader, *args, **kwargs)

        asking = login_required(checked)

        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            htmx = cast(AuditRequest, request).htmx
            if not request.user.is_authenticated and htmx and htmx.target == "live":
                return HttpResponse("You are signed out.\n", content_type="text/plain", status=401)
            return asking(request, *args, **kwargs)

        return guarded

    return decorate


#: For pages that show events.
readers_only = only_with(READ)
