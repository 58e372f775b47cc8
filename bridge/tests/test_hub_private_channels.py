"""Private channels: who gets which message, what the bridge learns, and how a channel ends without its home."""

import pytest

from bridge.protocol.identity import AppKey
from bridge.tests.wire import Wire, app, context, open_private_channel

PC = "private-1"
T, K, W = app("T"), app("K"), app("W")


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def agents(wire):
    """T on agent-A and W on agent-C take part in the channel that K on agent-B made."""
    a, b, c = [wire.agent(f"agent-{letter}") for letter in "ABC"]
    open_private_channel(a, b, PC, T, K)
    open_private_channel(c, b, PC, W, K)
    return a, b, c


T_A, K_B, W_C = app("T", "agent-A"), app("K", "agent-B"), app("W", "agent-C")


def shown(wire):
    (channel,) = wire.snapshot().private_channels
    return channel


def members(wire):
    return {
        f"{member.app.app_id}@{member.app.desktop_agent}": (member.events, member.contexts)
        for member in shown(wire).members
    }


def said(line):
    """The private-channel part of what came, in order."""
    return [
        (
            message["type"].partition(".")[2],
            message["meta"]["source"]["appId"] + "@" + message["meta"]["source"]["desktopAgent"],
            message["meta"]["destination"]["appId"],
            *([message["payload"]["contextType"]] if "contextType" in message["payload"] else []),
        )
        for message in line.inbox
        if message["type"].startswith("PrivateChannel.")
    ]


# Routing


def test_r90_a_message_goes_to_the_agent_that_it_names_and_to_no_other(agents):
    a, b, c = agents

    a.tell("broadcast", PC, T, K_B, context=context())

    assert b.types == ["PrivateChannel.broadcast"]
    assert b.last["meta"]["source"] == T_A
    assert b.last["meta"]["destination"] == K_B
    assert a.inbox == c.inbox == []


@pytest.mark.parametrize(
    ("type", "payload"),
    [
        ("broadcast", {"context": context()}),
        ("eventListenerAdded", {"listenerType": "disconnect"}),
        ("eventListenerRemoved", {"listenerType": "disconnect"}),
        ("onAddContextListener", {"contextType": None}),
        ("onUnsubscribe", {"contextType": "x"}),
        ("onDisconnect", {}),
    ],
)
def test_r90_without_a_destination_it_is_malformed_and_nobody_s(agents, type, payload):
    a, b, c = agents

    a.send(f"PrivateChannel.{type}", {"channelId": PC, **payload}, source=T)

    assert a.types == [f"PrivateChannel.{type}"]
    assert a.last["payload"] == {"error": "MalformedMessage"}
    assert b.inbox == c.inbox == []


def test_r90_without_a_source_it_is_malformed_too(agents):
    a, b, _ = agents

    a.send("PrivateChannel.onDisconnect", {"channelId": PC}, to=K_B)

    assert a.last["payload"] == {"error": "MalformedMessage"}
    assert b.inbox == []


def test_r90_to_an_agent_that_is_not_there_it_is_dropped_and_noted(wire, agents):
    a, *_ = agents

    a.tell("onDisconnect", PC, T, app("K", "agent-Z"))

    assert a.inbox == []
    assert "not connected" in wire.notes[-1].text


def test_r90_what_is_broadcast_in_private_is_no_channel_state(wire, agents):
    a, *_ = agents

    a.tell("broadcast", PC, T, K_B, context=context())

    assert wire.snapshot().channel_state == {}


def test_r91_what_one_sends_to_another_arrives_in_that_order(agents):
    a, b, _ = agents

    for number in range(50):
        a.tell("onUnsubscribe", PC, T, K_B, contextType=f"t{number}")
    a.tell("onDisconnect", PC, T, K_B)

    types = [each[3] for each in said(b)[:-1]]
    assert types == [f"t{number}" for number in range(50)]
    assert said(b)[-1][0] == "onDisconnect"


def test_a_listener_type_is_said_in_the_words_of_its_receiver(wire):
    a, b = wire.agent("agent-A", fdc3_version="3.0"), wire.agent("agent-B", fdc3_version="2.1")

    a.tell("eventListenerAdded", PC, T, K_B, listenerType="addContextListener")
    b.tell("eventListenerAdded", PC, K, T_A, listenerType="onDisconnect")

    assert b.last["payload"]["listenerType"] == "onAddContextListener"
    assert a.last["payload"]["listenerType"] == "disconnect"


