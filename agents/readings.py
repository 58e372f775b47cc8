"""Readings: a source's list is read, the agent sessions are brought in step with it, and outcomes follow from it.

One reading of a source at a time, whichever process does it: a lease on the source's row. It serves polling and all
that waits to be confirmed. Its result is written in one transaction, guarded by the lease's token, so that a reader
that was slow enough to lose its lease changes nothing.
"""

import logging
import marshal
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from time import monotonic, sleep
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from agents import outcomes, pacer
from agents.bulk import Columns, insert_many, update_many
from agents.clock import database_now
from agents.kinds import Listing, ReadingFailed, ReadRateLimited, ReadRejected, Unreachable, all_kinds, kind_of
from agents.models import AgentSession, Credential, Disconnection, Reading, Source
from agents.portions import SHARED, Portion
from agents.storable import storable
from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import Entry, record_many

logger = logging.getLogger(__name__)
_BATCH = 1000


def due(at: datetime, portion: Portion = SHARED) -> list[int]:
    """The sources of this portion that are to be read now."""
    # A subquery: `exclude` across a relation would look for the purpose and the rejection on different credentials.
    rejected = Credential.objects.filter(purpose=Credential.Purpose.READING, rejected_at__isnull=False)
    return list(
        Source.objects.filter(portion.within(), Q(next_reading_at=None) | Q(next_reading_at__lte=at), paused_at=None)
        .filter(Q(reading_until=None) | Q(reading_until__lte=at))
        .exclude(pk__in=rejected.values("source"))
        .exclude(contract__blocked_until__gt=at)
        .values_list("pk", flat=True)
    )


def read_source(source_id: int) -> Reading | None:
    """Read a source now; None where it is being read already, is paused or gone."""
    token = uuid4()
    begun_at = database_now()
    source = _claim(source_id, token, begun_at)
    if source is None:
        return None
    try:
        listing = kind_of(source).read(source, _Slots(source, token).take)
    except ReadingFailed as failure:
        return _record_failure(source, token, begun_at, failure)
    except Exception:
        logger.exception("Reading %s failed in a way that nobody foresaw", source)
        return _record_failure(source, token, begun_at, ReadingFailed("The console failed at reading; see its log."))
    try:
        return _apply(source, token, begun_at, listing)
    except LeaseLost as lost:
        logger.warning("%s", lost)
        return None


def _claim(source_id: int, token: UUID, at: datetime) -> Source | None:
    free = Source.objects.filter(Q(reading_until=None) | Q(reading_until__lte=at), pk=source_id, paused_at=None)
    if not free.update(reading_token=token, reading_until=at + _lease()):
        return None
    return Source.objects.select_related("contract").get(pk=source_id)


def take_over(source: Source) -> None:
    """Whoever read this source does so no more: it is due at once, and a reading that is under way changes nothing."""
    Source.objects.filter(pk=source.pk).update(reading_token=None, reading_until=None, next_reading_at=None)


def _lease() -> timedelta:
    lease: timedelta = settings.CONSOLE_ATTEMPT_LIMIT + settings.CONSOLE_LEASE_MARGIN
    return lease


class _Slots:
    """Takes a slot of the contract before each call, and keeps the lease alive meanwhile."""

    def __init__(self, source: Source, token: UUID) -> None:
        self.source, self.contract, self.token = source, source.contract, token
        self._renewed = monotonic()

    def take(self) -> None:
        """Waits for a slot; raises `ReadingFailed` where the contract is refused or the lease was lost."""
        while True:
            self._keep_lease()
            if self.contract is None:
                return
            posts_wait = self._limited and outcomes.posts_wait(self.contract.pk)
            slots = pacer.take_for_reading(self.contract.pk, purpose=self._purpose(), posts_wait=posts_wait)
            if slots.blocked:
                until = database_now() + timedelta(seconds=slots.wait)
                raise ReadRateLimited("The remote's rate limit refuses every request.", until=until)
            self._wait(slots.wait)
            if slots.taken and not (slots.wait and pacer.is_blocked(self.contract.pk)):
                return

    @property
    def _limited(self) -> bool:
        return self.contract is not None and self.contract.requests_per_minute > 0

    def _purpose(self) -> pacer.Purpose:
        """Looked at before each call: an order may come while a reading of many pages goes on."""
        if not self._limited:
            return pacer.Purpose.POLLING
        mine = Disconnection.objects.filter(source=self.source)
        if mine.awaiting_reading().exists() or mine.due(database_now()).exists():
            return pacer.Purpose.CONFIRMING
        return pacer.Purpose.POLLING

    def _wait(self, seconds: float) -> None:
        """With a small allowance a slot may be further away than the lease is long."""
        while seconds > 0:
            part = min(seconds, _lease().total_seconds() / 3)
            sleep(part)
            seconds -= part
            if seconds > 0:
                self._keep_lease()

    def _keep_lease(self) -> None:
        # By this machine's clock, and seldom: each time is a commit. One attempt's limit later it still lasts.
        if monotonic() - self._renewed < settings.CONSOLE_LEASE_MARGIN.total_seconds() / 2:
            return
        self._renewed = monotonic()
        ours = Source.objects.filter(pk=self.source.pk, reading_token=self.token)
        if not ours.update(reading_until=database_now() + _lease()):
            raise Unreachable("Another reading took over.")


