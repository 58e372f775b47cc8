"""What a key asked for is sent only while the key still may, and for its sources only."""

import pytest
from django.utils import timezone

from agents import sources
from agents.clock import database_now
from agents.kinds import Accepted
from agents.sending import send_operation
from agents.states import State
from agents.tests.make import make_disconnection, make_operation, make_session, make_source
from agents.webconnect import client
from apikeys import services
from apikeys.actors import command_line_actor
from apikeys.models import ApiKey
from apikeys.tests.factory import make_key
from console.tests.factory import make_person


@pytest.fixture
def asked(db, monkeypatch):
    """A queued disconnection that a key of olga's asked for."""
    monkeypatch.setattr(client, "disconnect", lambda *args, **kwargs: Accepted(200))
    olga = make_person("olga", "Operator")
    key, _ = make_key("nightly", "agent:disconnect", owner=olga)
    source = make_source("Tokyo", read_at=database_now())
    operation = make_operation(
        size=1, actor_kind="API key", actor_id=str(key.pk), actor_label="nightly", requested_by=None
    )
    row = make_disconnection(make_session(source, "s1"), operation=operation)
    return key, row


def sent(row) -> tuple[str, str]:
    send_operation(row.operation_id)
    row.refresh_from_db()
    return row.state, row.explanation


def test_a_live_key_is_carried_out(asked):
    key, row = asked

    assert sent(row)[0] == State.ACCEPTED


ENDS = {
    "revoked": lambda key: services.revoke_key(key=key, actor=command_line_actor(), at=timezone.now()),
    "paused": lambda key: services.pause_key(key=key, actor=command_line_actor(), at=timezone.now()),
    "without the scope": lambda key: ApiKey.objects.update(scopes=["agent:get"]),
    "of an owner without the right": lambda key: key.owner.groups.clear(),
    "of a deactivated owner": lambda key: type(key.owner).objects.update(is_active=False),
    "not of this source": lambda key: ApiKey.objects.update(all_sources=False, sources=["Osaka"]),
}


@pytest.mark.parametrize("end", ENDS)
def test_nothing_is_sent_for_a_key_that_is(end, asked):
    key, row = asked
    ENDS[end](key)

    assert sent(row) == (State.REFUSED, "nightly no longer has the right to disconnect agents.")


def test_a_key_keeps_its_source_when_that_is_renamed(asked):
    key, row = asked
    ApiKey.objects.update(all_sources=False, sources=["Osaka", "Tokyo"])
    source = row.source
    source.name = "Edo"

    sources.change_source(
        source=source,
        own=source.webconnect,
        contract=source.contract.name,
        requests_per_minute=100,
        secrets={},
        actor=command_line_actor(),
    )

    key.refresh_from_db()
    assert key.sources == ["Edo", "Osaka"]
