"""The index that answers searches: for everything that an event is found by, the events it occurs in.

It is made from the events, behind the head of the log and never by whoever appends; what it does not hold yet is
looked through directly. Losing it loses nothing: `manage.py rebuildauditindex` makes it again. It proves nothing, and
nothing that proves reads it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import Max

from audit.models import Chunk, Event, Indexed, Posting
from audit.search.bits import CHUNK, from_positions, pack, pack_positions, place, unpack
from audit.search.terms import COUNTED, name_of, numbers_of, texts_of

#: So many events are waited for, so that a busy log does not write the same rows again and again.
LEAST = 512
#: Names of one field that a chunk remembers: those a page may count.
MOST_NAMES = 100
#: A statement with more of them is refused by some builds of SQLite.
_MOST_PARAMETERS = 10_000
#: The columns that something is found by.
_COLUMNS = (
    "sequence",
    "at",
    "action",
    "actor_kind",
    "actor_label",
    "target_kind",
    "target_label",
    "operation",
    "request_id",
    "address",
    "data",
)


def behind() -> int:
    """How many events the index does not hold yet."""
    return (Event.objects.aggregate(Max("sequence"))["sequence__max"] or 0) - indexed()


def indexed() -> int:
    """The number of the last event in the index."""
    return Indexed.objects.values_list("sequence", flat=True).first() or 0


def keep_up(*_: object) -> int:
    """For the sweep: as `catch_up`, which is looked for again at once where there was something to do."""
    return catch_up()


def catch_up(least: int = LEAST) -> int:
    """Index the next events, at most a chunk of them, if there are `least`; returns how many it were."""
    done = indexed()
    if behind() < max(least, 1):
        return 0
    chunk, _ = place(done + 1)
    events = list(
        Event.objects.only(*_COLUMNS).filter(sequence__gt=done, sequence__lt=(chunk + 1) * CHUNK).order_by("sequence")
    )
    if not events:  # a prefix was removed: on to the first that is there
        first = Event.objects.filter(sequence__gt=done).order_by("sequence").values_list("sequence", flat=True).first()
        return _move(done, first - 1) if first else 0
    by_text = _by_text(events)
    found = _by_number(by_text)
    with transaction.atomic():
        held = Indexed.objects.select_for_update().get()
        if held.sequence != done:
            return 0  # another worker was quicker
        _write(chunk, found, fresh=not Chunk.objects.filter(pk=chunk).exists())
        _note(chunk, events, by_text)
        Indexed.objects.update(sequence=events[-1].sequence)
    return len(events)


def _move(done: int, to: int) -> int:
    return to - done if Indexed.objects.filter(sequence=done).update(sequence=to) else 0


def forget_before(sequence: int) -> None:
    """Follow the retention: chunks that end before this event are gone."""
    chunk, _ = place(sequence)
    for model in (Posting, Chunk):
        model._default_manager.filter(chunk__lt=chunk).delete()


@transaction.atomic
def clear() -> None:
    Indexed.objects.select_for_update().get()
    Posting.objects.all().delete()
    Chunk.objects.all().delete()
    Indexed.objects.update(sequence=0)


def _by_text(events: Iterable[Event]) -> dict[tuple[str, str], list[int]]:
    positions: dict[tuple[str, str], list[int]] = defaultdict(list)
    for event in events:
        position = place(event.sequence)[1]
        for text in texts_of(event):
            positions[text].append(position)
    return positions


def _by_number(by_text: Mapping[tuple[str, str], list[int]]) -> dict[int, list[int]]:
    positions: dict[int, list[int]] = defaultdict(list)
    for text, found in by_text.items():
        for number in numbers_of(*text):
            positions[number] += found
    return positions


def _write(chunk: int, found: dict[int, list[int]], *, fresh: bool) -> None:
    if fresh:
        rows = [(number, pack_positions(positions)) for number, positions in found.items()]
    else:
        held = _held(chunk, list(found))
        rows = [
            (number, pack(from_positions(positions) | unpack(held[number])))
            if number in held
            else (number, pack_positions(positions))
            for number, positions in found.items()
        ]
    _upsert(chunk, rows)


def _held(chunk: int, numbers: list[int]) -> dict[int, bytes]:
    rows = Posting.objects.filter(chunk=chunk)
    if len(numbers) < _MOST_PARAMETERS:
        rows = rows.filter(term__in=numbers)
    return {number: bytes(bits) for number, bits in rows.values_list("term", "bits")}


def _upsert(chunk: int, rows: list[tuple[int, bytes]]) -> None:
    conflict = "ON CONFLICT (chunk, term) DO UPDATE SET bits = excluded.bits"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"INSERT INTO audit_posting (chunk, term, bits) SELECT %s, * FROM unnest(%s::bigint[], %s::bytea[])"
                f" {conflict}",
                [chunk, [number for number, _ in rows], [bits for _, bits in rows]],
            )
            return
        cursor.executemany(
            f"INSERT INTO audit_posting (chunk, term, bits) VALUES (%s, %s, %s) {conflict}",
            [(chunk, *row) for row in rows],
        )


def _note(chunk: int, events: list[Event], by_text: Mapping[tuple[str, str], list[int]]) -> None:
    """What there is to know of the chunk as a whole: its times, and the names that occur most in it."""
    times: list[Any] = [event.at for event in events]
    steady = all(one <= other for one, other in zip(times, times[1:], strict=False))
    names: dict[str, Counter[str]] = {field: Counter() for field in COUNTED}
    for (field, text), found in by_text.items():
        if field in names:
            names[field][name_of(field, text)] += len(found)
    if before := Chunk.objects.filter(pk=chunk).first():
        steady = steady and before.steady and before.last_at <= times[0]
        times += [before.first_at, before.last_at]
        for field, counted in before.names.items():
            names[field].update(dict(counted))
    values = {
        "first_at": min(times),
        "last_at": max(times),
        "steady": steady,
        "names": {field: counted.most_common(MOST_NAMES) for field, counted in names.items()},
    }
    Chunk.objects.update_or_create(chunk=chunk, defaults=values)
