"""Sources, sessions and disconnections for tests, and a remote that says what a test wants."""

from datetime import timedelta
from uuid import uuid4

from agents import credentials
from agents.clock import database_now
from agents.credentials import Secret
from agents.kinds import Listing
from agents.models import AgentSession, Contract, Credential, Disconnection, Operation, Source
from agents.states import FINAL, State
from agents.webconnect import listing
from agents.webconnect.models import WebConnectSource
from apikeys.rights import Right
from audit.actors import Actor
from audit.models import Event

ALICE = Actor("person", "1", "alice", frozenset(Right))
VIEWER = Actor("person", "2", "victor", frozenset({Right.AGENT_GET}))
KEY = "k3y-of-the-contract-0123456789"
Purpose = Credential.Purpose


def make_source(name="Tokyo", *, requests_per_minute=0, base_url="http://127.0.0.1:9/api/v2", key=KEY, **overrides):
    contract, _ = Contract.objects.get_or_create(name=name, defaults={"requests_per_minute": requests_per_minute})
    values = {"kind": "webconnect", "contract": contract, "created_at": database_now()}
    source = Source.objects.create(name=name, **(values | overrides))
    WebConnectSource.objects.create(source=source, base_url=base_url)
    for purpose in Purpose if key else ():
        credentials.store(source, purpose, Secret(key), at=database_now())
    return source


def make_row(session_id="s1", **overrides):
    """A row as the remote lists it."""
    return {
        "agentId": f"agent-{session_id}",
        "direction": "send",
        "connectionId": ["id1"],
        "endpoint": "tokyo-service1.webconnect.hulft.com",
        "startConnection": "2026-06-30 14:22:00.942",
        "sessionId": session_id,
        "agentVersion": "3.1.0",
        "willBeClosed": False,
        "supportingDisconnectApi": True,
    } | overrides


def make_session(source, session_id="s1", *, row=None, **overrides):
    """A session as a reading of `make_row` leaves it."""
    from agents.readings import fingerprint

    row = row or make_row(session_id)
    columns = listing.describe(source.webconnect, row) | {"first_seen_at": database_now() - timedelta(hours=1)}
    columns |= {"fingerprint": fingerprint(row)}
    return AgentSession.objects.create(source=source, session_id=session_id, **(columns | overrides))


def make_operation(**overrides):
    values = {"reason": "upkeep", "requested_at": database_now(), "actor_kind": "command line", "actor_label": "root"}
    return Operation.objects.create(**(values | {"size": 1} | overrides))


def make_disconnection(session, state=State.QUEUED, *, operation=None, **overrides):
    at = database_now() - timedelta(minutes=1)
    values = {
        "session_id_then": session.session_id,
        "endpoint_then": session.endpoint,
        "agent_id_then": session.agent_id,
        "started_then": session.started_text,
        "requested_at": at,
        "not_before": at,
        "send_by": at + timedelta(minutes=15),
        "finished_at": at if state in FINAL else None,
    }
    if state in (State.ACCEPTED, State.SENDING):
        values |= {"posts": 1, "tries": 1, "attempt_ended_at": at}
        values |= {"confirm_by": at + timedelta(minutes=2), "confirm_latest": at + timedelta(minutes=32)}
    operation = operation or make_operation()
    return Disconnection.objects.create(
        operation=operation, source=session.source, session=session, state=state, **(values | overrides)
    )


def actions(**about):
    """The actions of the audit log, oldest first."""
    return list(Event.objects.filter(**about).order_by("sequence").values_list("action", flat=True))


class FakeRemote:
    """What the next readings bring: put `rows` or a `failure`; `during` runs while the list is read."""

    def __init__(self, monkeypatch):
        self.rows, self.failure, self.during = [], None, lambda: None
        self.in_one_answer, self.incomplete, self.calls, self.reads = True, "", 1, 0
        monkeypatch.setattr(listing, "read", self._read)

    def lists(self, *session_ids, **overrides):
        self.rows = [make_row(session_id, **overrides) for session_id in session_ids]

    def _read(self, remote, secret, take_slot):
        self.reads += 1
        for _ in range(self.calls):
            take_slot()
        self.during()
        if self.failure:
            raise self.failure
        rows = {row["sessionId"]: row for row in self.rows}
        return Listing(rows, self.calls, in_one_answer=self.in_one_answer, incomplete=self.incomplete)


def later(seconds=1):
    return database_now() + timedelta(seconds=seconds)


def some_token():
    return uuid4()
