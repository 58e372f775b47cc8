"""Proves that nothing in the audit log was changed, removed or added: walks the chain from event to event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, connection

from audit.canonical import COLUMNS, GENESIS, Value, event_hash, operation_text, stored_time_text

BATCH = 2_000
#: How far around an event to look for the number it once had, where the event before it doesn't tell.
NEIGHBOURHOOD = 100
_SEQUENCE, _AT, _OPERATION, _PREVIOUS, _HASH = (
    *(COLUMNS.index(name) for name in ("sequence", "at", "operation", "previous_hash")),
    len(COLUMNS),
)
_SELECTED = ", ".join(f"CAST({name} AS TEXT)" if name in ("at", "operation") else name for name in (*COLUMNS, "hash"))

type Row = tuple[Any, ...]


class Kind(StrEnum):
    CHANGED = "changed"
    MISSING = "missing"
    ADDED = "added"
    REORDERED = "reordered"
    CUT_OFF = "cut off at the end"


@dataclass(frozen=True)
class Flaw:
    """The first event that breaks the chain, and how."""

    sequence: int
    kind: Kind
    message: str


@dataclass(frozen=True)
class Verdict:
    """`count` events held, the last of them numbered `sequence` with `hash`; `flaw` is what stopped the walk."""

    count: int
    sequence: int
    hash: str
    flaw: Flaw | None = None


class _Broken(Exception):
    def __init__(self, sequence: int, kind: Kind, message: str) -> None:
        self.flaw = Flaw(sequence, kind, message)


def verify(from_sequence: int | None = None) -> Verdict:
    """Walk the chain from event `from_sequence` (from the first one if None) to its end, in constant memory.

    Events may be recorded meanwhile: the walk ends at the head as it was when it began.
    """
    start = max(from_sequence or 1, 1)
    sequence, hash, count = start - 1, GENESIS, 0
    try:
        hash = _hash_before(start)
        end, end_hash = _head()
        for row in _rows(start, end):
            _check(row, sequence, hash)
            sequence, hash, count = row[_SEQUENCE], row[_HASH], count + 1
        _check_end(sequence, hash, end, end_hash, empty=count == 0)
    except _Broken as broken:
        return Verdict(count, sequence, hash, broken.flaw)
    return Verdict(count, sequence, hash)


def _check(row: Row, previous: int, previous_hash: str) -> None:
    """Raises unless `row` is the untouched event that follows the event `previous`."""
    sequence, expected = row[_SEQUENCE], previous + 1
    if sequence != expected:
        gone = _events(expected, sequence - 1).capitalize()
        raise _Broken(expected, Kind.MISSING, f"{gone} missing; the next one there is event {sequence}.")
    if _recomputed(row) != row[_HASH]:
        origin = _origin(row)
        if origin is not None:
            raise _Broken(
                sequence, Kind.REORDERED, f"Event {sequence} is out of order: it was recorded as event {origin}."
            )
        raise _Broken(
            sequence, Kind.CHANGED, f"Event {sequence} was changed: its columns no longer give the hash it carries."
        )
    if row[_PREVIOUS] == previous_hash:
        return
    if sequence == 1:
        raise _Broken(1, Kind.CHANGED, "Event 1 was changed: it does not begin the chain.")
    raise _Broken(
        previous,
        Kind.ADDED,
        f"Event {previous} was put in another's place: event {sequence} continues a different one.",
    )


def _check_end(sequence: int, hash: str, end: int, end_hash: str, *, empty: bool) -> None:
    if sequence < end:
        gone = _events(sequence + 1, end)
        raise _Broken(sequence + 1, Kind.CUT_OFF, f"The log is cut off at the end: {gone} missing.")
    if sequence == end and hash != end_hash:
        raise _Broken(
            sequence,
            Kind.ADDED,
            f"Event {sequence} was put in another's place: the head of the chain carries a different hash.",
        )
    if empty and sequence > end:
        raise _Broken(sequence + 1, Kind.MISSING, f"There is no event {sequence + 1}: the chain ends with event {end}.")
    # In one statement, since the head moves while others record.
    beyond = _one("SELECT min(sequence) FROM audit_event WHERE sequence > (SELECT sequence FROM audit_head)")
    if beyond and beyond[0]:
        raise _Broken(
            beyond[0], Kind.ADDED, f"Event {beyond[0]} was added: the chain ends before it, as its head says."
        )


def _head() -> tuple[int, str]:
    head = _one("SELECT sequence, hash FROM audit_head")
    if head is None:
        raise _Broken(0, Kind.MISSING, "The head of the chain is missing from the table audit_head.")
    return head[0], head[1]


def _hash_before(start: int) -> str:
    if start == 1:
        return GENESIS
    before = _one("SELECT hash FROM audit_event WHERE sequence = %s", start - 1)
    if before is None:
        raise _Broken(start - 1, Kind.MISSING, f"Event {start - 1}, which the walk would continue, is missing.")
    return str(before[0])


def _rows(start: int, end: int) -> Iterator[Row]:
    """The rows `start` to `end` as they are stored, fetched in batches so that no reader stays open."""
    batch = BATCH
    while start <= end:
        try:
            rows = _fetch(start, end, batch)
        except (DatabaseError, ValueError) as error:
            if batch == 1:
                raise _Broken(
                    start, Kind.CHANGED, f"Event {start} or one soon after it can't be read any more: {error}."
                ) from None
            batch = 1  # the sound rows before the unreadable one first
            continue
        if not rows:
            return
        yield from rows
        start = rows[-1][_SEQUENCE] + 1


def _fetch(start: int, end: int, limit: int) -> list[Row]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_SELECTED} FROM audit_event WHERE sequence BETWEEN %s AND %s ORDER BY sequence LIMIT %s",
            [start, end, limit],
        )
        rows: list[Row] = cursor.fetchall()
        return rows


def _one(sql: str, *parameters: str | int) -> Row | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: Row | None = cursor.fetchone()
        return row


def _recomputed(row: Row, sequence: int | None = None) -> str | None:
    """The hash that the stored columns give, or None where they can't even be written canonically."""
    values: list[Value] = list(row[:_HASH])
    try:
        values[_AT] = stored_time_text(row[_AT])
        values[_OPERATION] = operation_text(row[_OPERATION])
        values[_SEQUENCE] = row[_SEQUENCE] if sequence is None else sequence
        return event_hash(values)
    except (TypeError, ValueError, AttributeError):
        return None


def _origin(row: Row) -> int | None:
    """The number under which this row was recorded, if only its number differs from then."""
    here = row[_SEQUENCE]
    candidates = [*range(max(here - NEIGHBOURHOOD, 1), here + NEIGHBOURHOOD)]
    if before := _one("SELECT sequence FROM audit_event WHERE hash = %s", row[_PREVIOUS]):
        candidates.insert(0, before[0] + 1)
    return next((number for number in candidates if _recomputed(row, number) == row[_HASH]), None)


def _events(first: int, last: int) -> str:
    return f"event {first} is" if first == last else f"events {first} to {last} are"
