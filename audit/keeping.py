"""Retention: what is older than is kept goes into an archive, then the chain is cut, then the rows are removed.

Always a prefix of the chain, and in an order in which a crash at any line loses nothing:

1. The archive is written under a name of its own, fsynced, read again and verified, then given its name.
2. One transaction writes the cut, with the digest of the archive, and its event. From here on the database lets go of
   the rows, and not before (`audit/triggers.py`).
3. The rows are removed in batches, the oldest first. What a crash leaves of them, the next run removes.
"""

from __future__ import annotations

import gzip
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.canonical import GENESIS, time_text
from audit.chain import head, read_rows
from audit.checkpoints import AUDIT_LOG
from audit.checks import standing_flaw
from audit.clock import database_now
from audit.keys import trusted_keys
from audit.lines import Writer
from audit.models import Checkpoint, Cut, Event, Keeping
from audit.search.index import forget_before
from audit.services import record
from audit.signing import signed
from audit.streams.models import Sink
from audit.verify_audit import Broken, FileCheck, Walk, file_digest, require_checkpoint

logger = logging.getLogger(__name__)
#: Events of one archive; more make the next one.
MOST_IN_ARCHIVE = 500_000
#: Rows removed in one transaction, and how long writers are let in between two.
REMOVED_AT_ONCE, PAUSE = 1_000, 0.02
_LEASE = timedelta(minutes=10)


class NotArchived(Exception):
    """Why, as a sentence."""


# What Administrators say.


@transaction.atomic(durable=True)
def keep_for(*, days: int | None, actor: Actor) -> None:
    """Keep events for so many days; None: for ever."""
    keeping = Keeping.objects.select_for_update().get()
    if keeping.days != days:
        Keeping.objects.update(days=days)
        record(Action.AUDIT_KEEPING_CHANGED, actor=actor, target=AUDIT_LOG, before=keeping.days, after=days)


@transaction.atomic(durable=True)
def hold(*, reason: str, actor: Actor) -> None:
    """Remove nothing, whatever its age, until the hold is lifted."""
    held = {"held_at": timezone.now(), "held_by": actor.label, "hold_reason": reason}
    if Keeping.objects.filter(held_at=None).update(**held):
        record(Action.AUDIT_HELD, actor=actor, target=AUDIT_LOG, reason=reason)


@transaction.atomic(durable=True)
def release(*, actor: Actor) -> None:
    if Keeping.objects.exclude(held_at=None).update(held_at=None, held_by="", hold_reason=""):
        record(Action.AUDIT_RELEASED, actor=actor, target=AUDIT_LOG)


# What is done about it.


def apply_if_due(at: datetime) -> None:
    """Finish what a crash left, and once in a while archive, cut and remove what is too old."""
    last = newest_cut()
    if last and _uncollected(last):
        with _alone() as ours:
            if ours:
                remove(last)
    elif _is_due(last, at):
        apply()


def _is_due(last: Cut | None, at: datetime) -> bool:
    keeping = Keeping.objects.get()
    if keeping.days is None or keeping.held_at or (last and at < last.at + settings.CONSOLE_AUDIT_CUT_EVERY):
        return False
    oldest = Event.objects.order_by("sequence").values_list("at", flat=True).first()
    return oldest is not None and oldest < at - timedelta(days=keeping.days)


def apply() -> int:
    """Archive, cut and remove all that is too old now; returns how many events. Raises NotArchived."""
    count = 0
    with _alone() as ours:
        if not ours:
            return 0
        if (last := newest_cut()) and _uncollected(last):
            remove(last)
        at, end = database_now(), _end()  # Each cut records an event, which is not to be cut off in turn.
        while cut := _archive_and_cut(at, end):
            remove(cut)
            count += cut.sequence - cut.first + 1
            Keeping.objects.update(at_work_until=database_now() + _LEASE)
    return count


def _end() -> int:
    """The newest event that may be cut off: what a sink that is not paused still lacks is kept for it."""
    slowest = Sink.objects.slowest_cursor()
    newest, _ = head()
    return newest if slowest is None else min(newest, slowest)


def newest_cut() -> Cut | None:
    return Cut.objects.order_by("-sequence").first()


