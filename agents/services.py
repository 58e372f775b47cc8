"""What people and programs may do to agent sessions and their disconnections; each call is a whole transaction.

Every way in comes here: the button, the command line and, later, the API. Rights are checked here, whatever the
caller checked.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from unicodedata import category
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.timezone import localtime

from agents import outcomes, pacer
from agents.clock import database_now
from agents.kinds import kind_of
from agents.models import AgentSession, Disconnection, Operation, Source
from agents.outcomes import Verdict
from agents.states import State
from apikeys.rights import require
from audit import nudging
from audit.actions import Action
from audit.actors import Actor
from audit.services import Entry, record_many

LONGEST_REASON = 500


class AlreadyOpen(Exception):
    """Every one of the sessions is being disconnected already."""

    def __init__(self, existing: Disconnection) -> None:
        super().__init__(f"{existing.agent_id_then} is already being disconnected by {existing.operation.actor_label}.")
        self.existing = existing


class NotOffered(Exception):
    """None of the sessions can be disconnected; the message says why."""


def clean_reason(reason: str) -> str:
    """The reason as it is kept: spaces around it trimmed, control characters out. Raises ValidationError.

    Other marks that don't print stay: words of many languages need them, and pages show the dangerous ones harmlessly.
    """
    cleaned = "".join(char for char in reason if char in "\n\t" or category(char) not in ("Cc", "Cs")).strip()
    if not any(category(char)[0] in "LNPS" for char in cleaned):
        raise ValidationError("Give a reason: it is what the audit log will show.", code="required")
    if len(cleaned) > LONGEST_REASON:
        raise ValidationError(
            "The reason has %(length)d characters; %(most)d are the most.",
            code="max_length",
            params={"length": len(cleaned), "most": LONGEST_REASON},
        )
    return cleaned


def why_not_now(
    session: AgentSession, at: datetime, *, open_one: Disconnection | None = None, left_over: bool | None = None
) -> str:
    """Why the state of this session or of its source does not allow a disconnection now; empty where it does.

    Whether ours ended as still connected is looked up where the caller does not tell (`left_over`).

    `closing` alone is no reason for ever: a leftover entry is the manual's own use case, so once the time to confirm
    is over (or ours ended as still connected) the button reads *Send again*.
    """
    if session.ended_at:
        return "This session has ended."
    if open_one:
        return f"It is already being disconnected by {open_one.operation.actor_label}."
    source = session.source
    if source.paused_at:
        return f"The source {source.name} is paused."
    if source.contract and source.contract.blocked_until and source.contract.is_blocked(at):
        until = source.contract.blocked_until
        return f"The remote's rate limit refuses every request until {localtime(until):%H:%M %Z}."
    if session.closing and not _may_send_again(session, at, left_over):
        return "The remote says that this session will be closed already."
    return kind_of(source).why_not(session)


def _may_send_again(session: AgentSession, at: datetime, left_over: bool | None) -> bool:
    if session.closing_since is None or session.closing_since + session.source.confirm_within <= at:
        return True
    if left_over is not None:
        return left_over
    return session.disconnections.filter(state=State.STILL_CONNECTED).exists()


def request_disconnection(
    *, sessions: Sequence[AgentSession], reason: str, actor: Actor, token: UUID, person_id: int | None = None
) -> Operation:
    """Order these sessions disconnected: recorded durably, sent by a worker.

    The same `token` again returns the first operation. Sessions that somebody's open disconnection covers get no new
    row; those that are known not to be disconnectable get a row that is refused at once. Raises NotAllowed,
    ValidationError (the reason), `AlreadyOpen` or `NotOffered` where nothing is left to be done.
    """
    _require_right(sessions, actor)
    reason = clean_reason(reason)
    known = Operation.objects.filter(token=token).first()
    if known:
        return known
    at = database_now()
    offered, refusals = _sort_out(sessions, at)
    if not offered:
        raise NotOffered(next(iter(refusals.values()), "No session was given."))
    operation = Operation(
        token=token,
        reason=reason,
        requested_at=at,
        requested_by_id=person_id,
        actor_kind=actor.kind,
        actor_id=actor.id[:64],
        actor_label=actor.label[:200],
        size=len(sessions),
    )
    rows = [_row(operation, session, at, _send_by(at, sessions)) for session in sessions]
    for row in rows:
        if row.session_id in refusals:
            # Never due: it is refused right after it was recorded, and no worker may be quicker.
            row.not_before = row.send_by + timedelta(days=1)
    try:
        return _record(operation, rows, actor)
    except IntegrityError:
        # The same form, sent twice at once: the other one was quicker.
        return Operation.objects.get(token=token)
    finally:
        _refuse_known(rows, refusals, at)


def _require_right(sessions: Sequence[AgentSession], actor: Actor) -> None:
    wanted = {kind_of(session.source).right_to_disconnect for session in sessions}
    if wanted - actor.rights:
        with transaction.atomic(durable=True):
            record_many([Entry(Action.DISCONNECTION_NOT_ALLOWED, actor, each.target) for each in sessions[:100]])
    for right in sorted(wanted):
        require(actor, right)


def _sort_out(sessions: Sequence[AgentSession], at: datetime) -> tuple[list[AgentSession], dict[int, str]]:
    refusals = {session.pk: why_not_now(session, at) for session in sessions}
    return [each for each in sessions if not refusals[each.pk]], {pk: why for pk, why in refusals.items() if why}


def _send_by(at: datetime, sessions: Sequence[AgentSession]) -> datetime:
    """A quarter of an hour from now; for many, as much longer as their contract's allowance takes."""
    contract = sessions[0].source.contract
    needed = pacer.spacing(contract.requests_per_minute) * len(sessions) if contract and len(sessions) > 1 else 0.0
    within: timedelta = settings.CONSOLE_SEND_WITHIN
    return at + within + timedelta(seconds=needed)


