"""Pages that follow along: one token says all that could have changed; unchanged means 304 before anything is loaded.

`static/console/live.js` asks a page's own URL again and again with `If-None-Match`. The token is made of the newest
audit event, of what is shown of every source (each reading changes that), of who looks and of the address. It is taken
before the page's own queries, so that what changes meanwhile costs one look too many and is never missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b
from typing import Any, Concatenate

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers

from agents.clock import database_now
from agents.freshness import ShownSource, sources_with_states
from apikeys.pages import PageRequest, View
from audit.models import Head

#: Between two looks while something that is shown is in motion.
IN_MOTION_SECONDS = 1


@dataclass(frozen=True)
class Live:
    """What the page says of itself to live.js."""

    etag: str
    seconds: float


@dataclass(frozen=True)
class Look:
    """One look at a page that follows along: `sources` and `also` were loaded for the token anyway."""

    request: PageRequest
    etag: str
    sources: list[ShownSource]
    also: Any

    def render(self, template: str, context: dict[str, Any], *, in_motion: bool, status: int = 200) -> HttpResponse:
        """The page, or to live.js only the part of it that changes."""
        seconds = IN_MOTION_SECONDS if in_motion else settings.CONSOLE_LIVE_SECONDS
        part = "#live" if is_look(self.request) else ""
        shown = {**context, "live": Live(self.etag, seconds)}
        return render(self.request, template + part, shown, status=status)

    def source(self, pk: int) -> ShownSource:
        """Raises Http404 where one may not see it."""
        for each in self.sources:
            if each.source.pk == pk:
                return each
        raise Http404


def is_look(request: PageRequest) -> bool:
    """Whether live.js asks, and not a person who opens the page."""
    return bool(request.htmx) and request.htmx.target == "live"


type LiveView[**P] = Callable[Concatenate[PageRequest, Look, P], HttpResponse]


def follows[**P](*, also: Callable[[], object] = lambda: None) -> Callable[[LiveView[P]], View[P]]:
    """A page that live.js follows; `also` is what else it shows that changes without an event or a reading."""

    def decorate(view: LiveView[P]) -> View[P]:
        @wraps(view)
        def looked_at(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            look = _look(request, also())
            response = get_conditional_response(request, etag=look.etag) or view(request, look, *args, **kwargs)
            if response.status_code in (200, 304):
                response["ETag"] = look.etag
            # Not kept anywhere: it may carry messages meant for once, and live.js keeps the token itself.
            response["Cache-Control"] = "no-store"
            patch_vary_headers(response, ["HX-Request", "HX-Target", "Cookie"])
            return response

        return looked_at

    return decorate


def _look(request: PageRequest, also: object) -> Look:
    newest_event = Head.objects.values_list("sequence", flat=True).get()
    rights = request.actor.rights
    sources = [each for each in sources_with_states(database_now()) if each.kind.right_to_see in rights]
    seen = (
        newest_event,
        [(each.source.pk, each.freshness, each.source.failures) for each in sources],
        _who_looks(request),
        request.get_full_path(),
        timezone.localdate(),
        also,
    )
    return Look(request, f'"{blake2b(repr(seen).encode(), digest_size=16).hexdigest()}"', sources, also)


def _who_looks(request: HttpRequest) -> tuple[object, ...]:
    rights = sorted(request.actor.rights)  # type: ignore[attr-defined]
    return request.user.pk, rights, timezone.get_current_timezone_name()
