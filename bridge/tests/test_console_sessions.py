"""A bridge's desktop agents and memberships are agent sessions: listed, disconnected and confirmed like any other."""

from datetime import timedelta
from uuid import uuid4

import pytest

from agents import outcomes, readings, sending
from agents.clock import database_now
from agents.models import AgentSession, Disconnection, Reading, Source
from agents.portions import SHARED, Portion
from agents.readings import read_source
from agents.services import request_disconnection
from agents.states import State
from agents.story import summary_of
from agents.tests.factory import make_session, make_source
from apikeys.rights import NotAllowed, Right
from audit.actors import Actor
from audit.models import Event
from bridge import link
from bridge.channels import live_channels
from bridge.tests.fake import FakeServer, agent, app, channel, make_bridge, member

OPERATOR = Actor("command line", "ops", "command line (ops)", frozenset(Right))


@pytest.fixture
def server(db):
    link._links.clear()
    trader = app("trader", "agent-B")
    prices = channel(
        "prices-1", app("pricer", "agent-A"), member(trader, events=["disconnect"], contexts=["fdc3.x", None])
    )
    yield FakeServer(agent("agent-A"), agent("agent-B", fdc3_version="2.1"), channels=[prices])
    link._links.clear()


@pytest.fixture
def bridge(server):
    return make_bridge(server=server)


def sessions(source):
    return list(AgentSession.objects.live().filter(source=source).order_by("part_of", "agent_id"))


def disconnect(session, actor=OPERATOR):
    return request_disconnection(sessions=[session], reason="upkeep", actor=actor, token=uuid4())


def send(operation, source):
    assert sending.send_operation(operation.pk, Portion(source.pk))
    return operation.disconnections.get()


def test_a_reading_lists_agents_and_memberships(bridge):
    listed = sessions(bridge)

    assert [each.agent_id for each in listed] == ["agent-A", "agent-B", "pricer of agent-A", "trader of agent-B"]
    assert [each.version for each in listed[:2]] == ["2.2", "2.1"]
    assert AgentSession.objects.of_agents().count() == 2


def test_memberships_tell_of_their_channel(bridge):
    [prices] = live_channels([bridge.pk])

    assert (prices.id, prices.creator, prices.agents) == ("prices-1", "pricer of agent-A", ["agent-A", "agent-B"])
    assert prices.listeners == {"contexts": 2, "disconnect": 1}


def test_an_agent_is_disconnected_and_that_is_proved(bridge, server):
    found = sessions(bridge)[1]
    row = send(disconnect(found), bridge)
    assert (row.state, server.asked) == (State.ACCEPTED, [found.session_id])

    read_source(bridge.pk)

    row.refresh_from_db()
    found.refresh_from_db()
    assert row.state == State.CONFIRMED and found.ended_by == AgentSession.EndedBy.US


def test_the_only_agent_is_proved_gone_by_one_reading(bridge, server):
    """The list of a bridge is what the bridge holds: that it is empty is no fault of it."""
    server.set(agents=server.hub.agents[:1], channels=[])
    read_source(bridge.pk)
    row = send(disconnect(sessions(bridge)[0]), bridge)

    read_source(bridge.pk)

    row.refresh_from_db()
    assert row.state == State.CONFIRMED


def test_an_app_is_disconnected_from_a_private_channel(bridge, server):
    trader = sessions(bridge)[3]
    row = send(disconnect(trader), bridge)
    assert server.asked == [("prices-1", app("trader", "agent-B"))]

    read_source(bridge.pk)

    row.refresh_from_db()
    assert row.state == State.CONFIRMED
    assert "The refusal is in force" in summary_of(row) and "act of the administrator" in summary_of(row)
    assert [each.agent_id for each in sessions(bridge)] == ["agent-A", "agent-B", "pricer of agent-A"]
    assert Event.objects.filter(action="disconnection.confirmed", operation=row.operation_id).exists()


def test_what_the_bridge_does_not_do_is_not_confirmed(bridge, server):
    server.obeys = False
    row = send(disconnect(sessions(bridge)[0]), bridge)
    Disconnection.objects.update(confirm_by=database_now() - timedelta(seconds=1))

    read_source(bridge.pk)

    row.refresh_from_db()
    assert row.state == State.STILL_CONNECTED


def test_an_agent_that_left_meanwhile_is_already_gone(bridge, server):
    operation = disconnect(sessions(bridge)[0])
    server.set(agents=server.hub.agents[1:])
    row = send(operation, bridge)
    assert (row.answer, server.asked) == (Disconnection.Answer.NO, [])

    read_source(bridge.pk)

    row.refresh_from_db()
    assert row.state == State.ALREADY_GONE