# The source of repeats (Q1)


def test_r35_r72_the_home_of_a_channel_repeats_with_the_source_as_it_was(agents):
    _, b, c = agents

    b.tell("broadcast", PC, T_A, W_C, context=context())

    assert said(c) == [("broadcast", "T@agent-A", "W")]


@pytest.mark.parametrize(
    ("who", "source", "to"),
    [
        ("agent-B", app("stranger", "agent-A"), W_C),  # Takes no part.
        ("agent-B", T_A, app("stranger", "agent-C")),  # Nor does the receiver.
        ("agent-A", W_C, K_B),  # Not the home.
    ],
)
def test_r35_nobody_else_speaks_for_another(wire, agents, who, source, to):
    line = next(each for each in agents if each.name == who)
    receiver = next(each for each in agents if each.name == to["desktopAgent"])

    line.tell("broadcast", PC, source, to, context=context())

    assert receiver.last["meta"]["source"]["desktopAgent"] == who


def test_r35_the_id_of_a_foreign_channel_makes_nobody_its_home(wire, agents):
    """An agent that hands out a channel of another's speaks for nobody but those that it handed it to."""
    a, _, c = agents
    thief = wire.agent("thief")
    open_private_channel(a, thief, PC, app("victim"), app("M"))

    thief.tell("broadcast", PC, T_A, W_C, context=context())

    assert c.last["meta"]["source"]["desktopAgent"] == "thief"
    assert {channel.home for channel in wire.snapshot().private_channels} == {"agent-B", "thief"}


def test_r72_goodbyes_of_one_that_left_are_repeated_in_its_name(agents):
    """The sequence of PrivateChannel.onDisconnect: T leaves, and W hears it from K's agent."""
    a, b, c = agents
    a.tell("onAddContextListener", PC, T, K_B, contextType="x")
    c.tell("eventListenerAdded", PC, W, K_B, listenerType="disconnect")
    b.clear()

    a.tell("onDisconnect", PC, T, K_B)
    b.tell("onUnsubscribe", PC, T_A, W_C, contextType="x")
    b.tell("onDisconnect", PC, T_A, W_C)

    assert said(b) == [("onDisconnect", "T@agent-A", "K")]
    assert said(c) == [("onUnsubscribe", "T@agent-A", "W", "x"), ("onDisconnect", "T@agent-A", "W")]
    assert a.inbox == []


def test_r72_also_when_its_agent_is_gone(agents):
    a, b, c = agents
    a.hang_up()
    c.clear()

    b.tell("onDisconnect", PC, T_A, W_C)

    assert said(c) == [("onDisconnect", "T@agent-A", "W")]


# What the console is shown


def test_it_learns_a_channel_from_the_result_of_an_intent(wire, agents):
    channel = shown(wire)

    assert (channel.id, channel.home) == (PC, "agent-B")
    assert channel.creator == AppKey("K", "1", "agent-B")
    assert channel.created_at == wire.at
    assert set(members(wire)) == {"K@agent-B", "T@agent-A", "W@agent-C"}


def test_it_learns_listeners_from_what_their_apps_say(wire, agents):
    a, b, c = agents
    a.tell("onAddContextListener", PC, T, K_B, contextType="x")
    a.tell("onAddContextListener", PC, T, K_B, contextType="x")
    a.tell("onAddContextListener", PC, T, K_B, contextType=None)
    a.tell("eventListenerAdded", PC, T, K_B, listenerType="disconnect")
    c.tell("eventListenerAdded", PC, W, K_B, listenerType="unsubscribe")
    b.tell("onAddContextListener", PC, T_A, W_C, contextType="x")  # A repeat says nothing new.
    for to in (T_A, W_C):
        b.tell("onAddContextListener", PC, K, to, contextType="y")

    assert members(wire) == {
        "K@agent-B": ((), ("y",)),
        "T@agent-A": (("disconnect",), ("x", "x", None)),
        "W@agent-C": (("unsubscribe",), ()),
    }

    a.tell("onUnsubscribe", PC, T, K_B, contextType="x")
    a.tell("onUnsubscribe", PC, T, K_B, contextType="never added")
    a.tell("eventListenerRemoved", PC, T, K_B, listenerType="disconnect")

    assert members(wire)["T@agent-A"] == ((), ("x", None))


