"""The manual's common query parameters, in its ranges and with its defaults.

What `from`, `to` and `timezone` do to a list of live connections is not documented; ours: they choose by the day, in
that zone, on which the connection started.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.db.models import Q

from apikeys.errors import Problem, Refusal

START_INDEX, MAX_RESULTS = range(0, 10_001), range(1, 1_001)
DIRECTIONS = ("send", "receive")


@dataclass(frozen=True, slots=True)
class ListParameters:
    start_index: int
    max_results: int
    started_from: datetime | None
    started_before: datetime | None

    @property
    def started(self) -> Q:
        wanted = Q()
        if self.started_from:
            wanted &= Q(started_at__gte=self.started_from)
        if self.started_before:
            wanted &= Q(started_at__lt=self.started_before)
        return wanted


def list_parameters(query: Mapping[str, str]) -> ListParameters:
    """Raises `Refusal` that names the parameter. Others than these are not looked at."""
    zone = _zone(query.get("timezone", ""))
    return ListParameters(
        _integer("startIndex", query.get("startIndex", "0"), START_INDEX),
        _integer("maxResults", query.get("maxResults", "30"), MAX_RESULTS),
        _midnight("from", query.get("from", ""), zone),
        _midnight("to", query.get("to", ""), zone, days_on=1),
    )


def direction_parameter(text: str) -> str:
    if text not in DIRECTIONS:
        raise Refusal(Problem.PARAMETER, "direction is send or receive.")
    return text


def _integer(name: str, text: str, allowed: range) -> int:
    if re.fullmatch(r"[0-9]{1,9}", text) and int(text) in allowed:
        return int(text)
    raise Refusal(Problem.PARAMETER, f"{name} is a whole number from {allowed[0]} to {allowed[-1]}.")


def _midnight(name: str, text: str, zone: ZoneInfo, *, days_on: int = 0) -> datetime | None:
    """The beginning of that day (or of one after it) in the zone; None where it is left out."""
    if not text:
        return None
    try:
        if not re.fullmatch(r"[0-9]{8}", text):
            raise ValueError
        day = datetime(int(text[:4]), int(text[4:6]), int(text[6:]), tzinfo=zone)
    except ValueError:
        raise Refusal(Problem.PARAMETER, f"{name} is a day, YYYYMMDD.") from None
    try:
        return (day + timedelta(days=days_on)).astimezone(UTC)
    except OverflowError:  # at either end of the calendar
        return (datetime.max if days_on else datetime.min).replace(tzinfo=UTC)


@lru_cache(maxsize=1_000)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, or far too long
        raise Refusal(Problem.PARAMETER, "timezone is the name of a time zone, such as Asia/Tokyo.") from None
