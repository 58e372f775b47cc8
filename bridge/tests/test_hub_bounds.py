"""Nothing that agents do fills the memory, slows the others down without end, or breaks the hub."""

import json
import sys

import pytest

from bridge.protocol.channel_state import ChannelState
from bridge.protocol.messages import Raw
from bridge.protocol.pace import Pace
from bridge.protocol.peers import MOVES, IllegalMove, Peer, State
from bridge.protocol.settings import HubSettings
from bridge.protocol.waits import Waits
from bridge.tests.test_hub_private_channels import K_B, PC, T_A, K, T, members
from bridge.tests.wire import TIMESTAMP, Wire, app, context, open_private_channel


def raw(type, **more):
    return Raw(json.dumps({"type": type, **more}).encode())


# States


@pytest.mark.parametrize("source", State)
@pytest.mark.parametrize("target", State)
def test_a_connection_moves_only_as_the_table_says(source, target):
    peer = Peer(1, "session", 0.0, Pace(0, 0), state=source)

    if target in MOVES[source]:
        peer.become(target)
        assert peer.state is target
    else:
        with pytest.raises(IllegalMove):
            peer.become(target)


# Time


def test_an_agent_may_send_a_burst_and_then_at_its_rate():
    pace = Pace(rate=10, burst=3)

    assert [pace.allows(1000.0) for _ in range(5)] == [True, True, True, False, False]
    assert [pace.allows(at) for at in (1000.05, 1000.11, 1000.12)] == [False, True, False]
    assert [pace.allows(2000.0) for _ in range(5)] == [True, True, True, False, False]


def test_a_rate_of_nothing_is_no_limit():
    pace = Pace(rate=0, burst=0)

    assert all(pace.allows(0.0) for _ in range(10_000))


def test_waits_end_in_order_and_may_end_each_other():
    waits = Waits[str](10)
    waits.begin("a", 1)
    waits.begin("b", 2)
    waits.begin("c", 3)

    assert waits.next_end() == 11
    assert list(waits.over(10.9)) == []
    ended = []
    for key in waits.over(12.5):
        ended.append(key)
        waits.end("b")
    assert ended == ["a"]
    assert waits.next_end() == 13


def test_an_agent_that_floods_is_disconnected_and_the_others_are_told():
    wire = Wire(message_rate=100, message_burst=50)
    a, b = wire.agent("agent-A"), wire.agent("agent-B")

    for _ in range(60):
        a.send("broadcastRequest", {"channelId": "red", "context": context()}, source=app("K"))

    assert a.closed == (1008, "more than 100 messages a second")
    assert b.types.count("broadcastRequest") == 49  # The handshake was one, too.
    assert b.last["payload"]["removeAgent"] == "agent-A"


def test_a_flood_of_nonsense_is_no_flood_of_notes():
    wire = Wire()
    a = wire.agent("agent-A")
    wire.notes.clear()

    for _ in range(1000):
        a.send_raw(b"nonsense")

    assert len(wire.notes) == 20
    assert wire.snapshot().agents[0].traffic.malformed == 1000


# Agents and requests


def test_too_many_sockets_are_turned_away():
    wire = Wire(max_agents=2)
    wire.agent("agent-A")
    wire.connect()

    third = wire.connect()

    assert third.inbox == []
    assert third.closed == (1013, "too many desktop agents")


def test_an_agent_with_too_many_questions_in_flight_gets_an_error_at_once():
    wire = Wire(max_requests=2)
    a, b = wire.agent("agent-A"), wire.agent("agent-B")

    for _ in range(3):
        a.send("findIntentRequest", {"intent": "x"})

    assert len(b.inbox) == 2
    assert a.last["payload"] == {"error": "ResponseToBridgeTimedOut"}
    assert wire.snapshot().agents[0].requests_in_flight == 2


def test_of_too_many_awaited_results_the_oldest_is_given_up():
    wire = Wire(max_results=2)
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    uuids = []
    for _ in range(3):
        payload = {"intent": "x", "context": context(), "app": K_B}
        uuids.append(a.send("raiseIntentRequest", payload, source=T, to=K_B))
        b.answer(uuids[-1], "raiseIntentResponse", {"intentResolution": {"intent": "x", "source": K}})

    assert a.last["type"] == "raiseIntentResultResponse"
    assert a.last["payload"] == {"error": "ResponseToBridgeTimedOut"}
    assert a.last["meta"]["requestUuid"] == uuids[0]
    assert wire.snapshot().agents[0].results_awaited == wire.snapshot().agents[1].answers_owed == 2


# Channel state


def test_the_channel_that_changed_longest_ago_is_forgotten_first():
    state = ChannelState(HubSettings(max_channels=2))
    for channel in ("red", "blue", "red", "green"):
        state.fold(channel, raw("x"))

    assert list(state.types()) == ["red", "green"]


def test_of_a_channel_the_least_recent_context_is_forgotten_first():
    state = ChannelState(HubSettings(max_contexts=2))
    for type in ("x", "y", "x", "z"):
        state.fold("red", raw(type))

    assert state.types() == {"red": ("z", "x")}