def test_it_counts_what_crosses(wire, agents):
    a, b, _ = agents
    wire.pass_time(10)

    a.tell("broadcast", PC, T, K_B, context=context())
    b.tell("broadcast", PC, T_A, W_C, context=context())

    assert shown(wire).messages == 2
    assert shown(wire).bytes > 400
    assert shown(wire).last_message_at == wire.at


def test_another_app_of_an_agent_that_takes_part_is_learnt_and_a_stranger_is_not(wire, agents):
    a, _, _ = agents
    d = wire.agent("agent-D")

    a.tell("broadcast", PC, app("T2"), K_B, context=context())
    d.tell("broadcast", PC, app("S"), K_B, context=context())

    assert set(members(wire)) == {"K@agent-B", "T@agent-A", "T2@agent-A", "W@agent-C"}


def test_who_left_is_gone_from_the_list_and_may_come_back_by_another_intent(wire, agents):
    a, b, _ = agents
    a.tell("broadcast", PC, app("T2"), K_B, context=context())
    a.tell("onDisconnect", PC, T, K_B)
    a.tell("broadcast", PC, T, K_B, context=context())
    assert set(members(wire)) == {"K@agent-B", "W@agent-C", "T2@agent-A"}

    open_private_channel(a, b, PC, T, K)

    assert set(members(wire)) == {"K@agent-B", "W@agent-C", "T2@agent-A", "T@agent-A"}


def test_a_channel_that_only_its_home_knows_is_forgotten(wire, agents):
    a, _, c = agents

    a.tell("onDisconnect", PC, T, K_B)
    c.hang_up()

    assert wire.snapshot().private_channels == ()


def test_other_results_of_intents_are_no_private_channels(wire):
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    payload = {"intent": "ViewQuote", "context": context(), "app": K_B}
    for result in ({}, {"context": context()}, {"channel": {"id": "red", "type": "user"}}):
        uuid = a.send("raiseIntentRequest", payload, source=T, to=K_B)
        b.answer(uuid, "raiseIntentResponse", {"intentResolution": {"intent": "ViewQuote", "source": K}})
        b.answer(uuid, "raiseIntentResultResponse", {"intentResult": result})

    assert wire.snapshot().private_channels == ()


# The home is lost (Q15)


def listening(a, b, c):
    """K listens to x and to everything; T and W listen to events."""
    for type in ("unsubscribe", "disconnect"):
        a.tell("eventListenerAdded", PC, T, K_B, listenerType=type)
    c.tell("eventListenerAdded", PC, W, K_B, listenerType="disconnect")
    for wanted in ("x", None):
        b.tell("onAddContextListener", PC, K, T_A, contextType=wanted)
    for line in (a, b, c):
        line.clear()


def test_participants_hear_goodbyes_before_the_update_when_the_home_is_lost(wire, agents):
    a, b, c = agents
    listening(*agents)

    b.hang_up()

    assert said(a) == [
        ("onUnsubscribe", "K@agent-B", "T", "x"),
        ("onUnsubscribe", "K@agent-B", "T", None),
        ("onDisconnect", "K@agent-B", "T"),
    ]
    assert said(c) == [("onDisconnect", "K@agent-B", "W")]
    assert a.types[-1] == c.types[-1] == "connectedAgentsUpdate"
    assert wire.snapshot().private_channels == ()


def test_they_hear_nothing_where_that_is_switched_off():
    wire = Wire(announce_lost_creators=False)
    a, b, c = [wire.agent(f"agent-{letter}") for letter in "ABC"]
    open_private_channel(a, b, PC, T, K)
    open_private_channel(c, b, PC, W, K)
    listening(a, b, c)

    b.hang_up()

    assert a.types == c.types == ["connectedAgentsUpdate"]
    assert wire.snapshot().private_channels == ()


def test_they_hear_nothing_of_a_creator_that_had_left_before(agents):
    a, b, c = agents
    listening(*agents)
    for to in (T_A, W_C):
        b.tell("onDisconnect", PC, K, to)
    for line in (a, c):
        line.clear()

    b.hang_up()

    assert said(a) == said(c) == []


def test_the_loss_of_a_participant_is_for_the_home_to_tell(agents):
    a, b, c = agents
    listening(*agents)

    a.hang_up()

    assert b.types == c.types == ["connectedAgentsUpdate"]
