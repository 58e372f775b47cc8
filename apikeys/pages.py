"""What stands before a page: who may see it, and whether they have confirmed lately that it is them."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, cast

from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.reauthentication import is_reauthentication_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRedirect

from apikeys.rights import NotAllowed, Right, require

if TYPE_CHECKING:
    from django_htmx.middleware import HtmxDetails

    from audit.actors import Actor

logger = logging.getLogger(__name__)


class PageRequest(HttpRequest):
    """A request as the middleware hands it to a view."""

    actor: "Actor"
    htmx: "HtmxDetails"


type View[**P] = Callable[Concatenate[PageRequest, P], HttpResponseBase]


def require_sign_in[**P](view: View[P]) -> View[P]:
    """Anybody signed in; somebody who is not is asked to."""

    @wraps(view)
    def guarded(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return _ask_to_sign_in(request)
        return view(request, *args, **kwargs)

    return guarded


def require_right[**P](right: Right) -> Callable[[View[P]], View[P]]:
    """Only people with this right; to others a page says which it is."""

    def decorate(view: View[P]) -> View[P]:
        @require_sign_in
        @wraps(view)
        def guarded(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            require(request.actor, right)
            return view(request, *args, **kwargs)

        return guarded

    return decorate


def require_confirmation[**P](view: View[P]) -> View[P]:
    """A POST asks for the password first where it was last given more than `ACCOUNT_REAUTHENTICATION_TIMEOUT` ago.

    What was posted waits meanwhile and is carried out afterwards, except for uploaded files. It goes below
    `require_right`.
    """
    return cast(View[P], reauthentication_required(view, allow_get=True))


def has_confirmed(request: PageRequest) -> bool:
    """Whether the password was given lately.

    A view that takes secrets asks for itself: what waits for `require_confirmation` lies in the session, in plain text.
    """
    return not is_reauthentication_required(request, app="")


def not_allowed(request: HttpRequest, error: NotAllowed) -> HttpResponse:
    """The page that a `NotAllowed` from anywhere below becomes (`console.middleware`)."""
    logger.warning("%s %s: %s", request.method, request.path, error)
    return render(request, "not_allowed.html", {"right": error.right}, status=403)


def _ask_to_sign_in(request: PageRequest) -> HttpResponse:
    """For htmx the whole page goes to the sign-in, instead of the sign-in into a part of the page.

    A page that follows along is told only that it is signed out: what it shows stays, with a link to sign in again.
    """
    if request.htmx and request.htmx.target == "live":
        return HttpResponse("You are signed out.\n", content_type="text/plain", status=401)
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    seen: Any = request.htmx.current_url_abs_path
    return HttpResponseClientRedirect(redirect_to_login(seen or "/").url)
