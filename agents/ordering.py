"""Disconnections that an API key asks for: by the very service that the button uses, and its refusals as problems."""

import math
from collections.abc import Sequence
from uuid import UUID, uuid4

from django.utils import timezone

from agents import services
from agents.clock import database_now
from agents.kinds import kind_of
from agents.models import AgentSession, Operation
from apikeys.checking import LiveKey
from apikeys.errors import Problem, Refusal


def order(
    key: LiveKey, sessions: Sequence[AgentSession], *, reason: str, operation_token: UUID | None = None
) -> Operation:
    """`request_disconnection` for a key. Raises `AlreadyOpen`, ValidationError (the reason) and `Refusal`."""
    reason = reason or f"Asked for by the API key {key.name}."
    try:
        return services.request_disconnection(
            sessions=sessions, reason=reason, actor=key.actor, token=operation_token or uuid4()
        )
    except services.NotOffered as error:
        raise refusal_of(sessions[0], str(error)) from None


def refusal_of(session: AgentSession, why: str) -> Refusal:
    """What keeps this session from being disconnected, told apart."""
    at, source = database_now(), session.source
    if session.ended_at:
        return Refusal(Problem.SESSION_UNKNOWN, why)
    if source.paused_at:
        return Refusal(Problem.PAUSED, why)
    if source.contract and source.contract.blocked_until and source.contract.is_blocked(at):
        seconds = math.ceil((source.contract.blocked_until - timezone.now()).total_seconds())
        return Refusal(Problem.SOURCE_REFUSED, why, {"Retry-After": str(max(1, seconds))})
    if kind_of(source).why_not(session):
        return Refusal(Problem.NOT_DISCONNECTABLE, why)
    return Refusal(Problem.CLOSING if services.why_not_now(session, at) else Problem.RACED, why)
