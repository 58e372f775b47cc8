import zoneinfo
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from apikeys.actors import person_actor
from audit.actors import ANONYMOUS


class PersonMiddleware:
    """Gives each request its `actor`, and shows times in the zone of the person."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        person = request.user
        request.actor = SimpleLazyObject(  # type: ignore[attr-defined]
            lambda: person_actor(person) if person.is_authenticated else ANONYMOUS
        )
        if not person.is_authenticated:
            return self.get_response(request)
        with timezone.override(zoneinfo.ZoneInfo(person.time_zone)):
            return self.get_response(request)
