"""Sending disconnections to the remote: claim, call, write what came back.

A worker takes slots of the contract first; then, in one commit, rows become `sending` with a lease and an attempt
each; then the calls are made. A result is written only where the lease is still ours, so a worker that was slow
enough to lose it changes nothing. What comes in bulk is claimed and written in batches: one transaction for whatever
has come back meanwhile.
"""

import logging
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F, Min, Q

from agents import outcomes, pacer, readings
from agents.bulk import insert_many
from agents.clock import database_now
from agents.kinds import (
    Accepted,
    Answer,
    AnswerLost,
    CredentialRejected,
    DisconnectCall,
    NotArrived,
    RateLimited,
    Refused,
    kind_of,
)
from agents.models import Attempt, Credential, Disconnection, Operation, Source
from agents.outcomes import Verdict, advance
from agents.portions import SHARED, Portion
from agents.states import State
from apikeys.checking import KIND as KEY
from apikeys.checking import live_key
from apikeys.rights import rights_of
from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import Entry, record_many

logger = logging.getLogger(__name__)

#: Set when the worker is asked to stop: what is not claimed stays queued for the next one.
stopping = threading.Event()
#: Seconds in which results are gathered, to be written at once.
_MOMENT = 0.1
_draining: set[UUID] = set()
_draining_lock = threading.Lock()


def due_operations(at: datetime, portion: Portion = SHARED) -> list[UUID]:
    """The operations that have something to send now and that this process does not send already; single ones first."""
    due = Disconnection.objects.due(at).filter(_sendable_source(at), portion.within("source__"))
    due = due.order_by("operation__size", "operation_id")
    return [pk for pk in due.values_list("operation_id", flat=True).distinct() if pk not in _draining]


def _sendable_source(at: datetime) -> Q:
    rejected = Credential.objects.filter(purpose=Credential.Purpose.DISCONNECTING, rejected_at__isnull=False)
    blocked = Q(source__contract__blocked_until__gt=at)
    return Q(source__paused_at=None) & ~Q(source__in=rejected.values("source")) & ~blocked


def send_operation(operation_id: UUID, portion: Portion = SHARED) -> bool:
    """Send what is due of an operation in this portion, until nothing is; True where something was sent.

    Where this process does so already, it goes on alone.
    """
    with _alone(operation_id) as alone:
        return alone and _Drain(operation_id, portion).run()


@contextmanager
def _alone(operation_id: UUID) -> Iterator[bool]:
    with _draining_lock:
        alone = operation_id not in _draining
        _draining.add(operation_id)
    try:
        yield alone
    finally:
        if alone:
            with _draining_lock:
                _draining.discard(operation_id)


@cache
def _callers() -> ThreadPoolExecutor:
    """The threads that make calls in bulk; each keeps its connections, so they outlive one operation."""
    return ThreadPoolExecutor(settings.CONSOLE_BULK_CALLS, thread_name_prefix="call")


