"""Use per day as bars: numbers only, so that the page draws them without a style or a script."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.db.models import Sum

from apikeys.models import ApiKey

DAYS = 30
_WIDTH, _GAP, _HEIGHT = 10, 2, 60


@dataclass(frozen=True)
class Bar:
    day: date
    requests: int
    refused: int
    x: int
    y: int
    height: int
    width: int = _WIDTH


@dataclass(frozen=True)
class Chart:
    bars: list[Bar]
    most: int
    total: int
    refused: int
    width: int = DAYS * (_WIDTH + _GAP)
    height: int = _HEIGHT


def chart_of(key: ApiKey, today: date) -> Chart:
    """The last 30 days, today (UTC) at the end."""
    first = today - timedelta(days=DAYS - 1)
    rows = key.uses.filter(day__gte=first).order_by().values_list("day").annotate(Sum("requests"), Sum("refused"))
    used = {day: (requests, refused) for day, requests, refused in rows}
    most = max((requests for requests, _ in used.values()), default=0)
    bars = []
    for number in range(DAYS):
        day = first + timedelta(days=number)
        requests, refused = used.get(day, (0, 0))
        height = max(2, round(requests / most * _HEIGHT)) if requests else 0
        bars.append(Bar(day, requests, refused, number * (_WIDTH + _GAP), _HEIGHT - height, height))
    return Chart(bars, most, sum(bar.requests for bar in bars), sum(bar.refused for bar in bars))


def endpoints_of(key: ApiKey, today: date) -> list[Any]:
    """What was called in these days, most called first."""
    recent = key.uses.filter(day__gte=today - timedelta(days=DAYS - 1))
    summed = recent.order_by().values("endpoint").annotate(total=Sum("requests"), refused_total=Sum("refused"))
    return list(summed.order_by("-total", "endpoint")[:50])
