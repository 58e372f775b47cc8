"""What an administrator may do: end a connection, and cut an app off from a private channel."""

import pytest

from bridge.protocol.identity import AppKey
from bridge.tests.test_hub_private_channels import K_B, PC, T_A, W_C, K, T, W, listening, said, shown
from bridge.tests.wire import Wire, app, context, open_private_channel


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def agents(wire):
    a, b, c = [wire.agent(f"agent-{letter}") for letter in "ABC"]
    open_private_channel(a, b, PC, T, K)
    open_private_channel(c, b, PC, W, K)
    return a, b, c


def test_a_disconnected_agent_is_closed_and_lost_to_the_others(wire, agents):
    a, b, c = agents
    uuid = a.send("findIntentRequest", {"intent": "x"})
    c.answer(uuid, "findIntentResponse", {"error": "NoAppsFound"})

    wire.disconnect_agent(b)

    assert b.closed == (1008, "disconnected by an administrator")
    assert a.types == ["connectedAgentsUpdate", "findIntentResponse"]
    assert a.last["meta"]["errorDetails"] == ["NoAppsFound", "AgentDisconnected"]
    assert c.last["payload"]["removeAgent"] == "agent-B"
    assert [agent.name for agent in wire.snapshot().agents] == ["agent-A", "agent-C"]


def test_an_agent_is_told_why_it_is_disconnected(wire, agents):
    _, b, _ = agents

    wire.do(wire.hub.disconnect_agent(b.session_id, wire.at, "its key has ended"))

    assert b.closed == (1008, "its key has ended")


def test_its_socket_closing_later_changes_nothing(wire, agents):
    a, b, _ = agents
    wire.disconnect_agent(b)
    a.clear()

    b.hang_up()

    assert a.inbox == []


def test_an_agent_that_is_not_there_is_not_disconnected(wire, agents):
    assert wire.hub.disconnect_agent("no such session", wire.at) == []


def test_r80_for_a_participant_the_home_gets_one_on_disconnect(wire, agents):
    a, b, c = agents
    a.tell("onAddContextListener", PC, T, K_B, contextType="x")
    b.clear()

    wire.disconnect_app(PC, T_A)

    assert said(b) == [("onDisconnect", "T@agent-A", "K")]
    assert a.inbox == c.inbox == []


def test_r81_for_the_creator_the_participants_get_on_unsubscribe_first(wire, agents):
    a, b, c = agents
    listening(*agents)

    wire.disconnect_app(PC, K_B)

    assert said(a) == [
        ("onUnsubscribe", "K@agent-B", "T", "x"),
        ("onUnsubscribe", "K@agent-B", "T", None),
        ("onDisconnect", "K@agent-B", "T"),
    ]
    assert said(c) == [("onDisconnect", "K@agent-B", "W")]
    assert b.inbox == []


def test_nothing_from_or_to_the_app_is_relayed_any_more(wire, agents):
    a, b, c = agents
    wire.disconnect_app(PC, T_A)
    b.clear()

    a.tell("broadcast", PC, T, K_B, context=context())
    a.tell("onAddContextListener", PC, app("T", instance=None), K_B, contextType="x")
    b.tell("broadcast", PC, W_C, T_A, context=context())
    b.tell("broadcast", PC, K, T_A, context=context())
    assert a.inbox == b.inbox == []

    a.tell("broadcast", PC, app("T", instance="2"), K_B, context=context())
    a.tell("broadcast", "another channel", T, K_B, context=context())
    c.tell("broadcast", PC, W, K_B, context=context())
    assert len(b.inbox) == 3


def test_the_others_still_hear_its_goodbyes_from_the_home(wire, agents):
    _, b, c = agents
    wire.disconnect_app(PC, T_A)

    b.tell("onUnsubscribe", PC, T_A, W_C, contextType="x")
    b.tell("onDisconnect", PC, T_A, W_C)

    assert [each[0] for each in said(c)] == ["onUnsubscribe", "onDisconnect"]


def test_also_where_an_app_at_home_of_the_same_name_is_cut_off(wire, agents):
    _, b, c = agents
    b.tell("broadcast", PC, T, W_C, context=context())
    wire.disconnect_app(PC, app("T", "agent-B"))
    c.clear()

    b.tell("broadcast", PC, T, W_C, context=context())
    b.tell("broadcast", PC, T_A, W_C, context=context())

    assert said(c) == [("broadcast", "T@agent-A", "W")]


def test_the_refusal_is_shown_and_in_force_as_long_as_the_bridge_runs(wire, agents):
    a, b, c = agents
    refused = AppKey("T", "1", "agent-A")

    wire.disconnect_app(PC, T_A)
    assert shown(wire).refused == (refused,)
    assert refused not in [member.app for member in shown(wire).members]

    c.hang_up()
    assert shown(wire).refused == (refused,)

    b.hang_up()
    back = wire.agent("agent-B")
    assert wire.snapshot().refused == {PC: (refused,)}
    back.tell("broadcast", PC, K, T_A, context=context())
    assert a.inbox == []


def test_asked_twice_it_says_goodbye_once(wire, agents):
    _, b, _ = agents

    wire.disconnect_app(PC, T_A)
    wire.disconnect_app(PC, T_A)

    assert len(b.inbox) == 1


def test_an_app_or_a_channel_that_is_not_known_is_not_refused(wire, agents):
    wire.disconnect_app(PC, app("T", "agent-Z"))
    wire.disconnect_app("no such channel", T_A)

    assert wire.snapshot().refused == {}


def test_an_app_that_was_cut_off_is_told_no_goodbyes_of_a_lost_home(wire, agents):
    a, b, _ = agents
    listening(*agents)
    nameless = app("T", instance=None)
    a.tell("eventListenerAdded", PC, nameless, K_B, listenerType="disconnect")
    wire.disconnect_app(PC, T_A)

    b.hang_up()

    assert said(a) == []
