"""Answers a search: which events match, how many, the next page of them, and how they spread over time.

The index says which events may match; the newest ones, which it does not hold yet, are asked of the database directly.
The events of a page are checked by the database against the search itself before they are shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.db import connection
from django.db.models import Min

from audit.models import Chunk, Event, Head, Posting
from audit.search import index
from audit.search.bits import ALL, CHUNK, between, newest_first, oldest_first, place, unpack
from audit.search.query import Query, Span, Term
from audit.search.terms import Plan, plan

#: So many events behind the index are looked through; with more, the search goes without it.
LONGEST_TAIL = 20_000
#: Where the index alone can't tell, so many are checked to make the counts exact.
CHECKED = 1_000
#: And so many are looked at for one page, before it is shown as far as it goes.
LOOKED_AT = 5_000

type Bits = dict[int, int]


@dataclass(frozen=True)
class Found:
    """The events that match, by chunk. Not `exact`: there may be fewer."""

    query: Query
    bits: Bits
    #: The number of the last event that the index holds, and of the last one altogether.
    indexed: int
    last: int
    exact: bool = True

    @property
    def count(self) -> int:
        return sum(held.bit_count() for held in self.bits.values())

    def newest(self, below: int | None = None) -> Iterator[int]:
        """Their numbers, newest first, only those less than `below`."""
        for chunk in sorted(self.bits, reverse=True):
            held = self.bits[chunk]
            if below is not None:
                held &= between(0, min(below - 1 - chunk * CHUNK, CHUNK - 1))
            for position in newest_first(held):
                yield chunk * CHUNK + position

    def oldest(self, above: int) -> Iterator[int]:
        """Their numbers, oldest first, only those greater than `above`."""
        for chunk in sorted(self.bits):
            held = self.bits[chunk] & between(max(above + 1 - chunk * CHUNK, 0), CHUNK - 1)
            for position in oldest_first(held):
                yield chunk * CHUNK + position

    def counts(self, edges: Sequence[int]) -> list[int]:
        """How many lie between each of these numbers and the next one, without the latter."""
        return [self._count(first, last - 1) for first, last in zip(edges, edges[1:], strict=False)]

    def _count(self, first: int, last: int) -> int:
        if last < first:
            return 0
        return sum(
            (
                self.bits[chunk] & between(max(first - chunk * CHUNK, 0), min(last - chunk * CHUNK, CHUNK - 1))
            ).bit_count()
            for chunk in range(first // CHUNK, last // CHUNK + 1)
            if chunk in self.bits
        )


def find(query: Query) -> Found | None:
    """None where the index is too far behind to be of use."""
    last = Head.objects.values_list("sequence", flat=True).get()
    first = Event.objects.aggregate(Min("sequence"))["sequence__min"] or last + 1
    indexed = min(max(index.indexed(), first - 1), last)
    if last - indexed > LONGEST_TAIL:
        return None
    bits, exact = _indexed(query, first, indexed)
    if last > indexed:
        tail = query.events().filter(sequence__gt=indexed, sequence__lte=last).values_list("sequence", flat=True)
        _add(bits, tail)
    found = Found(query, bits, indexed, last, exact)
    return found if exact else _made_exact(found)


def _made_exact(found: Found) -> Found:
    candidates = list(islice(found.newest(), CHECKED + 1))
    if len(candidates) > CHECKED:
        return found
    bits: Bits = {}
    _add(bits, found.query.events().filter(sequence__in=candidates).values_list("sequence", flat=True))
    return Found(found.query, bits, found.indexed, found.last)


def _add(bits: Bits, sequences: Iterable[int]) -> None:
    for sequence in sequences:
        chunk, position = place(sequence)
        bits[chunk] = bits.get(chunk, 0) | 1 << position


# --- What the index says --------------------------------------------------------------------------------------------


def _indexed(query: Query, first: int, last: int) -> tuple[Bits, bool]:
    chunks = range(place(first)[0], place(last)[0] + 1) if first <= last else range(0)
    plans = {term: plan(term) for term in query.terms if not _is_range(term)}
    postings = _postings(chunks, {number for each in plans.values() for numbers in each.any_of for number in numbers})
    ranges = {term: _range(term, chunks, last) for term in query.terms if _is_range(term)}

    def of_term(term: Term, chunk: int) -> int:
        if term in ranges:
            return ranges[term].get(chunk, 0)
        return _of_plan(plans[term], postings.get(chunk, {}))

    bits: Bits = {}
    for chunk in chunks:
        held = between(max(first - chunk * CHUNK, 0), min(last - chunk * CHUNK, CHUNK - 1))
        for group in query.groups():
            any_of = 0
            for term in group:
                any_of |= of_term(term, chunk)
            held &= any_of
            if not held:
                break
        else:
            for term in query.exclusions():
                # What may match is not ruled out by an index that may find too much.
                if term in ranges or plans[term].exact:
                    held &= ~of_term(term, chunk)
        if held:
            bits[chunk] = held
    return bits, all(each.exact for each in plans.values())


def _of_plan(plan: Plan, postings: Mapping[int, int]) -> int:
    found = 0
    for numbers in plan.any_of:
        all_of = ALL
        for number in numbers:
            all_of &= postings.get(number, 0)
        found |= all_of
    return found


def _postings(chunks: range, numbers: set[int]) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = {}
    if not numbers or not chunks:
        return found
    rows = Posting.objects.filter(chunk__in=list(chunks), term__in=list(numbers))
    for chunk, number, bits in rows.values_list("chunk", "term", "bits"):
        found.setdefault(chunk, {})[number] = unpack(bytes(bits))
    return found


# --- Ranges of numbers and of times -----------------------------------------------------------------------------


def _is_range(term: Term) -> bool:
    return isinstance(term.value, Span | datetime)


def _range(term: Term, chunks: range, indexed: int) -> Bits:
    """The positions in each chunk that a condition about numbers or times holds for."""
    if isinstance(term.value, Span):
        first, last = term.value.first or 0, term.value.last
        return {
            chunk: between(
                max(first - chunk * CHUNK, 0), CHUNK - 1 if last is None else min(last - chunk * CHUNK, CHUNK - 1)
            )
            for chunk in chunks
        }
    assert isinstance(term.value, datetime)
    found = {}
    for chunk in Chunk.objects.filter(chunk__in=list(chunks)).defer("names"):
        earlier = _earlier(chunk, term.value, indexed)
        found[chunk.chunk] = ALL & ~earlier if term.field == "after" else earlier
    return found


def _earlier(chunk: Chunk, moment: datetime, indexed: int) -> int:
    """The positions of the indexed events of this chunk that were recorded before the moment."""
    if chunk.last_at < moment:
        return ALL
    if chunk.first_at >= moment:
        return 0
    first = chunk.chunk * CHUNK
    if not chunk.steady:
        bits: Bits = {}
        events = Event.objects.filter(sequence__gte=first, sequence__lt=first + CHUNK, at__lt=moment)
        _add(bits, events.values_list("sequence", flat=True))
        return bits.get(chunk.chunk, 0)
    # What the index does not hold yet may have been recorded by a clock that was set back.
    return between(0, _halved(first, min(first + CHUNK, indexed + 1), moment) - first - 1)


def _halved(low: int, high: int, moment: datetime) -> int:
    """Where the times only grow: the first number from which on they are not before the moment."""
    while low < high:
        middle = (low + high) // 2
        # One bound only: SQLite would look for the lower of two.
        at = Event.objects.filter(sequence__gte=middle).order_by("sequence").values_list("at", flat=True).first()
        if at is None or at >= moment:
            high = middle
        else:
            low = middle + 1
    return low


def first_since(moments: Sequence[datetime]) -> list[int | None]:
    """For each of the moments the number of the first event since then, by the clock; None after the last event."""
    if not moments:
        return []
    value = "(%s::timestamptz)" if connection.vendor == "postgresql" else "(%s)"
    sql = (
        "SELECT (SELECT sequence FROM audit_event WHERE at >= edge.column1 ORDER BY at, sequence LIMIT 1)"
        f" FROM (VALUES {', '.join([value] * len(moments))}) AS edge"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [connection.ops.adapt_datetimefield_value(moment) for moment in moments])
        return [row[0] for row in cursor.fetchall()]
