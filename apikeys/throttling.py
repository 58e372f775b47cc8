"""Requests a minute of a key, over all web processes together, without a write for each request.

A process takes a twentieth of the minute's allowance at a time, by one conditional UPDATE of the key's row, and uses
that up by itself; near the limit it takes one by one. So a key never gets more than its limit in one minute of the
clock; what a process took and did not use is given to nobody else in that minute.
"""

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apikeys import use
from apikeys.authentication import endpoint_of
from apikeys.checking import LiveKey
from apikeys.models import ApiKey

_PORTIONS = 20
#: Keys whose portions are remembered before those of past minutes are forgotten.
_MOST_REMEMBERED = 1_000


@dataclass
class _Portion:
    minute: int
    left: int
    #: Of all processes, as the database said when this one took its last.
    taken: int


@dataclass(frozen=True)
class Rate:
    """How a key stands with its limit; `remaining` leaves out what other processes took since."""

    limit: int
    remaining: int
    seconds_left: int

    @property
    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.seconds_left),
        }


_portions: dict[int, _Portion] = {}
_lock = threading.Lock()


def take(key: LiveKey, at: datetime) -> tuple[bool, Rate]:
    """Whether the key may have one more request in this minute, and how it then stands."""
    minute = int(at.timestamp()) // 60
    seconds_left = 60 - int(at.timestamp()) % 60
    with _lock:
        portion = _portions.get(key.pk)
        if portion is None or portion.minute != minute:
            _forget_past(minute)
            portion = _portions[key.pk] = _Portion(minute, 0, 0)
        if not portion.left:
            _take_portion(portion, key)
        taken = portion.left > 0
        portion.left -= taken
    remaining = max(0, key.requests_per_minute - portion.taken + portion.left)
    return taken, Rate(key.requests_per_minute, remaining if taken else 0, seconds_left)


def _take_portion(portion: _Portion, key: LiveKey) -> None:
    minute, limit = portion.minute, key.requests_per_minute
    for wanted in dict.fromkeys([max(1, limit // _PORTIONS), 1]):
        fresh = Q(rate_minute__lt=minute)
        free = ApiKey.objects.filter(fresh | Q(rate_taken__lte=limit - wanted), pk=key.pk)
        taken = Case(When(fresh, then=Value(wanted)), default=F("rate_taken") + wanted)
        if free.update(rate_minute=minute, rate_taken=taken):
            portion.left = wanted
            portion.taken = ApiKey.objects.values_list("rate_taken", flat=True).get(pk=key.pk)
            return


def _forget_past(minute: int) -> None:
    if len(_portions) >= _MOST_REMEMBERED:
        for pk in [pk for pk, portion in _portions.items() if portion.minute != minute]:
            del _portions[pk]


class KeyThrottle(BaseThrottle):
    """429 past the key's requests a minute. Leaves the `Rate` on the request, for `rate_headers`."""

    def allow_request(self, request: Request, view: Any) -> bool:
        key = request.auth
        if not isinstance(key, LiveKey):
            return True
        allowed, rate = take(key, timezone.now())
        request._request.rate = rate  # type: ignore[attr-defined]
        if not allowed:
            self.seconds = rate.seconds_left
            use.count_refused(key.pk, endpoint_of(request._request))
        return allowed

    def wait(self) -> float:
        return self.seconds


def rate_headers(request: Request) -> dict[str, str]:
    """For the answer; nothing where no key was let in."""
    rate: Rate | None = getattr(request._request, "rate", None)
    return rate.headers if rate else {}
