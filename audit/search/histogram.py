"""How what was found spreads over time: a bar for each stretch of time, in the reader's zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from django.utils import timezone

from audit.models import Event
from audit.search.bits import CHUNK
from audit.search.find import Found, first_since

MOST_BARS = 60
_MINUTE, _DAY = timedelta(minutes=1), timedelta(days=1)
#: Below a day: so many minutes, counted from midnight.
_MINUTES = (1, 5, 15, 30, 60, 180, 360, 720)
#: From a day on: so many days from a Monday on, or so many months from a January on.
_DAYS, _MONTHS = (1, 7), (1, 3, 12, 60)


@dataclass(frozen=True)
class Bar:
    begin: datetime
    end: datetime
    count: int


def histogram(found: Found) -> list[Bar]:
    """Bars from the oldest to the newest event found; none where nothing was found.

    Bars go by the order of the chain, so that where a clock was set back an event may count in the bar beside its own.
    """
    limits = _limits(found)
    if limits is None:
        return []
    edges = _edges(*limits)
    end = (max(found.bits) + 1) * CHUNK
    numbers = [0]
    for number in first_since(edges[1:-1]):
        numbers.append(max(numbers[-1], end if number is None else number))
    counts = found.counts([*numbers, end])
    return [Bar(begin, end, count) for (begin, end), count in zip(pairwise(edges), counts, strict=True)]


def _limits(found: Found) -> tuple[datetime, datetime] | None:
    newest, oldest = next(found.newest(), None), next(found.oldest(0), None)
    times = Event.objects.filter(sequence__in=[newest, oldest]).values_list("at", flat=True) if newest else []
    return (min(times), max(times)) if times else None


def _edges(begin: datetime, end: datetime) -> list[datetime]:
    """So that the last one is later than `end`."""
    length = end - begin
    for minutes in _MINUTES:
        if length < minutes * _MINUTE * (MOST_BARS - 1):
            return _until(end, _by_minutes(begin, minutes))
    for days in _DAYS:
        if length < days * _DAY * (MOST_BARS - 1):
            return _until(end, _by_days(begin, days))
    for months in _MONTHS:
        if length < months * 30 * _DAY * (MOST_BARS - 1):
            break
    return _until(end, _by_months(begin, months))


def _until(end: datetime, edges: Iterator[datetime]) -> list[datetime]:
    found = [next(edges)]
    while found[-1] <= end:
        found.append(next(edges))
    return found


def _by_minutes(begin: datetime, minutes: int) -> Iterator[datetime]:
    step, midnight = minutes * _MINUTE, _midnight(timezone.localtime(begin).date())
    edge = midnight + (begin - midnight) // step * step
    while True:
        yield edge
        edge += step


def _by_days(begin: datetime, days: int) -> Iterator[datetime]:
    day = timezone.localtime(begin).date()
    day -= timedelta(days=day.weekday() if days == 7 else 0)
    while True:
        yield _midnight(day)
        day += timedelta(days=days)


def _by_months(begin: datetime, months: int) -> Iterator[datetime]:
    local = timezone.localtime(begin)
    month = (local.year * 12 + local.month - 1) // months * months
    while True:
        yield _midnight(date(month // 12, month % 12 + 1, 1))
        month += months


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime(day.year, day.month, day.day)).astimezone(UTC)
