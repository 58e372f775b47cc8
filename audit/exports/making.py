"""Making the file of an export: in batches, so in constant memory, and under a lease, so that one worker does it.

A worker that dies leaves its lease to run out; the next one begins anew with a file of its own. The row gets the name
of the file only from the worker that still holds the lease, in the same transaction as the event, so that a file is
never half there and never two. What a dead worker has left is swept away.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Protocol
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from audit.access import READ, require
from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.clock import database_now
from audit.exports.formats import Interrupted, Row, writer_of
from audit.exports.models import Export, ExportQuerySet, folder
from audit.exports.services import facts_of, kept_for, new_export, target_of
from audit.lines import FIELDS
from audit.models import Head
from audit.search import Query, parse
from audit.services import record

logger = logging.getLogger(__name__)

State = Export.State
#: Made at once by all workers together: each reads as fast as the database gives.
AT_ONCE = 2
#: Begun so often without an end, it is not begun again: whatever kills the worker would kill the next one too.
ATTEMPTS = 3
#: Events that one query looks through, and the rows that it brings at the most.
WINDOW, BATCH = 20_000, 500
_LEASE = timedelta(seconds=60)
#: Set when this process is to end: what is half made is left to another worker.
stopping = threading.Event()


class _Stopped(Exception):
    """The lease is no longer ours: it was cancelled, or ran out."""


class _TooLarge(Exception):
    pass


class Written(Protocol):
    def write(self, data: bytes, /) -> int: ...


def due(at: datetime) -> list[UUID]:
    """The exports that a worker should begin now, the oldest first."""
    unfinished = Export.objects.unfinished()
    room = AT_ONCE - unfinished.filter(lease_until__gt=at).count()
    waiting = unfinished.exclude(lease_until__gt=at).order_by("requested_at", "pk")
    return list(waiting.values_list("pk", flat=True)[: max(room, 0)])


def make(export_id: UUID) -> bool:
    """Make the file of this export, if nobody else does."""
    at, token = database_now(), uuid4()
    waiting = Export.objects.unfinished().filter(pk=export_id).exclude(lease_until__gt=at)
    claimed = waiting.update(
        state=State.RUNNING,
        lease_token=token,
        lease_until=at + _LEASE,
        attempts=F("attempts") + 1,
        looked_at=0,
        count=0,
        size=0,
    )
    if not claimed:
        return False
    export = Export.objects.get(pk=export_id)
    if export.attempts > ATTEMPTS:
        _fail(export, f"It was begun {ATTEMPTS} times, and each time the worker ended before it was whole.")
        return True
    draft = folder() / f"{export.pk}-{token.hex[:8]}.{export.format}.part"
    try:
        _make(export, draft)
    except _Stopped:
        logger.info("%s was stopped", export)
    except _TooLarge:
        most = settings.CONSOLE_AUDIT_EXPORT_MEGABYTES
        _fail(export, f"It grew beyond {most:,} MB, which is the most an export may have: narrow the search.")
    except Interrupted:
        _fail(export, "Retention removed events while it was being made: ask for it again.")
    except OSError as error:
        _fail(export, f"The file could not be written: {error.strerror or error}.")
    finally:
        with suppress(OSError):
            draft.unlink()
    return True


def _make(export: Export, draft: Path) -> None:
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        counted = _Counted(file)
        write(export, counted, lambda looked_at, count: _go_on(export, looked_at, count, counted.size))
        file.flush()
        os.fsync(file.fileno())
    final = draft.with_suffix("")
    os.rename(draft, final)
    try:
        _finish(export, final.name, counted)
    except BaseException:
        with suppress(OSError):
            final.unlink()
        raise


def write(export: Export, file: Written, went_on: WentOn) -> int:
    """Write the events of the export's search to `file`; returns how many they are."""
    writer = writer_of(export, file)
    count = looked_at = 0
    for looked_at, rows in _batches(_query(export), export.up_to):
        for row in rows:
            writer.event(row)
        count += len(rows)
        went_on(looked_at, count)
    writer.finish()
    return count