class _Room:
    """How many calls may be under way at once in this process. What is claimed must not wait for a thread: it would
    leave long after its slot of the allowance, or after its lease."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, wanted: int) -> int:
        with self._lock:
            taken = max(0, min(wanted, settings.CONSOLE_BULK_CALLS - self._taken))
            self._taken += taken
        return taken

    def give_back(self, count: int) -> None:
        with self._lock:
            self._taken -= count


_room = _Room()


@dataclass(frozen=True)
class _Result:
    row: Disconnection
    answer: Answer


class _Drain:
    def __init__(self, operation_id: UUID, portion: Portion) -> None:
        self.portion = portion
        self.operation = Operation.objects.get(pk=operation_id)
        self.bulk = self.operation.size > 1
        self.purpose = pacer.Purpose.BULK if self.bulk else pacer.Purpose.INTERACTIVE
        self.width = settings.CONSOLE_BULK_CALLS if self.bulk else 1
        self.under_way: set[Future[_Result]] = set()
        self.sent = False

    def run(self) -> bool:
        longest = settings.CONSOLE_SWEEP.total_seconds()
        while True:
            pause = self._send_some()
            if self.under_way:
                self._write_some(longest if pause is None else min(pause, longest), gather=not pause)
            elif pause is None:
                return self.sent
            else:
                stopping.wait(min(pause, longest))

    def _write_some(self, timeout: float, *, gather: bool) -> None:
        """Write what comes back next; `gather`: where no slot is waited for, with whatever follows in a moment."""
        done, self.under_way = wait(self.under_way, timeout, return_when=FIRST_COMPLETED)
        if gather and self.under_way:
            more, self.under_way = wait(self.under_way, _MOMENT)
            done |= more
        if done and gather:
            self._send_some()  # The remote works on the next ones while these are written.
        write_results([future.result() for future in done])

    def _send_some(self) -> float | None:
        """Claim and call what may be sent now; after how many seconds more may be, None where nothing is known of."""
        room = self.width - len(self.under_way)
        if stopping.is_set() or not room:
            return None
        at = database_now()
        rows = self._due(at, room)
        if not rows:
            return None
        rows = self._still_to_send(rows, at)
        if not rows:
            return 0.0
        source = rows[0].source
        if is_stale(source, at):
            return self._freshen(source, at)
        threads = _room.take(len(rows)) if self.bulk else len(rows)
        if not threads:
            return 0.05
        before = len(self.under_way)
        try:
            slots = pacer.Slots(threads)
            if source.contract_id is not None:
                slots = pacer.take(source.contract_id, purpose=self.purpose, wanted=threads)
            if slots.blocked:
                return None  # The sweep finds the rows again when the refusal is over.
            self._call(source, rows[: slots.taken])
            return slots.wait
        finally:
            if self.bulk:
                _room.give_back(threads - (len(self.under_way) - before))

    def _call(self, source: Source, rows: list[Disconnection]) -> None:
        began = time.monotonic()
        rows = claim(rows)
        if not rows:
            return
        self.sent = True
        call = kind_of(source).disconnector(source)
        if self.bulk:
            for row in rows:
                future = _callers().submit(_call, call, row, began)
                future.add_done_callback(lambda done: _room.give_back(1))
                self.under_way.add(future)
        else:
            # One row: this thread makes the call itself, which spares a hand-over.
            write_results([_call(call, row, began) for row in rows])

    def _due(self, at: datetime, most: int) -> list[Disconnection]:
        mine = self.portion.within("source__")
        due = Disconnection.objects.due(at).filter(_sendable_source(at), mine, operation=self.operation)
        rows = list(due.select_related("session").order_by("not_before", "requested_at", "pk")[:most])
        if not rows:
            return []
        source = Source.objects.select_related("contract").get(pk=rows[0].source_id)
        rows = [row for row in rows if row.source_id == source.pk]
        for row in rows:
            row.source, row.operation = source, self.operation
        return rows

    def _freshen(self, source: Source, at: datetime) -> float | None:
        """A task reads before it sends where the list is stale, at the reading's own pace where that fails."""
        if source.pk in readings.due(at, self.portion):
            readings.read_source(source.pk)
        at = database_now()
        source.refresh_from_db()
        if not is_stale(source, at):
            return 0.0
        # Where somebody else reads it, his result is soon here; where it can't be read, the sweep comes back to it.
        return 0.05 if source.reading_until and source.reading_until > at else None

    def _still_to_send(self, rows: list[Disconnection], at: datetime) -> list[Disconnection]:
        """Right, identity and ability are looked at again; rows that fail are refused without a call."""
        refusals: dict[tuple[str, Verdict], list[Disconnection]] = defaultdict(list)
        kept = []
        allowed = may_still(self.operation, source=rows[0].source)
        for row in rows:
            verdict = why_unsent(row, at, allowed=allowed)
            if verdict:
                refusals[row.state, verdict].append(row)
            else:
                kept.append(row)
        for (state, verdict), refused in refusals.items():
            advance(refused, verdict, at=at, still=Q(state=state, lease_token=None))
        return kept


def is_stale(source: Source, at: datetime) -> bool:
    own_worker = kind_of(source).own_worker
    freshest: timedelta = own_worker.silence() if own_worker else max(settings.CONSOLE_STALE, source.polling * 2)
    return source.read_at is None or source.read_at < at - freshest


