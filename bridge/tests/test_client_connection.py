"""How an agent finds a bridge, is named, adopts what the bridge knows, and goes on without one."""

import json
from typing import Any

import pytest

from bridge.client import effects
from bridge.client.core import AgentCore
from bridge.client.settings import AgentSettings
from bridge.tests.agents import NOW, Network, ids

META = {"timestamp": "2026-11-21T21:00:00.000Z"}


class Bare:
    """One core, and a test in place of everything around it."""

    def __init__(self, **settings: Any) -> None:
        chosen = {"name": "A", "first_port": 4475, "last_port": 4477, **settings}
        self.core = AgentCore(AgentSettings(**chosen), ids("A"))
        self.at = NOW
        self.core.start(self.at)

    def effects(self, kind: type | None = None) -> list[Any]:
        return [each for each in self.core.effects() if kind is None or isinstance(each, kind)]

    def connecting(self) -> int | None:
        """The port that is tried now."""
        return next((each.port for each in reversed(self.effects(effects.Connect))), None)

    @property
    def attempt(self) -> int:
        return self.core._out.attempt

    def open(self) -> None:
        self.core.opened(self.attempt, self.at)

    def refuse(self) -> None:
        self.core.closed(self.attempt, "refused", self.at)

    def receive(self, message: object) -> None:
        raw = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.core.received(self.attempt, raw, self.at)

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.core.tick(self.at)

    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(each.data) for each in self.effects(effects.Send)]

    def shake_hands(self, **hello: Any) -> dict[str, Any]:
        self.open()
        self.receive(a_hello(**hello))
        (handshake,) = self.sent()
        return handshake

    def join(self, name: str = "A", *others: str, **payload: Any) -> None:
        handshake = self.shake_hands()
        self.receive(an_update([name, *others], uuid=handshake["meta"]["requestUuid"], addAgent=name, **payload))


def a_hello(**payload: Any) -> dict[str, Any]:
    chosen = {"desktopAgentBridgeVersion": "1", "supportedFDC3Versions": ["2.2"], "authRequired": False, **payload}
    return {"type": "hello", "payload": chosen, "meta": META}


def an_update(names: list[str], *, uuid: str = "other", **payload: Any) -> dict[str, Any]:
    features = {"OriginatingAppMetadata": True, "UserChannelMembershipAPIs": True, "DesktopAgentBridging": True}
    roster = [
        {"fdc3Version": "2.2", "provider": "P", "optionalFeatures": features, "desktopAgent": name} for name in names
    ]
    meta = {**META, "requestUuid": uuid, "responseUuid": "r"}
    return {"type": "connectedAgentsUpdate", "payload": {"allAgents": roster, **payload}, "meta": meta}


# --- Finding a bridge ----------------------------------------------------------------------------------------------


def test_r4_scans_the_ports_upwards():
    agent = Bare()
    tried = [agent.connecting()]
    for _ in range(2):
        agent.refuse()
        tried.append(agent.connecting())

    assert tried == [4475, 4476, 4477]


def test_r3_scans_the_whole_range_by_itself():
    assert (AgentSettings("A").first_port, AgentSettings("A").last_port) == (4475, 4575)


def test_r5_pauses_after_the_last_port_and_begins_again():
    agent = Bare()
    for _ in range(3):
        agent.refuse()
    agent.effects()

    agent.wait(4.9)
    assert agent.connecting() is None
    agent.wait(0.1)
    assert agent.connecting() == 4475


def test_r6_looks_for_a_bridge_again_when_it_has_lost_one():
    agent = Bare()
    agent.join()
    agent.effects()

    agent.refuse()

    assert effects.Unbridged in map(type, agent.effects())
    agent.wait(agent.core.settings.pause_after_loss)
    assert agent.connecting() == 4475


def test_r8_port_that_says_no_hello_in_time_is_passed_by():
    agent = Bare()
    agent.open()
    agent.effects()

    agent.wait(2)

    assert [type(each) for each in agent.effects()] == [effects.Note, effects.Disconnect, effects.Connect]


@pytest.mark.parametrize(
    "said", [b"hi", b'{"type":"hello"}', a_hello(desktopAgentBridgeVersion=None), an_update(["A"])], ids=repr
)
def test_r8_what_begins_with_no_hello_is_no_bridge(said):
    agent = Bare()
    agent.open()
    agent.effects()

    agent.receive(said)

    assert agent.connecting() == 4476


def test_r8_bridge_that_does_not_know_our_fdc3_is_passed_by():
    agent = Bare(fdc3_version="3.0")
    agent.open()

    agent.receive(a_hello(supportedFDC3Versions=["2.1", "2.2"]))

    assert agent.connecting() == 4476


@pytest.mark.parametrize("token", ["forged", None])
def test_r9_bridge_that_cannot_show_who_it_is_is_passed_by(token):
    agent = Bare(trust=lambda token: token == "good")
    agent.open()

    agent.receive(a_hello(**({"authToken": token} if token else {})))

    assert agent.connecting() == 4476