def test_the_state_stays_below_its_size_whatever_is_broadcast():
    state = ChannelState(HubSettings(max_state_bytes=1000, max_context_bytes=300))
    for number in range(50):
        state.fold(f"channel-{number % 7}", raw(f"type-{number % 5}", pad="x" * 180))
        kept = state.on_the_wire()
        size = sum(map(len, kept)) + sum(len(bytes(each)) for contexts in kept.values() for each in contexts)
        assert size == state._bytes <= 1000

    state.fold("red", raw("x", pad="x" * 400))
    assert state.types()["red"] == ()


def test_what_is_kept_does_not_hold_the_whole_message_that_it_came_in():
    wire = Wire()
    a = wire.agent("agent-A")
    message = {"type": "broadcastRequest", "payload": {"channelId": "red", "context": context()}}
    raw = json.dumps(message | {"meta": {"requestUuid": "u", "timestamp": TIMESTAMP, "source": app("K")}}).encode()
    references = sys.getrefcount(raw)

    a.send_raw(raw)

    assert wire.snapshot().channel_state == {"red": ("fdc3.instrument",)}
    assert sys.getrefcount(raw) == references


# Private channels


def opened(**settings):
    wire = Wire(**settings)
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    open_private_channel(a, b, PC, T, K)
    return wire, a, b


def test_the_oldest_private_channel_of_a_home_is_forgotten_first_and_still_relayed():
    wire, a, b = opened(max_private_channels=3)
    for number in range(2, 6):
        open_private_channel(a, b, f"private-{number}", T, K)

    assert [channel.id for channel in wire.snapshot().private_channels] == ["private-3", "private-4", "private-5"]
    a.tell("broadcast", PC, T, K_B, context=context())
    assert b.types == ["PrivateChannel.broadcast"]


def test_apps_and_listeners_are_remembered_up_to_a_bound():
    wire, a, _ = opened(max_members=5, max_kept=12)
    for number in range(20):
        a.tell("broadcast", PC, app(f"T{number}"), K_B, context=context())
        a.tell("onAddContextListener", PC, T, K_B, contextType=f"t{number}")

    known = members(wire)
    assert len(known) == 5
    assert len(known["T@agent-A"][1]) == 7


@pytest.mark.parametrize("how", ["its agent is lost", "an administrator disconnects it"])
def test_goodbyes_are_said_up_to_a_bound(how):
    wire, a, b = opened(max_goodbyes=100)
    for number in range(20):
        a.tell("eventListenerAdded", PC, app(f"T{number}"), K_B, listenerType="onUnsubscribe")
        b.tell("onAddContextListener", PC, K, T_A, contextType=f"t{number}")
    a.clear()

    if how == "its agent is lost":
        b.hang_up()
    else:
        wire.disconnect_app(PC, K_B)

    assert a.types.count("PrivateChannel.onUnsubscribe") == 100


def test_of_those_that_left_the_first_makes_room():
    wire, a, _ = opened(max_members=3)
    for number in range(10):
        a.tell("broadcast", PC, app(f"T{number}"), K_B, context=context())
        a.tell("onDisconnect", PC, app(f"T{number}"), K_B)

    a.tell("broadcast", PC, app("last"), K_B, context=context())

    assert set(members(wire)) == {"K@agent-B", "T@agent-A", "last@agent-A"}


def test_long_ids_are_relayed_and_not_remembered():
    wire, a, b = opened()
    long = "x" * 300
    open_private_channel(a, b, long, T, K)

    a.tell("broadcast", PC, app(long), K_B, context=context())
    a.tell("onAddContextListener", PC, T, K_B, contextType=long)

    assert len(b.inbox) == 2
    assert [channel.id for channel in wire.snapshot().private_channels] == [PC]
    assert members(wire) == {"K@agent-B": ((), ()), "T@agent-A": ((), ())}


def test_channels_with_long_ids_are_not_kept_for_the_console():
    wire = Wire()
    a, b = wire.agent("agent-A"), wire.agent("agent-B")

    for channel in ("red", "\U0001f600" * 1000):
        a.send("broadcastRequest", {"channelId": channel, "context": context()}, source=app("blotter"))

    assert len(b.inbox) == 2
    assert wire.snapshot().agents[0].channels == ("red",)


def test_nothing_is_left_when_everybody_is_gone():
    wire, a, b = opened()
    a.tell("onAddContextListener", PC, T, K_B, contextType="x")
    b.tell("onAddContextListener", PC, K, T_A, contextType="x")
    a.send("findIntentRequest", {"intent": "x"})
    wire.connect()

    for line in list(wire.lines.values()):
        line.hang_up()

    hub = wire.hub
    assert hub.next_deadline() is None
    for held in (hub._peers, hub._agents, hub._state, hub._exchanges, list(hub._private)):
        assert len(held) == 0
    assert hub._private._of_agent == {}
    assert hub._private._kept_for == {}