def why_unsent(row: Disconnection, at: datetime, *, allowed: bool) -> Verdict | None:
    """Known before a call is made: why it will not be."""
    if row.send_by < at:
        return Verdict(State.FAILED, Action.DISCONNECTION_FAILED, "It could not be sent in time.")
    if not allowed:
        why = f"{row.operation.actor_label} no longer has the right to disconnect agents."
        if row.state == State.SENDING:
            return Verdict(State.FAILED, Action.DISCONNECTION_FAILED, f"{row.explanation} No other is made: {why}")
        return Verdict(State.REFUSED, Action.DISCONNECTION_REFUSED, why)
    if row.state == State.SENDING:
        return None  # What a reading showed of it allows another attempt (`DisconnectionQuerySet.sendable`).
    session = row.session
    if session.ended_at is not None:
        return Verdict(
            State.ALREADY_GONE, Action.DISCONNECTION_ALREADY_GONE, "The session ended by itself before it was sent."
        )
    now_listed = (session.session_id, session.endpoint, session.agent_id, session.started_text)
    if now_listed != (row.session_id_then, row.endpoint_then, row.agent_id_then, row.started_then):
        return Verdict(
            State.REFUSED,
            Action.DISCONNECTION_REFUSED,
            "The list now gives another agent, endpoint or start for this session ID: nothing was sent.",
        )
    why = kind_of(row.source).why_not(session)
    return Verdict(State.REFUSED, Action.DISCONNECTION_REFUSED, why) if why else None


def may_still(operation: Operation, *, source: Source) -> bool:
    """Whether who asked may still disconnect agents of this source, now that it is about to happen."""
    right = kind_of(source).right_to_disconnect
    if operation.actor_kind == KEY:
        key = live_key(operation.actor_id)
        return key is not None and right in key.rights and key.may_touch(source.name)
    if operation.requested_by_id is None:
        return operation.actor_kind == "command line"
    # Not the person that the operation was loaded with: sending many takes long enough to be deactivated in.
    person = get_user_model().objects.get(pk=operation.requested_by_id)
    return right in rights_of(person)


