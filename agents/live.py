"""Pages that follow sources and sessions along, as `audit.following` has it.

The token is made of the newest audit event, of what is shown of every source (each reading changes that), of who looks
and of the address.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase

from agents.clock import database_now
from agents.freshness import ShownSource, sources_with_states
from apikeys.pages import PageRequest, View
from audit import following


@dataclass(frozen=True)
class Look:
    """One look at a page that follows along: `sources` and `also` were loaded for the token anyway."""

    request: PageRequest
    etag: str
    sources: list[ShownSource]
    also: Any

    def render(self, template: str, context: dict[str, Any], *, in_motion: bool, status: int = 200) -> HttpResponse:
        """The page, or to live.js only the part of it that changes."""
        return following.show(self.request, self.etag, template, context, in_motion=in_motion, status=status)

    def source(self, pk: int) -> ShownSource:
        """Raises Http404 where one may not see it."""
        for each in self.sources:
            if each.source.pk == pk:
                return each
        raise Http404


type LiveView[**P] = Callable[Concatenate[PageRequest, Look, P], HttpResponse]


def follows[**P](*, also: Callable[[], object] = lambda: None) -> Callable[[LiveView[P]], View[P]]:
    """A page that live.js follows; `also` is what else it shows that changes without an event or a reading."""

    def decorate(view: LiveView[P]) -> View[P]:
        @wraps(view)
        def looked_at(request: PageRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            look = _look(request, also())
            return following.follow(request, look.etag, lambda: view(request, look, *args, **kwargs))

        return looked_at

    return decorate


def _look(request: PageRequest, also: object) -> Look:
    rights = request.actor.rights
    sources = [each for each in sources_with_states(database_now()) if each.kind.right_to_see in rights]
    seen = [(each.source.pk, each.freshness, each.source.failures) for each in sources]
    return Look(request, following.token(request, seen, also), sources, also)
