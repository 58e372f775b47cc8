"""Pages of the audit log by sequence: as quick at its far end as at its beginning, and never a count."""

from __future__ import annotations

from dataclasses import dataclass

from audit.models import Event, EventQuerySet

PAGE = 50


@dataclass(frozen=True)
class Page:
    """Newest first. `older` and `newer` are the values that lead to the next pages, None at an end."""

    events: list[Event]
    older: int | None
    newer: int | None


def page_of(events: EventQuerySet, *, older: int | None = None, newer: int | None = None) -> Page:
    """The page just before event `older`, or just after event `newer`, or the newest."""
    if newer is not None:
        ascending = list(events.filter(sequence__gt=newer).order_by("sequence")[: PAGE + 1])
        if len(ascending) > PAGE:
            found = ascending[PAGE - 1 :: -1]
            return Page(found, found[-1].sequence, found[0].sequence)
        # Fewer than a page are newer, so that the newest page holds them all.
    elif older is not None:
        found = list(events.filter(sequence__lt=older).order_by("-sequence")[: PAGE + 1])
        return Page(found[:PAGE], _rest(found), found[0].sequence if found else older - 1)
    found = list(events.order_by("-sequence")[: PAGE + 1])
    return Page(found[:PAGE], _rest(found), None)


def _rest(found: list[Event]) -> int | None:
    return found[PAGE - 1].sequence if len(found) > PAGE else None
