"""Pages of the audit log by sequence: as quick at its far end as at its beginning, and never an offset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from audit.models import Event, EventQuerySet
from audit.search import Query
from audit.search.find import LOOKED_AT, Found

PAGE = 50


@dataclass(frozen=True)
class Page:
    """Newest first. `older` and `newer` are the values that lead to the next pages, None at an end.

    `unfinished`: not all that may match was looked at; the next page goes on there.
    """

    events: list[Event]
    older: int | None
    newer: int | None
    unfinished: bool = False


def page_of(
    query: Query,
    found: Found | None,
    events: EventQuerySet,
    *,
    older: int | None = None,
    newer: int | None = None,
    size: int = PAGE,
) -> Page:
    """The page just before event `older`, or just after event `newer`, or the newest.

    `events` are those of the search, with the columns that are wanted.
    """
    if newer is not None:
        ascending = _Looked(events, _numbers(query, found, size, newer=newer), size)
        if len(ascending.events) > size:
            shown = ascending.events[size - 1 :: -1]
            return Page(shown, shown[-1].sequence, shown[0].sequence)
        # Fewer than a page are newer, so that the newest page holds them all.
        older = None
    looked = _Looked(events, _numbers(query, found, size, older=older), size)
    shown = looked.events[:size]
    further = shown[-1].sequence if len(looked.events) > size else looked.stopped_at
    first = shown[0].sequence if shown else (older or 1) - 1
    return Page(shown, further, first if older is not None else None, unfinished=looked.stopped_at is not None)


def _numbers(
    query: Query, found: Found | None, size: int, *, older: int | None = None, newer: int | None = None
) -> Iterator[int]:
    """Of events that may match. Without the index, as far behind as it may be, the database looks for them."""
    if found is not None:
        return found.newest(older) if newer is None else found.oldest(newer)
    events = query.events().values_list("sequence", flat=True)
    if newer is not None:
        return iter(events.filter(sequence__gt=newer).order_by("sequence")[: size + 1])
    return iter((events.filter(sequence__lt=older) if older is not None else events)[: size + 1])


class _Looked:
    """The first events that match out of those that may; `stopped_at`: where too many had been in vain."""

    def __init__(self, events: EventQuerySet, numbers: Iterator[int], size: int) -> None:
        self.events: list[Event] = []
        self.stopped_at: int | None = None
        looked = 0
        while len(self.events) <= size and (batch := list(islice(numbers, max(size + 1, looked)))):
            looked += len(batch)
            matching = {each.sequence: each for each in events.filter(sequence__in=batch)}
            self.events += [matching[number] for number in batch if number in matching]
            if looked >= LOOKED_AT and len(self.events) <= size:
                self.stopped_at = batch[-1]
                return