def test_r9_bridge_that_shows_who_it_is_gets_the_handshake():
    agent = Bare(trust=lambda token: token == "good")

    assert agent.shake_hands(authToken="good")["type"] == "handshake"


def test_old_sockets_are_not_listened_to():
    agent = Bare()
    agent.refuse()
    agent.effects()

    agent.core.opened(1, NOW)
    agent.core.received(1, b"{}", NOW)
    agent.core.closed(1, "late", NOW)

    assert agent.effects() == []


# --- Joining it ----------------------------------------------------------------------------------------------------


def test_r10_r11_answers_hello_with_a_handshake_of_its_own_id():
    agent = Bare()
    first = agent.shake_hands()
    agent.refuse()
    second = agent.shake_hands()

    assert first["payload"]["requestedName"] == "A"
    assert first["payload"]["implementationMetadata"]["fdc3Version"] == "2.2"
    assert "authToken" not in first["payload"]
    assert first["meta"]["requestUuid"] != second["meta"]["requestUuid"]


def test_r10_brings_its_token_where_one_is_asked_for():
    agent = Bare(sign=lambda: "token")

    assert agent.shake_hands(authRequired=True)["payload"]["authToken"] == "token"


def test_r10_passes_by_a_bridge_that_asks_for_a_token_when_it_has_none():
    agent = Bare()
    agent.open()

    agent.receive(a_hello(authRequired=True))

    assert agent.connecting() == 4476


def test_r13_passes_by_a_bridge_that_does_not_accept_its_token():
    agent = Bare(sign=lambda: "token")
    uuid = agent.shake_hands(authRequired=True)["meta"]["requestUuid"]

    agent.receive(
        {"type": "authenticationFailed", "payload": {}, "meta": {**META, "requestUuid": uuid, "responseUuid": "r"}}
    )

    assert agent.connecting() == 4476


def test_r15_accepts_the_name_it_is_given_and_no_others():
    agent = Bare()
    uuid = agent.shake_hands()["meta"]["requestUuid"]

    agent.receive(an_update(["B"], addAgent="B"))
    assert not agent.core.connection.is_bridged
    agent.receive(an_update(["A-1", "B"], uuid=uuid, addAgent="A-1"))
    agent.receive(an_update(["A-1", "B", "C"], addAgent="C"))

    assert agent.core.connection.name == "A-1"


def test_r12_tells_every_user_and_app_channel_and_no_private_one():
    agent = Bare()
    app = agent.core.start_app("S")
    agent.core.get_or_create_channel("empty")
    for number in (1, 2):
        agent.core.broadcast(app, "orders", {"type": "x", "number": number}, NOW)
    agent.core.broadcast(app, "orders", {"type": "y"}, NOW)
    agent.core.create_private_channel(app)

    state = agent.shake_hands()["payload"]["channelsState"]

    assert list(state) == [*(f"fdc3.channel.{number}" for number in range(1, 9)), "empty", "orders"]
    assert state["orders"] == [{"type": "y"}, {"type": "x", "number": 2}]


def test_r29_tells_who_comes_and_goes():
    agent = Bare()
    agent.join("A", "B")
    agent.receive(an_update(["A", "B", "C"], addAgent="C"))
    agent.receive(an_update(["A", "C"], removeAgent="B"))

    assert agent.effects(effects.AgentsChanged) == [
        effects.AgentsChanged(("A", "B"), (), ("A", "B")),
        effects.AgentsChanged(("C",), (), ("A", "B", "C")),
        effects.AgentsChanged((), ("B",), ("A", "C")),
    ]


def test_r32_malformed_messages_are_noted_and_change_nothing():
    agent = Bare()
    agent.join()
    agent.effects()

    agent.receive(b"{")
    agent.receive({"type": "findIntentRequest", "payload": {}, "meta": {}})

    assert [type(each) for each in agent.effects()] == [effects.Note, effects.Note]
    assert agent.core.connection.is_bridged


def test_it_says_goodbye_and_nothing_more_when_it_ends():
    agent = Bare()
    agent.join()
    agent.effects()

    agent.core.stop(agent.at)

    assert [type(each) for each in agent.effects()] == [effects.Disconnect, effects.Unbridged]
    assert agent.core.next_deadline() is None


# --- What the bridge's channels hold -------------------------------------------------------------------------------

X1, X2, Y1, Y2 = ({"type": type_, "number": number} for type_ in "xy" for number in (1, 2))


def listening(agent: Bare, *types: str | None, channel: str = "orders") -> dict[int, str | None]:
    app = agent.core.start_app("R")
    agent.core.get_or_create_channel(channel)
    return {agent.core.add_context_listener(app, channel, type_, NOW): type_ for type_ in types}


def adopted(agent: Bare, listeners: dict[int, str | None]) -> list[tuple[str | None, dict[str, Any]]]:
    return [(listeners[each.listener], each.context) for each in agent.effects(effects.ContextArrived)]


