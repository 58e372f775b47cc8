"""The only writers of the audit log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from audit.actions import Action
from audit.actors import Actor
from audit.canonical import COLUMNS, Value, event_hash, operation_text, time_text
from audit.context import RequestContext, current
from audit.models import Head
from audit.redaction import safe_data, safe_text


@dataclass(frozen=True)
class Target:
    """What an event is about, named as it was then."""

    kind: str
    id: str
    label: str


@dataclass(frozen=True)
class Entry:
    """One event to be recorded; `operation` joins the events of one disconnection order to one story."""

    action: Action
    actor: Actor
    target: Target
    operation: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)


def record(action: Action, *, actor: Actor, target: Target, operation: UUID | None = None, **data: Any) -> None:
    """Write one event into the transaction that it describes; raises outside of one.

    Locks the head of the chain until that transaction ends, so it is the last lock that a transaction takes.
    """
    record_many([Entry(action, actor, target, operation, data)])


def record_many(entries: Sequence[Entry]) -> None:
    """Write events in this order, with one lock of the head and one insert; otherwise as `record`."""
    if not connection.in_atomic_block:
        raise TransactionManagementError("An event is recorded inside the transaction that it describes.")
    if not entries:
        return
    context = current()
    middles = [_middle(entry, context) for entry in entries]
    head = Head.objects.select_for_update().get()
    # Read under the lock, so that times don't run against the order of the chain.
    at = timezone.now()
    rows = _chained(middles, head, time_text(at))
    with _at_once():
        _insert(rows, connection.ops.adapt_datetimefield_value(at))
        with connection.cursor() as cursor:
            cursor.execute("UPDATE audit_head SET sequence = %s, hash = %s", [rows[-1][0], rows[-1][-1]])


@contextmanager
def _at_once() -> Iterator[None]:
    """What is sent in here waits for its answers only once: all others wait for us while we hold the head."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield


def _middle(entry: Entry, context: RequestContext) -> list[Value]:
    """The columns from `action` to `data`: all that can be made before the chain is locked."""
    actor, target = entry.actor, entry.target
    return [
        str(entry.action),
        safe_text(actor.kind, 40),
        safe_text(actor.id, 200),
        safe_text(actor.label, 200),
        safe_text(target.kind, 40),
        safe_text(target.id, 200),
        safe_text(target.label, 200),
        operation_text(entry.operation),
        safe_text(context.request_id, 64),
        safe_text(context.address, 64),
        safe_text(context.user_agent, 200),
        safe_text(context.authentication, 64),
        safe_data(entry.data),
    ]


def _chained(middles: Iterable[list[Value]], head: Head, at: str) -> list[list[Any]]:
    rows: list[list[Any]] = []
    sequence, previous = head.sequence, head.hash
    for middle in middles:
        sequence += 1
        values: list[Value] = [sequence, at, *middle, previous]
        previous = event_hash(values)
        rows.append([*values, previous])
    return rows


_ARRAYS = [
    f"%s::{ {'sequence': 'bigint', 'at': 'timestamptz', 'operation': 'uuid'}.get(name, 'text') }[]"
    for name in (*COLUMNS, "hash")
]
_INSERT = f"INSERT INTO {{}} ({', '.join(COLUMNS)}, hash) VALUES ({', '.join(['%s'] * 17)})"
#: One statement for all rows, a column each: half the time of one after the other, for which all other writers wait.
_INSERT_ALL = f"INSERT INTO {{}} ({', '.join(COLUMNS)}, hash) SELECT * FROM unnest({', '.join(_ARRAYS)})"
_AT, _OPERATION = COLUMNS.index("at"), COLUMNS.index("operation")


def _insert(rows: list[list[Any]], at: Any, table: str = "audit_event") -> None:
    """By hand: `bulk_create` takes several times as long, and every bulk disconnection waits for this."""
    parameters = []
    for row in rows:
        stored = row.copy()
        stored[_AT] = at
        if stored[_OPERATION] and not connection.features.has_native_uuid_field:
            stored[_OPERATION] = stored[_OPERATION].replace("-", "")
        parameters.append(stored)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_INSERT_ALL.format(table), [list(column) for column in zip(*parameters, strict=True)])
        else:
            cursor.executemany(_INSERT.format(table), parameters)