def archive_folder() -> Path:
    folder: Path = settings.CONSOLE_AUDIT_ARCHIVE_DIR or settings.CONSOLE_DATA_DIR / "archive"
    return folder


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else archives at the moment; nobody else begins meanwhile."""
    at = database_now()
    free = Q(at_work_until=None) | Q(at_work_until__lt=at)
    ours = bool(Keeping.objects.filter(free).update(at_work_until=at + _LEASE))
    try:
        yield ours
    finally:
        if ours:
            Keeping.objects.update(at_work_until=None)


def _archive_and_cut(at: datetime, end: int) -> Cut | None:
    keeping = Keeping.objects.get()
    if keeping.days is None or keeping.held_at is not None:
        return None
    if standing_flaw():
        raise NotArchived("The audit log does not hold, so that nothing of it is removed.")
    last = newest_cut()
    first, before = (last.sequence + 1, last.hash) if last else (1, GENESIS)
    folder = archive_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".audit-{first:012d}.partial"
        walk = _write(draft, first, before, end, time_text(at - timedelta(days=keeping.days)))
        if not walk.count:
            draft.unlink()
            return None
        _verify(draft, walk)
        digest = file_digest(lambda: draft.open("rb"))
        name = f"audit-{first:012d}-{walk.sequence:012d}.jsonl.gz"
        os.replace(draft, folder / name)
        _fsync(folder)
    except OSError as error:
        raise NotArchived(f"The archive can't be written: {error.strerror}.") from None
    return _cut(first, walk, name, digest)


def _write(draft: Path, first: int, before: str, end: int, older_than: str) -> Walk:
    """All that is older, from event `first` to `end` at most; verified on the way. Returns where it ended."""
    checkpoints = [each.facts for each in Checkpoint.objects.filter(sequence__gte=first - 1)]
    try:
        head_sequence, head_hash = head()
        for each in checkpoints:
            require_checkpoint(each, trusted_keys())
        walk = Walk(first - 1, before, checkpoints)
        with (
            open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        ):
            made_at = timezone.now()
            writer = Writer(packed, kind="archive", made_at=made_at, whole=True, first=first, previous_hash=before)
            for row in read_rows(first, min(end, first + MOST_IN_ARCHIVE - 1)):
                if row[1] >= older_than:
                    break
                walk.follow(row)
                writer.event(row)
            facts = {"sequence": walk.sequence, "hash": walk.hash, "at": time_text(made_at)}
            writer.checkpoint(signed("checkpoint", facts))
            writer.finish(head_sequence=head_sequence, head_hash=head_hash)
            packed.close()
            file.flush()
            os.fsync(file.fileno())
    except Broken as broken:
        raise NotArchived(f"The audit log does not hold: {broken.flaw.message}") from None
    return walk


def _verify(draft: Path, walk: Walk) -> None:
    """Read it again as a stranger would, from the disk."""
    try:
        checked = FileCheck(trusted_keys()).check(lambda: draft.open("rb"))
    except Broken as broken:
        raise NotArchived(f"The archive does not hold: {broken.flaw.message}") from None
    if (checked.count, checked.last, checked.hash) != (walk.count, walk.sequence, walk.hash):
        raise NotArchived("The archive does not hold what was written to it.")


def _fsync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@transaction.atomic(durable=True)
def _cut(first: int, walk: Walk, archive: str, digest: str) -> Cut | None:
    keeping = Keeping.objects.select_for_update().get()
    if keeping.held_at is not None:
        return None  # Somebody was quicker; the archive does no harm.
    at = timezone.now()
    facts = {"first": first, "sequence": walk.sequence, "hash": walk.hash, "at": time_text(at)}
    statement = signed("cut", {**facts, "archive": archive, "digest": digest})
    cut = Cut.objects.create(
        first=first,
        sequence=walk.sequence,
        hash=walk.hash,
        at=at,
        archive=archive,
        digest=digest,
        key_id=statement["key"],
        signature=statement["signature"],
    )
    record(Action.AUDIT_CUT, actor=CONSOLE, target=AUDIT_LOG, count=walk.count, days=keeping.days, **statement)
    return cut


def remove(cut: Cut) -> None:
    """Remove the rows up to the cut, the oldest first, and let others write in between. Raises NotArchived."""
    # Whoever may write into the table could else have us remove what is in no archive.
    if trouble := trusted_keys().trouble("cut", cut.facts):
        raise NotArchived(f"The cut after event {cut.sequence} {trouble}, so that nothing is removed.")
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "DELETE FROM audit_event WHERE sequence IN"
                " (SELECT sequence FROM audit_event WHERE sequence <= %s ORDER BY sequence LIMIT %s)",
                [cut.sequence, REMOVED_AT_ONCE],
            )
            if cursor.rowcount < REMOVED_AT_ONCE:
                break
            time.sleep(PAUSE)
    forget_before(cut.sequence + 1)


def _uncollected(cut: Cut) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM audit_event WHERE sequence <= %s LIMIT 1", [cut.sequence])
        return cursor.fetchone() is not None
