"""Sources, agent sessions and disconnections for tests, as readings and workers would have left them."""

from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import uuid4

from agents import credentials
from agents.credentials import Secret
from agents.models import AgentSession, Contract, Credential, Disconnection, Operation, Source
from agents.states import FINAL, State
from agents.versions import version_number
from agents.webconnect.models import WebConnectSource

_numbers = count(1)


def now() -> datetime:
    return datetime.now(UTC)


def make_source(name: str = "", *, base_url: str = "http://127.0.0.1:9/api/v2", **overrides: object) -> Source:
    """A WebConnect source that was read a moment ago, with a key for each purpose."""
    name = name or f"source {next(_numbers)}"
    at = now()
    values = {
        "kind": "webconnect",
        "contract": Contract.objects.get_or_create(name=name)[0],
        "created_at": at,
        "read_at": at,
        "read_begun_at": at,
    }
    source = Source.objects.create(name=name, **(values | overrides))
    WebConnectSource.objects.create(source=source, base_url=base_url)
    for purpose in Credential.Purpose:
        credentials.store(source, purpose, Secret(f"key-of-{name.replace(' ', '-')}-for-{purpose}"), at=at)
    return source


def make_session(source: Source, agent_id: str = "", **overrides: object) -> AgentSession:
    """A live session of an agent that can be disconnected."""
    number = next(_numbers)
    values = {
        "session_id": f"session-{number:06}",
        "agent_id": agent_id or f"agent-{number:06}",
        "direction": "send",
        "connection_ids": [f"connection-{number:06}"],
        "endpoint": f"relay{number}.example",
        "started_at": now() - timedelta(minutes=number),
        "version": "2.0.0",
        "fingerprint": uuid4().hex,
        "first_seen_at": now(),
    } | overrides
    values.setdefault("connections", " ".join(values["connection_ids"]))
    values.setdefault("version_number", version_number(values["version"]))
    values.setdefault("started_text", f"{values['started_at']:%Y-%m-%d %H:%M:%S.000}" if values["started_at"] else "")
    return AgentSession.objects.create(source=source, **values)


def make_operation(*sessions: AgentSession, state: State = State.QUEUED, **overrides: object) -> Operation:
    """One operation for these sessions, all in `state`; without its events."""
    at = now()
    values = {
        "reason": "upkeep",
        "requested_at": at,
        "actor_kind": "person",
        "actor_id": "1",
        "actor_label": "alice",
        "size": len(sessions),
    }
    operation = Operation.objects.create(**(values | overrides))
    for session in sessions:
        make_disconnection(session, operation, state=state)
    return operation


def make_disconnection(
    session: AgentSession, operation: Operation | None = None, *, state: State = State.QUEUED, **overrides: object
) -> Disconnection:
    at = now()
    values = {
        "operation": operation or make_operation(size=1),
        "source_id": session.source_id,
        "state": state,
        "session_id_then": session.session_id,
        "endpoint_then": session.endpoint,
        "agent_id_then": session.agent_id,
        "started_then": session.started_text,
        "requested_at": at,
        "send_by": at + timedelta(minutes=15),
        "not_before": at,
        "finished_at": at if state in FINAL else None,
    }
    return Disconnection.objects.create(session=session, **(values | overrides))