def write_now(*, query: str, format: str, file: BinaryIO, actor: Actor) -> int:
    """Write an export to `file` here and now, without row or worker; it is on record all the same."""
    require(actor, READ)
    export = new_export(query=query, format=format, actor=actor)
    export.up_to = Head.objects.values_list("sequence", flat=True).get()
    counted = _Counted(file)
    with transaction.atomic(durable=True):
        record(Action.EXPORT_REQUESTED, actor=actor, target=target_of(export), **facts_of(export))
    count = write(export, counted, lambda looked_at, count: None)
    with transaction.atomic(durable=True):
        _record_ready(export, count, counted, actor)
    return count


class WentOn(Protocol):
    def __call__(self, looked_at: int, count: int) -> None: ...


def _query(export: Export) -> Query:
    with timezone.override(ZoneInfo(export.zone)):
        return parse(export.query)


def _batches(query: Query, end: int) -> Iterator[tuple[int, list[Row]]]:
    """The rows in the order of their numbers, and up to which number they are looked through."""
    first = 1
    while first <= end:
        last = min(first + WINDOW - 1, end)
        found = query.events().filter(sequence__gte=first, sequence__lte=last)
        rows = list(found.order_by("sequence").values_list(*FIELDS)[:BATCH])
        looked_at = rows[-1][0] if len(rows) == BATCH else last
        yield looked_at, rows
        first = looked_at + 1


def _go_on(export: Export, looked_at: int, count: int, size: int) -> None:
    """Tell how far it is and hold the lease for longer; raises where it is no longer ours."""
    if stopping.is_set():
        _ours(export).update(lease_token=None, lease_until=None, attempts=F("attempts") - 1)
    if size > settings.CONSOLE_AUDIT_EXPORT_MEGABYTES * 1_000_000:
        raise _TooLarge
    if not _ours(export).update(looked_at=looked_at, count=count, size=size, lease_until=database_now() + _LEASE):
        raise _Stopped


def _ours(export: Export) -> ExportQuerySet:
    return Export.objects.filter(pk=export.pk, state=State.RUNNING, lease_token=export.lease_token)


def _finish(export: Export, name: str, counted: _Counted) -> None:
    at = database_now()
    with transaction.atomic(durable=True):
        ready = _ours(export).update(
            state=State.READY,
            file_name=name,
            size=counted.size,
            digest=counted.digest,
            looked_at=export.up_to,
            finished_at=at,
            expires_at=at + kept_for(),
            lease_token=None,
            lease_until=None,
        )
        if not ready:
            raise _Stopped
        count = Export.objects.values_list("count", flat=True).get(pk=export.pk)
        _record_ready(export, count, counted, CONSOLE)


def _record_ready(export: Export, count: int, counted: _Counted, actor: Actor) -> None:
    record(
        Action.EXPORT_READY,
        actor=actor,
        target=target_of(export),
        **facts_of(export),
        events=count,
        bytes=counted.size,
        sha256=counted.digest,
    )


def _fail(export: Export, explanation: str) -> None:
    with transaction.atomic(durable=True):
        failed = _ours(export).update(
            state=State.FAILED, explanation=explanation[:500], finished_at=database_now(), lease_token=None
        )
        if failed:
            record(Action.EXPORT_FAILED, actor=CONSOLE, target=target_of(export), explanation=explanation)


def sweep_away(at: datetime) -> None:
    """Remove files that no row names and nobody can be writing any more."""
    if not folder().is_dir():
        return
    named = set(Export.objects.filter(state=State.READY).values_list("file_name", flat=True))
    for path in folder().iterdir():
        with suppress(OSError):
            age = at.timestamp() - path.stat().st_mtime
            if path.name not in named and age > 2 * _LEASE.total_seconds():
                path.unlink()


class _Counted:
    """A file that knows the size and the digest of what was written to it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest, self.size = file, hashlib.sha256(), 0

    def write(self, data: bytes, /) -> int:
        self._digest.update(data)
        self.size += len(data)
        return self._file.write(data)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()