# --- What a reading changes --------------------------------------------------------------------------------------


@dataclass
class _Changes:
    new: list[Columns] = field(default_factory=list)
    changed: list[Columns] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


class _Known(NamedTuple):
    pk: int
    started_text: str
    absent_since: datetime | None
    closing_since: datetime | None


def _apply(source: Source, token: UUID, begun_at: datetime, listing: Listing) -> Reading:
    known = dict(AgentSession.objects.filter(source=source).live().values_list("session_id", "fingerprint"))
    decisive = _is_decisive(source, listing, known)
    changes = _compare(source, begun_at, listing, known, decisive=decisive)
    at = database_now()
    reading = Reading(
        source=source,
        begun_at=begun_at,
        ended_at=at,
        outcome=Reading.Outcome.INCOMPLETE if listing.incomplete else Reading.Outcome.COMPLETE,
        calls=listing.calls,
        listed=len(listing.rows),
        new=len(changes.new),
        changed=len(changes.changed),
        gone=len(changes.gone),
        note=listing.incomplete,
    )
    with transaction.atomic(durable=True):
        if not _release(source, token, **_found(source, begun_at, at, listing)):
            raise LeaseLost(source)
        _write(changes, begun_at)
        reading.save(force_insert=True)
        if source.unreadable_since:
            since = source.unreadable_since.isoformat()
            # Here, not later: once it is readable again, a sweep would end what waits for that.
            outcomes.extend_deadlines(source, source.unreadable_since, at)
            record_many([Entry(Action.SOURCE_READABLE, CONSOLE, source.target, data={"unreadable_since": since})])
    evidence = outcomes.Evidence(
        begun_at,
        listed=frozenset(listing.rows),
        decisive=decisive,
        whole=not listing.incomplete,
        previous_begun_at=source.read_begun_at,
    )
    outcomes.judge(source, evidence, at)
    _notice(source, changes, begun_at, at)
    _plan_next(source, begun_at)
    return reading


def _notice(source: Source, changes: _Changes, begun_at: datetime, at: datetime) -> None:
    """Note on final disconnections which sessions went and which agents came back, now or in a reading whose worker
    died before it could."""
    gone, new = changes.gone, changes.new
    since = source.unnoticed_since
    if since:
        sessions = AgentSession.objects.filter(source=source)
        gone = list(sessions.filter(ended_at__gte=since).values_list("pk", flat=True))
        new = list(sessions.filter(first_seen_at__gte=since).values(*outcomes.SEEN_AGAIN))
    for pks in _batches(gone):
        outcomes.notice_late_ends(pks, at)
    outcomes.notice_returns(source, new, at)
    Source.objects.filter(pk=source.pk, unnoticed_since=since or begun_at).update(unnoticed_since=None)


class LeaseLost(Exception):
    """This reading took so long that another one began; nothing of it was kept."""

    def __init__(self, source: Source) -> None:
        super().__init__(f"A reading of {source} lost its lease; nothing of it was kept.")


def _is_decisive(source: Source, listing: Listing, known: Mapping[str, str]) -> bool:
    """Whether absence from this one list proves that a session is gone.

    Not where rows could move between answers, nor where the list became empty or lost more than half of what we knew
    (a fault of the remote looks like that, also where other rows came instead), nor in the first reading under another
    base URL or key (`read_begun_at` is empty then).
    """
    if listing.certain:
        return not listing.incomplete
    if listing.incomplete or not listing.in_one_answer or source.read_begun_at is None:
        return False
    return bool(listing.rows) and len(listing.rows.keys() & known.keys()) * 2 >= len(known)