def claim(rows: list[Disconnection]) -> list[Disconnection]:
    """Make those rows that are still to be sent ours: `sending`, a lease and an attempt each, in one commit."""
    if not rows:
        return []
    token, at = uuid4(), database_now()
    lease_until = at + settings.CONSOLE_ATTEMPT_LIMIT + settings.CONSOLE_LEASE_MARGIN
    by_pk = {row.pk: row for row in rows}
    with transaction.atomic(durable=True):
        free = Disconnection.objects.due(at).filter(pk__in=by_pk)
        locked = list(free.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
        Disconnection.objects.filter(pk__in=locked).update(
            state=State.SENDING,
            lease_token=token,
            lease_until=lease_until,
            resend=False,
            answer="",
            tries=F("tries") + 1,
            posts=F("posts") + 1,
        )
        claimed = [by_pk[pk] for pk in locked]
        for row in claimed:
            row.state, row.lease_token, row.lease_until = State.SENDING, token, lease_until
            row.tries, row.posts = row.tries + 1, row.posts + 1
        insert_many(Attempt, [{"disconnection_id": row.pk, "number": row.tries, "begun_at": at} for row in claimed])
        record_many(
            [
                Entry(
                    Action.DISCONNECTION_SENT,
                    CONSOLE,
                    row.target,
                    row.operation_id,
                    {"attempt": row.tries, "source": row.source.name},
                )
                for row in claimed
            ]
        )
    return claimed


def _call(call: DisconnectCall, row: Disconnection, began: float) -> _Result:
    """Make the call of a claimed row, without the database. Never raises: what nobody foresaw is a lost answer.

    `began`: when its claim began, by this machine's clock. A worker that was held up since must not send any more.
    """
    longest = settings.CONSOLE_LEASE_MARGIN.total_seconds() / 2
    try:
        return _Result(row, call(row, lambda: time.monotonic() - began < longest))
    except Exception:
        logger.exception("The call for %s failed in a way that nobody foresaw", row)
        return _Result(row, AnswerLost("the console failed during the call; its log says more"))


# --- Writing what came back --------------------------------------------------------------------------------------


def write_results(results: list[_Result]) -> None:
    """Write what came back, one transaction for each answer that several rows share."""
    at = database_now()
    groups: dict[tuple[int, Answer], list[Disconnection]] = defaultdict(list)
    for result in results:
        groups[result.row.source_id, result.answer].append(result.row)
    for (_, answer), rows in groups.items():
        moved = _write(rows[0].source, rows, answer, at)
        _note_late(answer, [row for row in rows if row not in moved])


def _write(source: Source, rows: list[Disconnection], answer: Answer, at: datetime) -> list[Disconnection]:
    match answer:
        case Accepted():
            return _accept(source, rows, answer, at)
        case Refused():
            return outcomes.answered_no(source, rows, answer.status, answer.code, answer.message, at)
        case AnswerLost():
            return outcomes.lose_answer(source, rows, answer.message, at, status=answer.status)
        case NotArrived():
            return _requeue(rows, Attempt.Result.NOT_ARRIVED, answer.message, at, at + back_off(rows[0].tries))
        case RateLimited():
            readings.stop_contract(source, answer.until, at)
            why = "the remote's rate limit refuses every request"
            return _requeue(rows, Attempt.Result.RATE_LIMITED, why, at, answer.until, status=answer.status)
        case CredentialRejected():
            _reject_credential(source, rows, answer, at)
            why = "the remote does not accept the credential for disconnecting"
            if answer.status is None:
                why = answer.message.rstrip(".") or why
            # Where there is none to be rejected, nothing else would keep it from being tried again at once.
            later = at + back_off(rows[0].tries)
            return _requeue(rows, Attempt.Result.REJECTED, why, at, later, status=answer.status)


def _accept(source: Source, rows: list[Disconnection], answer: Accepted, at: datetime) -> list[Disconnection]:
    def within(pks: list[UUID]) -> None:
        outcomes.end_attempts(pks, at, Attempt.Result.ACCEPTED, status=answer.status)
        outcomes.hurry(source, at + settings.CONSOLE_CONFIRM_PAUSE / 4)

    # Not the end of an earlier attempt whose answer was lost.
    verdict = outcomes.accepted(source, "The remote accepted the request.", at)
    return advance(
        rows,
        replace(verdict, columns=verdict.columns | {"attempt_ended_at": at}),
        at=at,
        still=outcomes.ours(rows),
        data=lambda row: {"attempt": row.tries, "status": answer.status},
        within=within,
    )


def _requeue(
    rows: list[Disconnection],
    result: Attempt.Result,
    why: str,
    at: datetime,
    not_before: datetime,
    status: int | None = None,
) -> list[Disconnection]:
    """Proved not arrived: as if it had not been sent, and so not counted among the three attempts.

    Where an earlier attempt may have arrived, the row stays `sending`: what is gone then may be gone by us.
    """
    again = {"not_before": not_before.isoformat(), "why": why} | ({"status": status} if status else {})
    columns = {"lease_token": None, "lease_until": None, "not_before": not_before, "posts": F("posts") - 1}
    explanation = f"Not sent: {why}."

    def data(row: Disconnection) -> dict[str, object]:
        return {"attempt": row.tries, **again}

    def within(pks: list[UUID]) -> None:
        outcomes.end_attempts(pks, at, result, status=status, message=why)

    first = [row for row in rows if row.posts == 1]
    verdict = Verdict(State.QUEUED, Action.DISCONNECTION_REQUEUED, explanation, columns)
    moved = advance(first, verdict, at=at, still=outcomes.ours(rows), data=data, within=within)
    later = [row for row in rows if row.posts > 1]
    waiting = {**columns, "answer": Disconnection.Answer.LOST, "resend": True, "explanation": explanation}
    action = Action.DISCONNECTION_REQUEUED
    return moved + outcomes.change(later, waiting, action, still=outcomes.ours(rows), data=data, within=within)


def back_off(tries: int) -> timedelta:
    """Before the next try: doubling to a limit, with jitter."""
    doubled: timedelta = min(settings.CONSOLE_RETRY_FIRST * 2 ** min(tries - 1, 16), settings.CONSOLE_RETRY_MOST)
    return doubled * random.uniform(0.5, 1.0)


def _reject_credential(source: Source, rows: list[Disconnection], answer: CredentialRejected, at: datetime) -> None:
    with transaction.atomic(durable=True):
        # One that was replaced meanwhile is not the one that the remote turned down.
        begun = Attempt.objects.filter(disconnection__in=rows, ended_at=None).aggregate(Min("begun_at"))[
            "begun_at__min"
        ]
        accepted_so_far = source.credentials.filter(
            purpose=Credential.Purpose.DISCONNECTING, rejected_at=None, replaced_at__lte=begun or at
        )
        if accepted_so_far.update(rejected_at=at):
            data = {"purpose": "disconnecting", "status": answer.status, "why": answer.message}
            record_many([Entry(Action.CREDENTIAL_REJECTED, CONSOLE, source.target, data=data)])


def _note_late(answer: Answer, rows: list[Disconnection]) -> None:
    """An answer that came after its lease had run out changes nothing, but is on record."""
    if not rows:
        return
    data = {"answer": type(answer).__name__}
    action = Action.DISCONNECTION_LATE_ANSWER
    with transaction.atomic(durable=True):
        record_many(
            [
                Entry(
                    action,
                    CONSOLE,
                    row.target,
                    row.operation_id,
                    {"attempt": row.tries, "source": row.source.name, **data},
                )
                for row in rows
            ]
        )
