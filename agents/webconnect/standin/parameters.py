"""The query parameters that lists have in common."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agents.webconnect.standin.problems import Problem, Refused
from agents.webconnect.standin.switches import Switches

MOST_PARAMETERS = 50
START_INDEX = range(0, 10_001)
MAX_RESULTS = range(1, 1001)
DEFAULT_START, DEFAULT_RESULTS = 0, 30


@dataclass(frozen=True, slots=True)
class ListParameters:
    start_index: int = DEFAULT_START
    max_results: int = DEFAULT_RESULTS
    zone: tzinfo = UTC
    first_day: date | None = None
    last_day: date | None = None

    def covers(self, at: float) -> bool:
        if self.first_day is None and self.last_day is None:
            return True
        day = datetime.fromtimestamp(at, self.zone).date()
        return (self.first_day or day) <= day <= (self.last_day or day)


def read_query(query: str, switches: Switches) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Refused(Problem.PARAMETER, 400, f"At most {MOST_PARAMETERS} are read.") from None
    if switches["duplicate-parameter"] == "first":
        pairs.reverse()
    values = dict(pairs)
    if len(values) < len(pairs) and switches["duplicate-parameter"] == "400":
        raise Refused(Problem.PARAMETER, 400, "One was sent twice.")
    return values


def list_parameters(values: Mapping[str, str], switches: Switches) -> ListParameters:
    if not values:
        return ListParameters()
    lenient = switches["invalid-parameter"] == "fallback"
    return ListParameters(
        _integer("startIndex", values, START_INDEX, DEFAULT_START, lenient),
        _integer("maxResults", values, MAX_RESULTS, DEFAULT_RESULTS, lenient),
        _zone(values, lenient) if switches["timezone"] == "honoured" else UTC,
        _day("from", values, lenient),
        _day("to", values, lenient),
    )


def _integer(name: str, values: Mapping[str, str], allowed: range, default: int, lenient: bool) -> int:
    text = values.get(name, "")
    if re.fullmatch(r"[0-9]{1,9}", text) and int(text) in allowed:
        return int(text)
    if text and not lenient:
        raise Refused(Problem.PARAMETER, 400, f"{name} is {allowed[0]} to {allowed[-1]}.")
    return default


def _day(name: str, values: Mapping[str, str], lenient: bool) -> date | None:
    text = values.get(name, "")
    try:
        if re.fullmatch(r"[0-9]{8}", text):
            return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        pass
    if text and not lenient:
        raise Refused(Problem.PARAMETER, 400, f"{name} is a day, YYYYMMDD.")
    return None


def _zone(values: Mapping[str, str], lenient: bool) -> tzinfo:
    text = values.get("timezone", "")
    zone = find_zone(text) if text else UTC
    if zone is None and not lenient:
        raise Refused(Problem.PARAMETER, 400, "timezone is a name such as Asia/Tokyo.")
    return zone or UTC


@lru_cache(maxsize=1000)
def find_zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder, or far too long
        return None