def _compare(
    source: Source, begun_at: datetime, listing: Listing, known: Mapping[str, str], *, decisive: bool
) -> _Changes:
    changes = _Changes()
    marks = {session_id: fingerprint(row) for session_id, row in listing.rows.items()}
    differing = [session_id for session_id, mark in marks.items() if known.get(session_id) != mark]
    details = _details(source, [*(known.keys() & set(differing)), *(known.keys() - marks.keys())])
    describe = kind_of(source).describe
    for session_id in differing:
        before, columns = details.get(session_id), describe(source, listing.rows[session_id])
        columns |= {"fingerprint": marks[session_id], "closing_since": begun_at if columns["closing"] else None}
        if before and before.started_text == columns["started_text"]:
            if columns["closing"] and before.closing_since:
                columns["closing_since"] = before.closing_since
            changes.changed.append({"id": before.pk, "absent_since": None, **columns})
            continue
        if before:
            # The session ID is used again by a later connection: the one we knew is over.
            changes.gone.append(before.pk)
        changes.new.append({"source_id": source.pk, "session_id": session_id, "first_seen_at": begun_at, **columns})
    for session_id, before in details.items():
        if session_id in marks:
            if before.absent_since and known[session_id] == marks[session_id]:
                changes.returned.append(before.pk)
            continue
        if listing.incomplete:
            continue
        seen_twice = (
            before.absent_since is not None
            and source.read_begun_at is not None
            and before.absent_since <= source.read_begun_at
        )
        if decisive or seen_twice:
            changes.gone.append(before.pk)
        elif before.absent_since is None:
            changes.missing.append(before.pk)
    return changes


def _details(source: Source, session_ids: list[str]) -> dict[str, _Known]:
    """What is known of these live sessions and of all that the last reading missed: of most, nothing is asked."""
    live = AgentSession.objects.filter(source=source).live()
    if len(session_ids) <= _BATCH:
        live = live.filter(Q(session_id__in=session_ids) | Q(absent_since__isnull=False))
    rows = live.values_list("session_id", "pk", "started_text", "absent_since", "closing_since")
    return {row[0]: _Known(*row[1:]) for row in rows}


def fingerprint(row: Mapping[str, Any]) -> str:
    """Equal for rows that say the same; a change of any property, known or not, changes it."""
    names, values_of = _sorted_properties(tuple(row))
    # Format 2 knows no references: equal values give equal bytes, at half the price of `repr`.
    return blake2b(names + marshal.dumps(values_of(row), 2), digest_size=16).hexdigest()


@lru_cache(maxsize=64)
def _sorted_properties(names: tuple[str, ...]) -> tuple[bytes, Callable[[Mapping[str, Any]], Any]]:
    """Rows of one remote have the same properties in the same order: they are sorted once, not ten thousand times."""
    in_order = sorted(names)
    return marshal.dumps(in_order, 2), itemgetter(*in_order)


def _write(changes: _Changes, begun_at: datetime) -> None:
    sessions = AgentSession.objects
    for pks in _batches(changes.gone):
        outcomes.end_sessions(pks, begun_at)
    for pks in _batches(changes.missing):
        sessions.filter(pk__in=pks).update(absent_since=begun_at)
    for pks in _batches(changes.returned):
        sessions.filter(pk__in=pks).update(absent_since=None)
    insert_many(AgentSession, changes.new)
    update_many(AgentSession, changes.changed)


def _batches(pks: list[int]) -> list[list[int]]:
    return [pks[start : start + _BATCH] for start in range(0, len(pks), _BATCH)]


def _found(source: Source, begun_at: datetime, at: datetime, listing: Listing) -> dict[str, Any]:
    found: dict[str, Any] = {
        "read_at": at,
        "listed": len(listing.rows),
        "calls": listing.calls,
        "incomplete": listing.incomplete[:300],
        "failures": 0,
        "failure": "",
        "unreadable_since": None,
        "unnoticed_since": source.unnoticed_since or begun_at,
    }
    if not listing.incomplete:
        found |= {"previous_begun_at": source.read_begun_at, "read_begun_at": begun_at}
    return found


def _release(source: Source, token: UUID, **columns: Any) -> bool:
    ours = Source.objects.filter(pk=source.pk, reading_token=token)
    return bool(ours.update(reading_token=None, reading_until=None, **columns))


# --- When a reading fails ----------------------------------------------------------------------------------------


