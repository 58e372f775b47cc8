"""Who may read the audit log."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, cast

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from audit.actors import Actor

RIGHT = "audit:get"


class AuditRequest(HttpRequest):
    """A request of somebody who may read the audit log."""

    actor: Actor


def readers_only[**P](
    view: Callable[Concatenate[AuditRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """A person without the right gets the 403 page; somebody not signed in is asked to."""

    @wraps(view)
    def checked(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        reader = cast(AuditRequest, request)
        if RIGHT not in reader.actor.rights:
            raise PermissionDenied("Only Auditors and Administrators may read the audit log.")
        return view(reader, *args, **kwargs)

    return login_required(checked)