def test_a_loop_that_does_not_answer_leaves_it_open(bridge, server):
    server.hangs = True

    row = send(disconnect(sessions(bridge)[0]), bridge)

    assert (row.state, row.answer) == (State.SENDING, Disconnection.Answer.LOST)


def test_celery_leaves_a_bridge_to_its_own_process(bridge):
    operation, at = disconnect(sessions(bridge)[0]), database_now()
    Source.objects.update(next_reading_at=at)

    assert bridge.pk not in readings.due(at, SHARED) and readings.due(at, Portion(bridge.pk)) == [bridge.pk]
    assert sending.due_operations(at, SHARED) == []
    assert sending.due_operations(at, Portion(bridge.pk)) == [operation.pk]
    assert not sending.send_operation(operation.pk)


def test_an_operation_about_both_is_sent_by_both(bridge, server):
    tokyo = make_source("Tokyo")
    both = [make_session(tokyo), sessions(bridge)[0]]
    operation = request_disconnection(sessions=both, reason="upkeep", actor=OPERATOR, token=uuid4())

    assert sending.send_operation(operation.pk, Portion(bridge.pk))

    states = {row.source_id: row.state for row in operation.disconnections.all()}
    assert states == {bridge.pk: State.ACCEPTED, tokyo.pk: State.QUEUED}
    assert sending.due_operations(database_now(), SHARED) == [operation.pk]


def test_a_bridge_leaves_the_other_sources_to_celery(bridge):
    other, at = make_source("Tokyo", next_reading_at=database_now()), database_now()

    assert other.pk not in readings.due(at, Portion(bridge.pk)) and other.pk in readings.due(at)


def test_silence_makes_the_list_unreadable_and_the_next_reading_readable(bridge):
    bridge.refresh_from_db()
    readings.notice_silence(bridge.read_at + timedelta(seconds=5))
    assert not Source.objects.filter(pk=bridge.pk, unreadable_since__isnull=False).exists()

    late = bridge.read_at + timedelta(seconds=7)
    readings.notice_silence(late)
    readings.notice_silence(late)

    assert Reading.objects.filter(outcome=Reading.Outcome.UNREACHABLE).count() == 1
    assert not outcomes.is_readable(Source.objects.select_related("contract").get(pk=bridge.pk), late)
    read_source(bridge.pk)
    assert Source.objects.get(pk=bridge.pk).unreadable_since is None


def test_an_agent_that_connects_anew_is_another_session(bridge, server):
    before = sessions(bridge)[0]
    server.set(agents=[agent("agent-A"), server.hub.agents[1]])

    read_source(bridge.pk)

    before.refresh_from_db()
    assert before.ended_by == AgentSession.EndedBy.ITSELF and sessions(bridge)[0].pk != before.pk


def test_an_agent_that_comes_back_is_noted(bridge, server):
    row = send(disconnect(sessions(bridge)[0]), bridge)
    read_source(bridge.pk)
    server.set(agents=[agent("agent-A"), *server.hub.agents])

    read_source(bridge.pk)

    row.refresh_from_db()
    assert row.came_back_as.agent_id == "agent-A"


def test_it_takes_the_right_of_bridges(bridge):
    for right in (Right.AGENT_DISCONNECT, Right.BRIDGE_GET):
        with pytest.raises(NotAllowed):
            disconnect(sessions(bridge)[0], Actor("person", "1", "mallory", frozenset({right})))
    assert Event.objects.filter(action="disconnection.not_allowed").count() == 2


def test_a_right_of_bridges_ends_no_other_agent(db):
    with pytest.raises(NotAllowed):
        disconnect(make_session(make_source()), Actor("person", "1", "bo", frozenset({Right.BRIDGE_DISCONNECT})))


@pytest.mark.parametrize("name", ["a" * 5000, "\x00\ud800", "<b>'\"&", "‮evil", "社員" * 200])
def test_names_that_agents_choose_are_kept_as_the_database_takes_them(server, name):
    there = channel(name, app(name, name, name), app(name, "agent-B"))
    bridge = make_bridge(server=FakeServer(agent(name, provider=name, provider_version=name), channels=[there]))

    assert len(sessions(bridge)) == 3
    assert bridge.failure == ""


@pytest.mark.parametrize("name", ["\x00", "\ud800", "x" * 3000, ""])
def test_no_name_keeps_an_app_on_its_channel(server, name):
    there = channel(name, app(name, "agent-A", name), app("trader", "agent-B"))
    server.set(channels=[there])
    bridge = make_bridge(server=server)
    creator = next(each for each in sessions(bridge) if each.part_of and "trader" not in each.agent_id)

    assert send(disconnect(creator), bridge).state == State.ACCEPTED
    assert server.asked == [(name, app(name, "agent-A", name))]
