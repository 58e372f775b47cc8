"""What the events that were found have in common: names with how often they occur, at the cost of a chunk or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from audit.models import Chunk, Event, Posting
from audit.search.bits import CHUNK, between, newest_first, unpack
from audit.search.find import Found
from audit.search.query import DataText
from audit.search.terms import COUNTED, name_of, number
from audit.search.words import fold

#: Where there are at most so many, or the newest chunks hold fewer of them, the newest events are read one by one.
READ = 1_000
#: Chunks are looked at until they hold so many, which is also where a page stops to count …
ENOUGH = 10_000
#: … but no more chunks than this.
MOST_CHUNKS = 2
SHOWN = 8


@dataclass(frozen=True)
class Facets:
    """For each counted field its most frequent names, counted among the newest `among` of the events found."""

    among: int
    names: dict[str, list[tuple[str, int]]]


def facets(found: Found) -> Facets:
    total = found.count
    if total > READ:
        window = _window(found)
        among = sum(held.bit_count() for held in window.values())
        if among >= READ:
            return Facets(among, _shown(_counted_in(window, found.indexed)))
    return Facets(min(total, READ), _shown(_read(list(islice(found.newest(), READ)))))


def _shown(counted: dict[str, Counter[str]]) -> dict[str, list[tuple[str, int]]]:
    return {
        field: sorted(names.items(), key=lambda each: (-each[1], each[0]))[:SHOWN] for field, names in counted.items()
    }


def _beyond(window: dict[int, int], indexed: int) -> Iterable[int]:
    """What was found that the index does not hold yet."""
    for chunk, held in window.items():
        newer = held & between(max(indexed + 1 - chunk * CHUNK, 0), CHUNK - 1)
        yield from (chunk * CHUNK + position for position in newest_first(newer))


def _window(found: Found) -> dict[int, int]:
    window: dict[int, int] = {}
    held = 0
    for chunk in sorted(found.bits, reverse=True)[:MOST_CHUNKS]:
        window[chunk] = found.bits[chunk]
        held += window[chunk].bit_count()
        if held >= ENOUGH:
            break
    return window


def _counted_in(window: dict[int, int], indexed: int) -> dict[str, Counter[str]]:
    counted = _read(list(islice(_beyond(window, indexed), READ)))
    for chunk in Chunk.objects.filter(chunk__in=list(window)):
        by_number = {
            number(field, fold(name)): (field, name) for field in COUNTED for name, _ in chunk.names.get(field, ())
        }
        rows = Posting.objects.filter(chunk=chunk.chunk, term__in=list(by_number)).values_list("term", "bits")
        for term, bits in rows:
            field, name = by_number[term]
            if count := (unpack(bytes(bits)) & window[chunk.chunk]).bit_count():
                counted[field][name] += count
    return counted


def _read(sequences: list[int]) -> dict[str, Counter[str]]:
    """The same from the events themselves."""
    counted: dict[str, Counter[str]] = {field: Counter() for field in COUNTED}
    if not sequences:
        return counted
    columns = ("action", "actor_label", "target_label", "target_kind", "address", DataText("source"))
    rows = Event.objects.filter(sequence__in=sequences).values_list(*columns)
    for action, actor, target, kind, address, source in rows:
        texts = {
            "outcome": action,
            "action": action,
            "actor": actor,
            "source": target if kind == "source" else source,
            "target": target,
            "address": address,
        }
        for field, text in texts.items():
            if text:
                counted[field][name_of(field, text)] += 1
    return counted
