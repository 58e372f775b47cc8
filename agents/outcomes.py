"""What became of disconnections: the judge of every move that a reading or a deadline decides (design: section 5).

`advance` is the one way to change a disconnection's state: it locks the rows that still are where the caller saw
them, moves them, and records an event for each, in one transaction.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Least

from agents import pacer
from agents.bulk import Columns
from agents.clock import database_now
from agents.models import AgentSession, Attempt, Disconnection, Source
from agents.states import FINAL, State, sources_of
from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.services import Entry, record_many

#: Attempts that may have arrived at the remote.
MOST_POSTS = 3
_BATCH = 500
Answer = Disconnection.Answer
type Data = Callable[[Disconnection], dict[str, Any]]
type Within = Callable[[list[UUID]], None]


@dataclass(frozen=True)
class Verdict:
    """One move, to be made of all rows that share it."""

    target: State
    action: Action
    explanation: str
    columns: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)


def advance(
    rows: Sequence[Disconnection],
    verdict: Verdict,
    *,
    at: datetime,
    still: Q,
    actor: Actor = CONSOLE,
    data: Data = lambda row: {},
    within: Within = lambda pks: None,
) -> list[Disconnection]:
    """Move those of `rows` that `still` holds for; returns them. The rest was moved by somebody quicker."""
    columns: dict[str, Any] = {"state": verdict.target, "explanation": verdict.explanation[:1000], **verdict.columns}
    if verdict.target in FINAL:
        columns |= {"finished_at": at, "lease_token": None, "lease_until": None, "resend": False}
    explained = {"explanation": verdict.explanation} if verdict.explanation else {}
    return change(
        rows,
        columns,
        verdict.action,
        still=still & Q(state__in=sources_of(verdict.target)),
        actor=actor,
        data=lambda row: explained | data(row),
        within=within,
    )


def change(
    rows: Sequence[Disconnection],
    columns: dict[str, Any],
    action: Action,
    *,
    still: Q,
    actor: Actor = CONSOLE,
    data: Data = lambda row: {},
    within: Within = lambda pks: None,
) -> list[Disconnection]:
    """Write `columns` to those of `rows` that `still` holds for, with an event each; returns those rows.

    `within` does more in the same transaction, with the keys of the rows that were changed.
    """
    by_pk = {row.pk: row for row in rows}
    names = source_names(rows)
    changed: list[Disconnection] = []
    for pks in _batches(sorted(by_pk)):
        with transaction.atomic(durable=True):
            unchanged = Disconnection.objects.filter(still, pk__in=pks).order_by("pk")
            locked = list(unchanged.select_for_update().values_list("pk", flat=True))
            Disconnection.objects.filter(pk__in=locked).update(**columns)
            within(locked)
            done = [by_pk[pk] for pk in locked]
            record_many(
                [
                    Entry(action, actor, row.target, row.operation_id, {"source": names[row.source_id], **data(row)})
                    for row in done
                ]
            )
        changed += done
    return changed


def source_names(rows: Sequence[Disconnection]) -> dict[int, str]:
    """The names of their sources, by key: each event says which one it is about, so that a search finds it."""
    return dict(Source.objects.filter(pk__in={row.source_id for row in rows}).values_list("pk", "name"))


def _batches[T](items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


# --- What a reading proves ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """What one reading can prove: when it began, what it listed, and whether absence from it counts by itself."""

    begun_at: datetime
    listed: frozenset[str]
    decisive: bool
    whole: bool
    previous_begun_at: datetime | None

    def lists(self, session: AgentSession) -> bool:
        return session.ended_at is None and session.session_id in self.listed

    def proves_gone(self, session: AgentSession, since: datetime) -> bool:
        """Whether the session is proved gone by readings begun after `since`: by this one alone, or with the last."""
        if not self.whole or session.absent_since is None or self.begun_at <= since or self.lists(session):
            return False
        if self.decisive:
            return True
        previous = self.previous_begun_at
        return previous is not None and previous > since and session.absent_since <= previous


def judge(source: Source, evidence: Evidence, at: datetime) -> None:
    """Decide every open disconnection of the source that this reading can decide."""
    verdicts: dict[tuple[str, str, Verdict], list[Disconnection]] = defaultdict(list)
    # Of a bulk operation most rows are queued, or accepted and still listed: nothing can be decided of those.
    decidable = Q(session__absent_since__isnull=False) | Q(state=State.SENDING) | Q(confirm_by__lte=at)
    for row in Disconnection.objects.open().filter(decidable, source=source).select_related("session"):
        verdict = _verdict(source, row, evidence, at)
        if verdict:
            verdicts[row.state, row.answer, verdict].append(row)
    for (state, answer, verdict), rows in verdicts.items():
        advance(rows, verdict, at=at, still=Q(state=state, answer=answer, lease_token=None))
    plan_resends(source, evidence)


def _verdict(source: Source, row: Disconnection, evidence: Evidence, at: datetime) -> Verdict | None:
    if row.lease_token:
        return None
    since = row.attempt_ended_at or row.requested_at
    gone = evidence.proves_gone(row.session, since)
    listed = evidence.lists(row.session) and evidence.begun_at > since
    match row.state, row.answer:
        case State.QUEUED, _ if gone:
            return Verdict(
                State.ALREADY_GONE, Action.DISCONNECTION_ALREADY_GONE, "The session ended by itself before it was sent."
            )
        case State.SENDING, Answer.LOST if gone:
            return _confirmed("The answer was lost, but a later reading no longer lists the session.")
        case State.SENDING, Answer.LOST if listed and row.session.closing:
            return accepted(
                source, "The answer was lost, but the remote's list says that the session will be closed.", at
            )
        case State.SENDING, Answer.LOST if (
            listed and row.posts >= MOST_POSTS and evidence.begun_at >= since + source.settle
        ):
            return Verdict(
                State.FAILED,
                Action.DISCONNECTION_FAILED,
                f"{MOST_POSTS} attempts brought no answer, and the session is still listed.",
            )
        case State.SENDING, Answer.NO if gone:
            return Verdict(
                State.ALREADY_GONE,
                Action.DISCONNECTION_ALREADY_GONE,
                "The remote said no, and a later reading no longer lists the session: "
                + ("it had ended by itself." if row.posts == 1 else "an earlier attempt may have ended it."),
            )
        case State.SENDING, Answer.NO if listed:
            return Verdict(State.REFUSED, Action.DISCONNECTION_REFUSED, row.explanation)
        case State.ACCEPTED, _ if gone:
            return _confirmed("A reading begun after the attempt no longer lists the session.")
        case State.ACCEPTED, _ if listed and row.confirm_by and at >= row.confirm_by:
            return Verdict(
                State.STILL_CONNECTED,
                Action.DISCONNECTION_STILL_CONNECTED,
                "The remote accepted the request, but still listed the session when the time to confirm was over.",
            )
    return None


def _confirmed(explanation: str) -> Verdict:
    return Verdict(State.CONFIRMED, Action.DISCONNECTION_CONFIRMED, explanation)


def accepted(source: Source, explanation: str, at: datetime) -> Verdict:
    return Verdict(
        State.ACCEPTED,
        Action.DISCONNECTION_ACCEPTED,
        explanation,
        {
            "accepted_at": at,
            "attempt_ended_at": Coalesce(F("attempt_ended_at"), at),
            "lease_token": None,
            "lease_until": None,
            "resend": False,
            "answer": "",
            **confirm_times(source, at),
        },
    )


def confirm_times(source: Source, at: datetime) -> dict[str, datetime]:
    confirm_by = at + source.confirm_within
    return {"confirm_by": confirm_by, "confirm_latest": confirm_by + settings.CONSOLE_UNREADABLE_LIMIT}


def plan_resends(source: Source, evidence: Evidence) -> None:
    """A lost answer whose session is still listed, not closing, after the settle time: the call is made again.

    One that was to be made again, and whose session this reading no longer lists or says to be closing, waits on.
    """
    Disconnection.objects.filter(source=source, state=State.SENDING, lease_token=None, resend=True).exclude(
        session__in=AgentSession.objects.live().filter(source=source, absent_since=None, closing=False)
    ).update(resend=False)
    Disconnection.objects.filter(
        source=source,
        state=State.SENDING,
        answer=Answer.LOST,
        lease_token=None,
        resend=False,
        posts__lt=MOST_POSTS,
        attempt_ended_at__lte=evidence.begun_at - source.settle,
        session__ended_at=None,
        session__absent_since=None,
        session__closing=False,
        session__session_id__in=_awaited(source, evidence),
    ).update(resend=True)


def _awaited(source: Source, evidence: Evidence) -> list[str]:
    lost = Disconnection.objects.filter(source=source, state=State.SENDING, answer=Answer.LOST)
    return [each for each in lost.values_list("session__session_id", flat=True) if each in evidence.listed]


# --- What becomes of sessions ------------------------------------------------------------------------------------

#: States in which an order of ours may have reached the remote.
_OURS = [State.SENDING, State.ACCEPTED, State.CONFIRMED, State.STILL_CONNECTED, State.UNKNOWN]


def end_sessions(pks: list[int], at: datetime) -> None:
    """These sessions are over: by us where an order of ours may have arrived, else by themselves."""
    ended = AgentSession.objects.filter(pk__in=pks, ended_at=None)
    by_us = Disconnection.objects.filter(session__in=pks, state__in=_OURS, posts__gt=0).exclude(answer=Answer.NO)
    gone = {"absent_since": Coalesce(F("absent_since"), at), "ended_at": at}
    ended.filter(pk__in=by_us.values("session")).update(ended_by=AgentSession.EndedBy.US, **gone)
    ended.update(ended_by=AgentSession.EndedBy.ITSELF, **gone)


#: What `notice_returns` looks at of a session.
SEEN_AGAIN = ("session_id", "agent_id", "direction", "connection_ids", "first_seen_at")


def notice_late_ends(pks: list[int], at: datetime) -> None:
    """A session seen gone after its disconnection was final: noted on the row, which keeps its outcome."""
    states = [State.STILL_CONNECTED, State.UNKNOWN, State.FAILED, State.REFUSED]
    late = Disconnection.objects.filter(session__in=pks, state__in=states, seen_gone_at=None)
    for row in late:
        _annotate(row, Action.DISCONNECTION_SEEN_GONE, {}, Q(seen_gone_at=None), seen_gone_at=at)


def notice_returns(source: Source, new: Sequence[Columns], at: datetime) -> None:
    """The agent of a disconnection came back: same agent ID and direction, a shared connection ID, a new session."""
    since = at - settings.CONSOLE_CAME_BACK_WITHIN
    watched = Disconnection.objects.filter(
        source=source,
        state__in=[State.ACCEPTED, State.CONFIRMED],
        came_back_as=None,
        attempt_ended_at__gte=since,
        agent_id_then__in={session["agent_id"] for session in new} if len(new) <= _BATCH else F("agent_id_then"),
    )
    by_agent = defaultdict(list)
    for session in new:
        by_agent[session["agent_id"], session["direction"]].append(session)
    for row in watched.select_related("session") if new else ():
        for session in by_agent[row.agent_id_then, row.session.direction]:
            if (
                row.attempt_ended_at
                and session["first_seen_at"] > row.attempt_ended_at
                and _share_connection(row, session)
            ):
                stored = AgentSession.objects.get(
                    source=source, session_id=session["session_id"], first_seen_at=session["first_seen_at"]
                )
                data = {"session_id": stored.session_id, "agent_session": stored.pk}
                _annotate(
                    row,
                    Action.DISCONNECTION_CAME_BACK,
                    data,
                    Q(came_back_as=None),
                    came_back_as=stored,
                    came_back_at=at,
                )
                break


def _share_connection(row: Disconnection, session: Columns) -> bool:
    return bool(set(row.session.connection_ids) & set(session["connection_ids"]))


def _annotate(row: Disconnection, action: Action, data: dict[str, Any], still: Q, **columns: Any) -> None:
    with transaction.atomic(durable=True):
        if Disconnection.objects.filter(still, pk=row.pk).update(**columns):
            record_many([Entry(action, CONSOLE, row.target, row.operation_id, {"source": row.source.name, **data})])


# --- Deadlines ---------------------------------------------------------------------------------------------------


def extend_deadlines(source: Source, unreadable_since: datetime, at: datetime) -> None:
    """The time to confirm runs only while the list can be read; what it could not be read is added, to a limit."""
    rows = list(Disconnection.objects.filter(source=source).awaiting_reading().exclude(confirm_by=None))
    for row in rows:
        assert row.confirm_by and row.confirm_latest
        lost = at - max(unreadable_since, row.attempt_ended_at or unreadable_since)
        row.confirm_by = min(row.confirm_latest, row.confirm_by + max(lost, timedelta(0)))
    Disconnection.objects.bulk_update(rows, ["confirm_by"], batch_size=_BATCH)


def expire(at: datetime) -> None:
    """Every deadline that passed: leases, the latest time to send, the latest time to confirm."""
    expire_leases(at)
    _expire_unsent(at)
    _expire_unconfirmed(at)


def expire_leases(at: datetime) -> None:
    """The worker of these attempts died or was too slow: their answers are lost."""
    rows = Disconnection.objects.filter(state=State.SENDING, lease_until__lt=at).select_related("source")
    by_claim = defaultdict(list)
    for row in rows:
        by_claim[row.source, row.lease_until].append(row)
    for (source, lease_until), orphans in by_claim.items():
        assert lease_until
        lose_answer(source, orphans, "the worker stopped before it could write one", lease_until)


def lose_answer(
    source: Source, rows: list[Disconnection], why: str, ended_at: datetime, status: int | None = None
) -> list[Disconnection]:
    """An answer is lost: it stays `sending` until a reading, at the earliest after the settle time, shows more."""
    lost = {"why": why} | ({"status": status} if status else {})
    changed = change(
        rows,
        _awaiting(source, Answer.LOST, f"An attempt brought no answer: {why}.", ended_at),
        Action.DISCONNECTION_ANSWER_LOST,
        still=ours(rows),
        data=lambda row: {"attempt": row.tries, **lost},
        within=lambda pks: end_attempts(pks, ended_at, Attempt.Result.LOST, status=status, message=why),
    )
    hurry(source, ended_at + source.settle)
    return changed


def answered_no(
    source: Source, rows: list[Disconnection], status: int | None, code: str, message: str, ended_at: datetime
) -> list[Disconnection]:
    """The remote said no: a reading tells whether it still lists the session."""
    said = " ".join(filter(None, [code, message])) or "without saying why"
    changed = change(
        rows,
        _awaiting(source, Answer.NO, f"The remote refused: status {status}, {said}", ended_at),
        Action.DISCONNECTION_ANSWERED_NO,
        still=ours(rows),
        data=lambda row: {"attempt": row.tries, "status": status, "code": code, "message": message},
        within=lambda pks: end_attempts(
            pks, ended_at, Attempt.Result.REFUSED, status=status, code=code, message=message
        ),
    )
    hurry(source, ended_at)
    return changed


def ours(rows: Iterable[Disconnection]) -> Q:
    """Whose lease is still the one that these rows were claimed with."""
    return Q(state=State.SENDING, lease_token__in={row.lease_token for row in rows})


def _awaiting(source: Source, answer: str, explanation: str, ended_at: datetime) -> dict[str, Any]:
    return {
        "answer": answer,
        "explanation": explanation[:1000],
        "lease_token": None,
        "lease_until": None,
        "resend": False,
        "attempt_ended_at": ended_at,
        **confirm_times(source, ended_at),
    }


def hurry(source: Source, at: datetime) -> None:
    """Have this source read at `at`, or as soon after that as one reading may follow another."""
    if source.read_begun_at:
        at = max(at, source.read_begun_at + pause_between_readings(source))
    Source.objects.filter(pk=source.pk).update(next_reading_at=Least(F("next_reading_at"), at))


def pause_between_readings(source: Source) -> timedelta:
    """From the beginning of one to that of the next, at the least, while outcomes wait for them."""
    pause: timedelta = min(source.polling, settings.CONSOLE_CONFIRM_PAUSE)
    if source.contract and source.contract.requests_per_minute and posts_wait(source.contract.pk):
        # One call in eight is for reading while POSTs wait for slots; more where confirming would come too late.
        slots = timedelta(seconds=8 * source.calls * pacer.spacing(source.contract.requests_per_minute))
        pause = max(pause, min(slots, source.confirm_within / 2))
    return pause


def posts_wait(contract_id: int) -> bool:
    return Disconnection.objects.due(database_now()).filter(source__contract=contract_id).exists()


def end_attempts(
    disconnections: Iterable[UUID],
    at: datetime,
    result: Attempt.Result,
    *,
    status: int | None = None,
    code: str = "",
    message: str = "",
) -> None:
    Attempt.objects.filter(disconnection__in=list(disconnections), ended_at=None).update(
        ended_at=at, result=result, status=status, code=code[:100], message=message[:500]
    )


def _expire_unsent(at: datetime) -> None:
    late = list(Disconnection.objects.sendable().filter(send_by__lt=at))
    for state in (State.QUEUED, State.SENDING):
        by_reason = defaultdict(list)
        for row in late:
            if row.state == state:
                by_reason[row.explanation].append(row)
        for reason, rows in by_reason.items():
            explanation = "It could not be sent in time." + (f" Last: {reason}" if reason else "")
            advance(
                rows,
                Verdict(State.FAILED, Action.DISCONNECTION_FAILED, explanation),
                at=at,
                still=Q(state=state, lease_token=None),
            )


def _expire_unconfirmed(at: datetime) -> None:
    late = (
        Disconnection.objects.awaiting_reading().filter(confirm_by__lt=at).select_related("source__contract", "session")
    )
    verdicts: dict[tuple[str, str, Verdict], list[Disconnection]] = defaultdict(list)
    for row in late:
        verdict = _late_verdict(row, at)
        if verdict:
            verdicts[row.state, row.answer, verdict].append(row)
    for (state, answer, verdict), rows in verdicts.items():
        advance(rows, verdict, at=at, still=Q(state=state, answer=answer, lease_token=None))


def _late_verdict(row: Disconnection, at: datetime) -> Verdict | None:
    assert row.confirm_by and row.confirm_latest
    limit = row.confirm_by + _grace(row.source) if is_readable(row.source, at) else row.confirm_latest
    if at < limit:
        return None  # The clock stands, or a reading that can decide is on its way.
    if row.answer == Answer.NO:
        return Verdict(State.REFUSED, Action.DISCONNECTION_REFUSED, row.explanation)
    why = row.source.incomplete or row.source.failure or "The source's list could not be read in time."
    return Verdict(State.UNKNOWN, Action.DISCONNECTION_UNKNOWN, f"Nobody can say whether the session is gone. {why}")


def _grace(source: Source) -> timedelta:
    """For readings on their way: absence from a list of many pages takes two, and a small allowance makes them slow."""
    per_minute = source.contract.requests_per_minute if source.contract else 0
    two_readings = timedelta(seconds=2 * source.calls * 2 * pacer.spacing(per_minute))
    lease: timedelta = settings.CONSOLE_ATTEMPT_LIMIT + settings.CONSOLE_LEASE_MARGIN
    return lease + two_readings


def is_readable(source: Source, at: datetime) -> bool:
    blocked = source.contract is not None and source.contract.is_blocked(at)
    return source.paused_at is None and source.unreadable_since is None and not blocked