def test_r26_missing_types_go_to_their_listeners_and_the_newest_to_untyped_ones():
    agent = Bare()
    listeners = listening(agent, "x", "y", None)

    agent.join(channelsState={"orders": [X1, Y1]})

    assert adopted(agent, listeners) == [("y", Y1), ("x", X1), (None, X1)]
    assert agent.core.current_context("orders", None) == X1


def test_r26_what_differs_is_adopted_and_what_is_held_already_is_told_to_nobody():
    agent = Bare()
    listeners = listening(agent, "x", "y", None)
    app = agent.core.start_app("S")
    agent.core.broadcast(app, "orders", X1, NOW)
    agent.core.broadcast(app, "orders", Y1, NOW)
    agent.effects()
    agent.refuse()

    agent.join(channelsState={"orders": [Y1, X2]})

    assert adopted(agent, listeners) == [("x", X2)]
    assert agent.core.current_context("orders", None) == Y1
    assert agent.core.current_context("orders", "x") == X2


def test_r25_channels_not_used_yet_are_kept():
    agent = Bare()

    agent.join(channelsState={"new": [Y1]})

    assert agent.effects(effects.ContextArrived) == []
    assert agent.core.current_context("new", "y") == Y1


def test_r24_nothing_is_sent_before_the_state_is_adopted():
    agent = Bare()
    app = agent.core.start_app("S")
    uuid = agent.shake_hands()["meta"]["requestUuid"]

    agent.core.broadcast(app, "orders", X2, NOW)
    assert agent.sent() == []
    agent.receive(an_update(["A"], uuid=uuid, addAgent="A", channelsState={"orders": [X1]}))

    assert [each["payload"]["context"] for each in agent.sent()] == [X2]
    assert agent.core.current_context("orders", None) == X2


def test_r24_adopted_contexts_are_no_broadcasts():
    net = Network("A", "B")
    sender = net["A"].app("S")
    net["A"].act(lambda at: net["A"].core.broadcast(sender.identifier, "orders", X1, at))
    net.wire.clear()

    net.add("C")

    assert not any(each["type"] == "broadcastRequest" for each in net.wire)
    assert net["C"].core.current_context("orders", "x") == X1


def test_r30_eight_user_channels():
    agent = Bare()
    app = agent.core.start_app("R")
    for number in range(1, 9):
        agent.core.join_user_channel(app, f"fdc3.channel.{number}")

    assert agent.core.joined_channel(app) == "fdc3.channel.8"


# --- With the real hub ---------------------------------------------------------------------------------------------


def test_r6_many_agents_find_each_other_again_after_the_bridge_was_restarted():
    net = Network("A", "B", "C")
    net.kill_bridge()
    net.pass_time(7)
    net.start_bridge()

    net.pass_time(7)

    for agent in net.agents.values():
        assert set(agent.core.connection.agents) == {"A", "B", "C"}


def test_r53_bridge_that_never_answers_is_left_and_looked_for_again():
    net = Network("A", "B")
    t = net["A"].app("T")
    # It takes what it is sent and forgets it.
    net.hub.received = lambda conn, raw, at: []

    calls = [
        net["A"].ask(lambda call, at: t.core.find_intent(call, t.identifier, "X", None, None, at)) for _ in range(3)
    ]
    net.pass_time(3)

    assert [net["A"].answers[call].error for call in calls] == ["ResponseToBridgeTimedOut"] * 3
    assert effects.Unbridged("the bridge does not answer") in net["A"].changes


def test_r53_bridge_that_answers_now_and_then_is_not_left():
    net = Network("A", "B")
    t = net["A"].app("T")
    received = net.hub.received

    def ask() -> None:
        net["A"].ask(lambda call, at: t.core.find_intent(call, t.identifier, "X", None, None, at))
        net.pass_time(3)

    for _ in range(3):
        net.hub.received = lambda conn, raw, at: []
        ask()
        ask()
        net.hub.received = received
        ask()

    assert net["A"].core.connection.is_bridged
    assert not any(isinstance(change, effects.Unbridged) for change in net["A"].changes)


@pytest.mark.parametrize("version", ["2.1", "2.2", "3.0"])
def test_every_version_speaks_with_every_other(version):
    net = Network("A", fdc3_version=version)
    for other in ("2.1", "2.2", "3.0"):
        net.add(f"B{other}", fdc3_version=other)
    t = net["A"].app("T")
    for agent in list(net.agents.values())[1:]:
        k = agent.app("K")
        channel = k.create_channel()
        k.hand(channel, t)
        k.on(channel, None)
        t.on(channel, None)
        k.listen(channel, "x")
        t.listen(channel, "x")
        t.broadcast(channel)
        net.journal.clear()
        t.disconnect(channel)
        assert [line for line in net.journal if "hears" in line] == [
            "K hears unsubscribe x of T@A",
            "K hears disconnect of T@A",
        ]
        agent.act(lambda at, agent=agent, k=k: agent.core.broadcast(k.identifier, "orders", X1, at))
        assert net["A"].core.current_context("orders", "x") == X1
    assert all(agent.notes == [] for agent in net.agents.values())