def _row(operation: Operation, session: AgentSession, at: datetime, send_by: datetime) -> Disconnection:
    return Disconnection(
        operation=operation,
        source_id=session.source_id,
        session=session,
        session_id_then=session.session_id,
        endpoint_then=session.endpoint,
        agent_id_then=session.agent_id,
        started_then=session.started_text,
        requested_at=at,
        send_by=send_by,
        not_before=at,
    )


def _record(operation: Operation, rows: list[Disconnection], actor: Actor) -> Operation:
    with transaction.atomic(durable=True):
        operation.save(force_insert=True)
        # The constraint decides between two administrators at once: the second one's row is left out.
        Disconnection.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
        kept = set(Disconnection.objects.filter(operation=operation).values_list("pk", flat=True))
        if not kept:
            transaction.set_rollback(True)
        else:
            _tell(operation, [row for row in rows if row.pk in kept], actor)
    if not kept:
        raise _already_open(rows, actor)
    _record_already_open(operation, [row for row in rows if row.pk not in kept], actor)
    return operation


def _tell(operation: Operation, rows: list[Disconnection], actor: Actor) -> None:
    if operation.size != len(rows):
        operation.size = len(rows)
        operation.save(update_fields=["size"])
    requested = Entry(
        Action.OPERATION_REQUESTED,
        actor,
        operation.target,
        operation.pk,
        {"reason": operation.reason, "sessions": len(rows), "source": rows[0].session.source.name},
    )
    queued = [
        Entry(
            Action.DISCONNECTION_QUEUED,
            actor,
            row.target,
            operation.pk,
            {
                "endpoint": row.endpoint_then,
                "started": row.started_then,
                "agent_session": row.session_id,
                "source": row.session.source.name,
            },
        )
        for row in rows
    ]
    record_many([requested, *queued])
    transaction.on_commit(lambda: nudge(operation.pk), robust=True)


def nudge(operation_id: UUID) -> None:
    """Wake a worker for an operation."""
    from agents.tasks import send_operation

    nudging.nudge(send_operation, f"operation {operation_id}", operation_id=str(operation_id))


def _already_open(rows: list[Disconnection], actor: Actor) -> AlreadyOpen | NotOffered:
    open_ones = Disconnection.objects.open().filter(session__in=[row.session_id for row in rows])
    existing = open_ones.select_related("operation").first()
    if existing is None:
        return NotOffered("It was being disconnected by somebody else, which has just come to its end: look again.")
    _record_already_open(existing.operation, rows, actor)
    return AlreadyOpen(existing)


def _record_already_open(operation: Operation, rows: list[Disconnection], actor: Actor) -> None:
    if not rows:
        return
    with transaction.atomic(durable=True):
        record_many(
            [
                Entry(
                    Action.DISCONNECTION_ALREADY_OPEN,
                    actor,
                    row.session.target,
                    operation.pk,
                    {"source": row.session.source.name},
                )
                for row in rows
            ]
        )


def _refuse_known(rows: list[Disconnection], refusals: dict[int, str], at: datetime) -> None:
    for row in rows:
        why = refusals.get(row.session_id)
        if why:
            verdict = Verdict(State.REFUSED, Action.DISCONNECTION_REFUSED, why)
            outcomes.advance([row], verdict, at=at, still=Q(state=State.QUEUED))


def cancel_disconnection(*, disconnection: Disconnection, actor: Actor) -> bool:
    """Take an order back before it is sent; False where it was sent, or over, already. Raises NotAllowed."""
    require(actor, kind_of(disconnection.source).right_to_disconnect)
    still = Q(state=State.QUEUED)
    return bool(outcomes.advance([disconnection], _cancelled(actor), at=database_now(), still=still, actor=actor))


def _cancelled(actor: Actor) -> Verdict:
    why = f"Cancelled by {actor.label} before it was sent."
    return Verdict(State.CANCELLED, Action.DISCONNECTION_CANCELLED, why)


def cancel_operation(*, operation: Operation, actor: Actor) -> int:
    """The same for all of an operation that is still queued; returns how many were taken back."""
    for source in Source.objects.filter(disconnections__operation=operation).distinct():
        require(actor, kind_of(source).right_to_disconnect)
    queued = list(operation.disconnections.filter(state=State.QUEUED))
    still = Q(state=State.QUEUED)
    return len(outcomes.advance(queued, _cancelled(actor), at=database_now(), still=still, actor=actor))
