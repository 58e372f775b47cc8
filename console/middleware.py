import zoneinfo
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from apikeys.actors import person_actor
from apikeys.pages import not_allowed
from apikeys.rights import NotAllowed
from audit.actors import ANONYMOUS

if TYPE_CHECKING:
    from console.models import User


class PersonMiddleware:
    """Gives each request its `actor`, shows times in the zone of the person, and says which right is lacking."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        person = request.user
        request.actor = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: person_actor(person) if person.is_authenticated else ANONYMOUS
        )
        if not person.is_authenticated:
            return self.get_response(request)
        with timezone.override(_zone_of(person)):
            return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return not_allowed(request, exception) if isinstance(exception, NotAllowed) else None


def _zone_of(person: "User") -> zoneinfo.ZoneInfo:
    """UTC where the machine does not know the zone (any more): a page must not fail for it."""
    try:
        return zoneinfo.ZoneInfo(person.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")
