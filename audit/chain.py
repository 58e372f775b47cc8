"""Proves that nothing in the database's audit log was changed, removed or added.

The walk itself is that of `audit/verify_audit.py`; here are the rows, where they begin and where they must end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection

from audit.canonical import COLUMNS, GENESIS, stored_operation_text, stored_time_text
from audit.keys import trusted_keys
from audit.models import Checkpoint, Cut
from audit.verify_audit import Broken, Flaw, Keys, Kind, Walk, events, require_checkpoint

__all__ = ["Flaw", "Kind", "Verdict", "read_rows", "verify"]

BATCH = 2_000
_SEQUENCE, _AT, _OPERATION = (COLUMNS.index(name) for name in ("sequence", "at", "operation"))

type Row = tuple[Any, ...]


@dataclass(frozen=True)
class Verdict:
    """`count` events held, from `first` on, the last of them numbered `sequence` with `hash`.

    `flaw` is what stopped the walk.
    """

    first: int
    count: int
    sequence: int
    hash: str
    flaw: Flaw | None = None


def verify(
    from_sequence: int | None = None,
    to_sequence: int | None = None,
    *,
    checkpoints: Iterable[Mapping[str, Any]] = (),
    keys: Keys | None = None,
) -> Verdict:
    """Walk the chain from event `from_sequence` to event `to_sequence`, in constant memory.

    Without them from the last cut (or the first event) to the end, which is the head as it was when the walk began:
    events may be recorded meanwhile. Compares the events with the checkpoints that the database holds and with those
    given, whose signatures the caller has checked. Trusts the console's own keys unless others are given.
    """
    while True:
        cut = Cut.objects.order_by("-sequence").first()
        verdict = _Verification(cut, from_sequence, to_sequence, checkpoints, keys or trusted_keys()).verdict()
        if verdict.flaw is None or Cut.objects.order_by("-sequence").first() == cut:
            return verdict


class _Verification:
    def __init__(
        self,
        cut: Cut | None,
        from_sequence: int | None,
        to_sequence: int | None,
        checkpoints: Iterable[Mapping[str, Any]],
        keys: Keys,
    ) -> None:
        self._cut, self._keys, self._given, self._to = cut, keys, checkpoints, to_sequence
        self._start = max(from_sequence or 1, cut.sequence + 1 if cut else 1)

    def verdict(self) -> Verdict:
        walk = Walk(self._start - 1)
        try:
            self._require_cut()
            # Before the head is read: it is never older than a checkpoint.
            checkpoints = self._checkpoints()
            end, end_hash = head()
            walk = Walk(self._start - 1, self._hash_before(), checkpoints, _find)
            last = end if self._to is None else min(end, self._to)
            for row in read_rows(self._start, last):
                walk.follow(row)
            if walk.sequence < last:
                gone = events(walk.sequence + 1, last)
                raise Broken(walk.sequence + 1, Kind.CUT_OFF, f"The log is cut off at the end: {gone} missing.")
            if self._to is None:
                _check_end(walk, end, end_hash)
                walk.end()
        except Broken as broken:
            return Verdict(self._start, walk.count, walk.sequence, walk.hash, broken.flaw)
        return Verdict(self._start, walk.count, walk.sequence, walk.hash)

    def _require_cut(self) -> None:
        if self._cut and (trouble := self._keys.trouble("cut", self._cut.facts)):
            raise Broken(
                self._cut.first,
                Kind.MISSING,
                f"Events up to {self._cut.sequence} were cut away, and the cut {trouble}.",
            )

    def _checkpoints(self) -> Sequence[Mapping[str, Any]]:
        own = [row.facts for row in Checkpoint.objects.filter(sequence__gte=self._start - 1).order_by("sequence", "pk")]
        for facts in own:
            require_checkpoint(facts, self._keys)
        mine = [*self._given, *own]
        return [facts for facts in mine if self._start <= facts["sequence"] + 1 <= (self._to or facts["sequence"]) + 1]

    def _hash_before(self) -> str:
        if self._start == 1:
            return GENESIS
        if self._cut and self._start == self._cut.sequence + 1:
            return self._cut.hash
        before = _one("SELECT hash FROM audit_event WHERE sequence = %s", self._start - 1)
        if before is None:
            number = self._start - 1
            raise Broken(number, Kind.MISSING, f"Event {number}, which the walk would continue, is missing.")
        return str(before[0])


def _check_end(walk: Walk, end: int, end_hash: str) -> None:
    sequence = walk.sequence
    if sequence == end and walk.hash != end_hash:
        raise Broken(
            sequence,
            Kind.ADDED,
            f"Event {sequence} was put in another's place: the head of the chain carries a different hash.",
        )
    if walk.count == 0 and sequence > end:
        raise Broken(sequence + 1, Kind.MISSING, f"There is no event {sequence + 1}: the chain ends with event {end}.")
    # In one statement, since the head moves while others record.
    beyond = _one("SELECT min(sequence) FROM audit_event WHERE sequence > (SELECT sequence FROM audit_head)")
    if beyond and beyond[0]:
        raise Broken(beyond[0], Kind.ADDED, f"Event {beyond[0]} was added: the chain ends before it, as its head says.")
    before = _one("SELECT min(sequence) FROM audit_event WHERE sequence < 1")
    if before and before[0] is not None:
        raise Broken(1, Kind.ADDED, f"Event {before[0]} was added: the chain begins with event 1.")


def head() -> tuple[int, str]:
    head = _one("SELECT sequence, hash FROM audit_head")
    if head is None:
        raise Broken(0, Kind.MISSING, "The head of the chain is missing from the table audit_head.")
    return head[0], head[1]


def _find(hash: str) -> int | None:
    found = _one("SELECT sequence FROM audit_event WHERE hash = %s", hash)
    return int(found[0]) if found else None


def read_rows(start: int, end: int) -> Iterator[Row]:
    """The events `start` to `end` as they are hashed, and their hashes.

    Fetched in batches, so that no reader stays open. Raises Broken at a row that can't be read.
    """
    batch = BATCH
    while start <= end:
        try:
            rows = _fetch(start, end, batch)
        except (DatabaseError, ValueError) as error:
            if batch == 1:
                raise Broken(
                    start, Kind.CHANGED, f"Event {start} or one soon after it can't be read any more: {error}."
                ) from None
            batch = 1  # the sound rows before the unreadable one first
            continue
        if not rows:
            return
        yield from rows
        start = rows[-1][_SEQUENCE] + 1


def _fetch(start: int, end: int, limit: int) -> list[Row]:
    postgresql = connection.vendor == "postgresql"
    columns = _ON_POSTGRESQL if postgresql else _ON_SQLITE
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM audit_event WHERE sequence BETWEEN %s AND %s ORDER BY sequence LIMIT %s",
            [start, end, limit],
        )
        rows: list[Row] = cursor.fetchall()
    return rows if postgresql else [_as_hashed(row) for row in rows]


_NAMES = (*COLUMNS, "hash")
#: Bytes are shown as such, which gives no event its hash: cast to text they would, and SQLite finds no event by them.
_ON_SQLITE = ", ".join(
    f"CASE typeof({name}) WHEN 'blob' THEN quote({name}) ELSE CAST({name} AS TEXT) END"
    if name in ("at", "operation")
    else name
    for name in _NAMES
)
_ON_POSTGRESQL = ", ".join(
    {
        "at": """to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
        "operation": "operation::text",
    }.get(name, name)
    for name in _NAMES
)


def _as_hashed(row: Row) -> Row:
    values = list(row)
    values[_AT] = stored_time_text(row[_AT]) if row[_AT] else row[_AT]
    if row[_OPERATION] is not None:
        values[_OPERATION] = stored_operation_text(row[_OPERATION])
    return tuple(values)


def _one(sql: str, *parameters: str | int) -> Row | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: Row | None = cursor.fetchone()
        return row
