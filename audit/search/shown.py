"""What the page of a search shows beside the events: names to narrow it by, and the chart, with their links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import formats, timezone

from audit.actions import Action
from audit.search.facets import ENOUGH, Facets
from audit.search.histogram import Bar
from audit.search.query import Query, Term

TITLES = {
    "outcome": "Outcome",
    "action": "Action",
    "actor": "Actor",
    "source": "Source",
    "target": "Target",
    "address": "Address",
}
#: The drawing's own measure; the style sheet stretches it.
BAR, HEIGHT = 10, 60


def address_of(query: Query | str, **others: str) -> str:
    """The page of this search."""
    given = {"q": str(query), **others}
    given = {name: value for name, value in given.items() if value}
    return f"{reverse('audit:list')}?{urlencode(given)}" if given else reverse("audit:list")


def capped(count: int) -> str:
    return f"{ENOUGH:,}+" if count >= ENOUGH else f"{count:,}"


@dataclass(frozen=True)
class Name:
    """One value of a field; the link narrows the search to it, or takes it out again where it is `chosen`."""

    label: str
    count: str
    url: str
    without_url: str
    chosen: bool


@dataclass(frozen=True)
class Group:
    field: str
    title: str
    names: list[Name]


def groups(query: Query, facets: Facets, **others: str) -> list[Group]:
    found = [
        Group(field, TITLES[field], [_name(query, field, value, count, others) for value, count in names])
        for field, names in facets.names.items()
    ]
    return [group for group in found if group.names]


def _name(query: Query, field: str, value: str, count: int, others: dict[str, str]) -> Name:
    term, rest = Term(field, value), query.without(field)
    negated = [each for each in query.of(field) if each.negated]
    chosen = term in query.terms
    narrowed = [each for each in query.of(field) if each != term] if chosen else [*negated, term]
    return Name(
        label=_label(field, value),
        count=capped(count),
        url=address_of(rest.adding(*narrowed), **others),
        without_url="" if chosen else address_of(rest.adding(*negated, Term(field, value, negated=True)), **others),
        chosen=chosen,
    )


def _label(field: str, value: str) -> str:
    if field == "action":
        return Action(value).label if value in Action.values else value
    return value.replace("_", " ") if field == "outcome" else value


@dataclass(frozen=True)
class ShownBar:
    """`begin` and `end` as the one line has them."""

    x: int
    y: float
    height: float
    count: int
    words: str
    begin: str
    end: str
    url: str


@dataclass(frozen=True)
class Chart:
    bars: list[ShownBar]
    width: int
    height: int
    bar: int
    most: int
    first: str
    last: str
    step: str
    #: The search without its times, for the script that narrows it to several bars.
    timeless: str
    wider_url: str


def chart(query: Query, bars: list[Bar], **others: str) -> Chart | None:
    if not bars:
        return None
    timeless = query.without("after", "before")
    most = max(bar.count for bar in bars)
    shown = []
    for position, bar in enumerate(bars):
        times = Term("after", bar.begin), Term("before", bar.end)
        height = round(HEIGHT * bar.count / most, 1) if most else 0.0
        height = max(height, 2.0) if bar.count else 0.0
        shown.append(
            ShownBar(
                x=position * BAR,
                y=HEIGHT - height,
                height=height,
                count=bar.count,
                words=f"{_span(bar)}: {bar.count:,} event{'s' if bar.count != 1 else ''}",
                begin=times[0].value_text,
                end=times[1].value_text,
                url=address_of(timeless.adding(*times), **others),
            )
        )
    return Chart(
        bars=shown,
        width=len(bars) * BAR,
        height=HEIGHT,
        bar=BAR,
        most=most,
        first=_moment(bars[0].begin, bars[0]),
        last=_moment(bars[-1].end, bars[-1]),
        step=_step(bars[0].end - bars[0].begin),
        timeless=str(timeless),
        wider_url=address_of(timeless, **others) if timeless != query else "",
    )


def _is_by_day(bar: Bar) -> bool:
    return bar.end - bar.begin >= timedelta(hours=23)


def _moment(moment: datetime, bar: Bar) -> str:
    return formats.date_format(timezone.localtime(moment), "j M Y" if _is_by_day(bar) else "j M Y H:i")


def _span(bar: Bar) -> str:
    if not _is_by_day(bar):
        return f"{_moment(bar.begin, bar)} to {formats.date_format(timezone.localtime(bar.end), 'H:i')}"
    last = bar.end - timedelta(minutes=1)
    if timezone.localtime(bar.begin).date() == timezone.localtime(last).date():
        return _moment(bar.begin, bar)
    return f"{_moment(bar.begin, bar)} to {_moment(last, bar)}"


def _step(length: timedelta) -> str:
    """How long a bar is, in words."""
    hours = length.total_seconds() / 3600
    if hours < 1:
        minutes = round(hours * 60)
        return "minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 23:
        return "hour" if hours < 1.5 else f"{hours:.0f} hours"
    days = round(hours / 24)
    if days < 28:
        return {1: "day", 7: "week"}.get(days, f"{days} days")
    return "month" if days < 32 else "quarter" if days < 93 else "year" if days < 367 else "several years"