def _record_failure(source: Source, token: UUID, begun_at: datetime, failure: ReadingFailed) -> Reading | None:
    at = database_now()
    outcome = _outcome_of(failure)
    message = storable(str(failure))[:500]
    entries = []
    if isinstance(failure, ReadRateLimited):
        stop_contract(source, failure.until, at)
    with transaction.atomic(durable=True):
        if not _release(
            source,
            token,
            failures=F("failures") + 1,
            failure=message,
            unreadable_since=source.unreadable_since or begun_at,
            next_reading_at=at + _back_off(source),
        ):
            return None
        reading = Reading.objects.create(source=source, begun_at=begun_at, ended_at=at, outcome=outcome, note=message)
        if isinstance(failure, ReadRejected):
            # One that was replaced meanwhile is not the one that the remote turned down.
            rejected = source.credentials.filter(
                purpose=Credential.Purpose.READING, rejected_at=None, replaced_at__lte=begun_at
            )
            if rejected.update(rejected_at=at):
                entries.append(
                    Entry(
                        Action.CREDENTIAL_REJECTED, CONSOLE, source.target, data={"purpose": "reading", "why": message}
                    )
                )
        if source.unreadable_since is None:
            entries.append(Entry(Action.SOURCE_UNREACHABLE, CONSOLE, source.target, data={"why": message}))
        record_many(entries)
    return reading


def notice_silence(at: datetime) -> None:
    """Sources whose own worker says nothing any more can't be read, until it reads them again."""
    for kind in all_kinds():
        if kind.own_worker:
            silent = Source.objects.filter(kind=kind.name, paused_at=None, unreadable_since=None)
            for source in silent.filter(read_at__lt=at - kind.own_worker.silence()):
                _record_silence(source, at)


def _record_silence(source: Source, at: datetime) -> None:
    why = "Its own process says nothing any more."
    with transaction.atomic(durable=True):
        silent = Source.objects.filter(pk=source.pk, read_at=source.read_at, unreadable_since=None)
        if silent.update(unreadable_since=source.read_at, failure=why, failures=F("failures") + 1):
            outcome = Reading.Outcome.UNREACHABLE
            Reading.objects.create(source=source, begun_at=at, ended_at=at, outcome=outcome, calls=0, note=why)
            record_many([Entry(Action.SOURCE_UNREACHABLE, CONSOLE, source.target, data={"why": why})])


def stop_contract(source: Source, until: datetime, at: datetime) -> None:
    """A 429: nothing of the contract is sent or read until then, and the time to confirm stands still."""
    if source.contract_id is None or not pacer.block(source.contract_id, until):
        return
    Source.objects.filter(contract=source.contract_id, unreadable_since=None).update(unreadable_since=at)
    with transaction.atomic(durable=True):
        record_many([Entry(Action.SOURCE_RATE_LIMITED, CONSOLE, source.target, data={"until": until.isoformat()})])


def _outcome_of(failure: ReadingFailed) -> Reading.Outcome:
    match failure:
        case ReadRejected():
            return Reading.Outcome.REJECTED
        case ReadRateLimited():
            return Reading.Outcome.RATE_LIMITED
        case Unreachable():
            return Reading.Outcome.UNREACHABLE
        case _:
            return Reading.Outcome.NOT_UNDERSTOOD


def _back_off(source: Source) -> timedelta:
    """Doubling from the polling interval to a minute, with jitter, so that many consoles don't come at once."""
    doubled: timedelta = min(
        source.polling * 2 ** min(source.failures, 10), max(source.polling, settings.CONSOLE_RETRY_MOST)
    )
    return doubled * random.uniform(0.8, 1.2)


# --- When to read next -------------------------------------------------------------------------------------------


def _plan_next(source: Source, begun_at: datetime) -> None:
    """At the polling interval; sooner while outcomes wait: promptly at first, then less and less often."""
    at = database_now()
    newest = Disconnection.objects.filter(source=source).awaiting_reading().order_by("-attempt_ended_at").first()
    pause = source.polling
    if newest and newest.attempt_ended_at:
        waited = at - newest.attempt_ended_at
        pause = max(min(pause, waited / 2), outcomes.pause_between_readings(source))
    next_at = max(begun_at + pause, at + settings.CONSOLE_CONFIRM_PAUSE / 4)
    # Somebody may have asked for an earlier one meanwhile; what was due before this reading began is served by it.
    Source.objects.filter(
        Q(next_reading_at=None) | Q(next_reading_at__lte=begun_at) | Q(next_reading_at__gt=next_at), pk=source.pk
    ).update(next_reading_at=next_at)


def prune(at: datetime) -> int:
    """Remove the records of old readings (not of sessions, which are history); returns how many."""
    old = Reading.objects.filter(ended_at__lt=at - settings.CONSOLE_KEEP_READINGS)
    return old.delete()[0]
