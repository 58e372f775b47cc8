"""A model of agents, apps and channels against the hub: whatever they do in whatever order, the promises hold.

FUZZ_EXAMPLES=2000 tries so many sequences (`make fuzz`).
"""

import os
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bridge.tests.wire import TIMESTAMP, Wire, app, context

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))

APPS = ("K", "T", "W")
CHANNELS = ("red", "blue")
TYPES = ("x", "y", "z")
PRIVATE = ("private-1", "private-2")
NAMES = ("agent-A", "agent-B", "agent-A-2", "")
VERSIONS = ("2.1", "2.2", "3.0")
LIMITS = {
    "max_agents": 6,
    "max_requests": 4,
    "max_results": 1,
    "max_private_channels": 2,
    "max_members": 3,
    "max_kept": 8,
}

picks = st.integers(0, 1000)  # Which agent, request or app: taken modulo how many there are.
states = st.dictionaries(st.sampled_from(CHANNELS), st.lists(st.sampled_from(TYPES), max_size=4))

ASKING = {
    "findIntent": ({"intent": "i"}, {"appIntent": {"intent": {"name": "i"}, "apps": [{"appId": "q"}]}}),
    "findIntentsByContext": ({"context": context()}, {"appIntents": []}),
    "findInstances": ({"app": {"appId": "q"}}, {"appIdentifiers": [{"appId": "q", "instanceId": "1"}]}),
    "getAppMetadata": ({}, {"appMetadata": {"appId": "q"}}),
    "open": ({}, {"appIdentifier": app("q")}),
    "raiseIntent": ({"intent": "i", "context": context()}, {"intentResolution": {"intent": "i", "source": app("K")}}),
}
#: What is only ever asked of one agent.
TARGETED = ("getAppMetadata", "open", "raiseIntent")
RESULTS = (
    {},
    {"context": context()},
    {"channel": {"id": "red", "type": "user"}},
    *({"channel": {"id": each, "type": "private"}} for each in PRIVATE),
)


class Agents(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.wire = Wire(**LIMITS)
        self.connected = []
        self.waiting = []
        #: (agent, request that came to it), answered or not.
        self.questions = []
        #: requestUuid to its agent, the type of the answer that is due, and the one agent that was asked, if it was.
        self.open = {}
        #: (agent, requestUuid): error answers to what was no question of ours.
        self.refusals = Counter()
        self.numbers = Counter()
        self.heard = {}
        self.state = {}

    # Steps

    def do(self, line, act):
        """One input, and then a look at all that came of it. `line`: whose message it is, if it is one."""
        self.wire.sent.clear()
        act()
        for receiver, message in self.wire.sent:
            if "responseUuid" in message["meta"]:
                self.see_answer(receiver, message)
            elif message["type"] != "hello":
                assert receiver is not line, f"{message['type']} went back to its sender"
                self.see_request(receiver, message)
        self.see_who_is_gone()

    def see_request(self, receiver, message):
        if message["type"].startswith("PrivateChannel."):
            assert message["meta"]["destination"]["desktopAgent"] == receiver.name
        elif message["type"] != "broadcastRequest":
            self.questions.append((receiver, message))
        sent = message["payload"].get("context", {})
        if "number" in sent:
            way = (sent["sender"], receiver.conn)
            assert sent["number"] > self.heard.get(way, 0), "overtaken"
            self.heard[way] = sent["number"]

    def see_answer(self, receiver, message):
        type, uuid = message["type"], message["meta"]["requestUuid"]
        if type in ("connectedAgentsUpdate", "authenticationFailed"):
            return
        if self.refusals[receiver, uuid]:
            self.refusals[receiver, uuid] -= 1
            assert "error" in message["payload"]
            return
        assert uuid in self.open, f"{type} to nothing that is open"
        requester, due, target = self.open.pop(uuid)
        assert (requester, due) == (receiver, type)
        if type == "raiseIntentResponse" and "error" not in message["payload"]:
            self.open[uuid] = (requester, "raiseIntentResultResponse", target)

    def see_who_is_gone(self):
        for line in [line for line in [*self.connected, *self.waiting] if line.closed]:
            self.forget(line)

    def forget(self, line):
        if line in self.connected:
            self.connected.remove(line)
            self.open = {uuid: each for uuid, each in self.open.items() if each[0] is not line}
        if line in self.waiting:
            self.waiting.remove(line)
        if not self.connected:
            self.state = {}

    def a(self, pick):
        return self.connected[pick % len(self.connected)]

    def named(self, name):
        return next((line for line in self.connected if line.name == name), None)

    def member_of(self, pick):
        """Some app that takes part in some private channel, more often than not."""
        members = [member.app for channel in self.wire.snapshot().private_channels for member in channel.members]
        if not members or pick % 4 == 0:
            return self.app_of(pick)
        key = members[pick // 4 % len(members)]
        return app(key.app_id, key.desktop_agent, key.instance_id)

    def app_of(self, pick):
        """Some app on some agent, which may be gone or may never have been."""
        names = [*(line.name for line in self.connected), "agent-Z"]
        return app(APPS[pick % 3], names[pick // 3 % len(names)], instance="1" if pick % 5 else None)

    # Coming and going

    @initialize()
    def begin(self):
        for version in VERSIONS:
            self.joins("agent-A", version, {})
        for pick in (0, 2):
            self.opens_a_private_channel(pick, 1, PRIVATE[0], "K")

    @rule(name=st.sampled_from(NAMES), version=st.sampled_from(VERSIONS), state=states)
    def joins(self, name, version, state):
        self.opens()
        if self.waiting:
            self.shakes_hands(len(self.waiting) - 1, name, version, state)

    @rule()
    def opens(self):
        connected = len(self.connected) + len(self.waiting)
        line = self.wire.connect()
        assert (line.closed is None) is (connected < LIMITS["max_agents"])
        if line.closed is None:
            self.waiting.append(line)

    @precondition(lambda self: self.waiting)
    @rule(pick=picks, name=st.sampled_from(NAMES), version=st.sampled_from(VERSIONS), state=states)
    def shakes_hands(self, pick, name, version, state):
        line = self.waiting.pop(pick % len(self.waiting))
        contexts = {channel: [context(type) for type in types] for channel, types in state.items()}
        self.do(None, lambda: line.shake_hands(name, fdc3_version=version, state=contexts))
        self.connected.append(line)
        for channel, types in state.items():
            known = self.state.setdefault(channel, [])
            known += [type for type in dict.fromkeys(types) if type not in known]

    @precondition(lambda self: self.connected)
    @rule(pick=picks, by=st.sampled_from(("itself", "an administrator")))
    def leaves(self, pick, by):
        line = self.a(pick)
        self.do(None, line.hang_up if by == "itself" else lambda: self.wire.disconnect_agent(line))
        assert (line.closed is None) is (by == "itself")
        self.forget(line)

    @rule(seconds=st.sampled_from((0.1, 1.6, 25.0)))
    def time_passes(self, seconds):
        self.do(None, lambda: self.wire.pass_time(seconds))

    # Asking and answering

    @precondition(lambda self: self.connected)
    @rule(pick=picks, to=picks, kind=st.sampled_from(sorted(ASKING)), targeted=st.booleans(), again=st.integers(0, 9))
    def asks(self, pick, to, kind, targeted, again):
        line, target = self.a(pick), self.app_of(to)
        payload, meta = dict(ASKING[kind][0]), {"source": app(APPS[pick % 3])}
        if kind in TARGETED:
            payload["app"] = target
        if kind in TARGETED or targeted:
            meta["to"] = target if kind == "raiseIntent" else {"desktopAgent": target["desktopAgent"]}
        uuid = next(iter(self.open), None) if again == 0 else None
        if uuid is None:
            uuid = f"question-{next(line._uuids)}-{line.conn}"
            self.open[uuid] = (line, f"{kind}Response", self.named(target["desktopAgent"]) if "to" in meta else None)
        elif self.open[uuid][0] is not line:
            self.refusals[line, uuid] += 1
        self.do(line, lambda: line.send(f"{kind}Request", payload, uuid=uuid, **meta))
        assert not self.refusals[line, uuid]

    @precondition(lambda self: self.questions)
    @rule(pick=picks, how=st.sampled_from(("well", "well", "well", "error", "badly", "otherwise", "as another")))
    def answers(self, pick, how):
        line, question = self.questions[-1 - pick % min(len(self.questions), 8)]
        if line not in self.connected:
            return
        kind, uuid = question["type"].removesuffix("Request"), question["meta"]["requestUuid"]
        type, payload = f"{kind}Response", ASKING[kind][1]
        if how == "error":
            payload = {"error": "ApiTimeout"}
        elif how == "badly":
            payload = {"appIntent": 7}
        elif how == "otherwise":
            type, payload = "openResponse", ASKING["open"][1]
        elif how == "as another":
            line = self.a(pick)
        self.answer(line, uuid, type, payload)

    @precondition(lambda self: self.questions)
    @rule(pick=picks, result=st.sampled_from(RESULTS))
    def brings_a_result(self, pick, result):
        intents = [each for each in self.questions if each[1]["type"] == "raiseIntentRequest"]
        if not intents:
            return
        line, question = intents[-1 - pick % min(len(intents), 4)]
        if line in self.connected:
            uuid = question["meta"]["requestUuid"]
            self.answer(line, uuid, "raiseIntentResultResponse", {"intentResult": result})

    @precondition(lambda self: len(self.connected) > 1)
    @rule(pick=picks, to=picks, channel=st.sampled_from(PRIVATE), taker=st.sampled_from(APPS))
    def opens_a_private_channel(self, pick, to, channel, taker):
        line, home = self.a(pick), self.a(to)
        if line is home:
            return
        target = app(taker, home.name)
        self.asks(pick, 3 * self.connected.index(home) + APPS.index(taker), "raiseIntent", True, 9)
        receiver, question = self.questions[-1] if self.questions else (None, None)
        if receiver is not home:
            return  # Too many were in flight.
        uuid = question["meta"]["requestUuid"]
        resolution = {"intentResolution": {"intent": "i", "source": target}}
        self.answer(home, uuid, "raiseIntentResponse", resolution)
        result = {"intentResult": {"channel": {"id": channel, "type": "private"}}}
        self.answer(home, uuid, "raiseIntentResultResponse", result)

    def answer(self, line, uuid, type, payload):
        """A malformed answer is an error for its sender too, so one more may come than is due."""
        peer = self.wire.hub._peers[line.conn]
        due = peer.owed.get(uuid)
        is_wrong = type != getattr(due, "type", None) or payload == {"appIntent": 7}
        if due is not None and is_wrong:
            self.refusals[line, uuid] += 1
        self.do(line, lambda: line.answer(uuid, type, payload))
        assert not self.refusals[line, uuid]

    # Channels

    @precondition(lambda self: self.connected)
    @rule(pick=picks, channel=st.sampled_from(CHANNELS), type=st.sampled_from(TYPES))
    def broadcasts(self, pick, channel, type):
        line = self.a(pick)
        payload = {"channelId": channel, "context": self.numbered(line, type)}
        self.do(line, lambda: line.send("broadcastRequest", payload, source=self.app_of(pick)))
        self.state[channel] = [type, *(each for each in self.state.get(channel, []) if each != type)]

    @precondition(lambda self: self.connected)
    @rule(pick=picks, source=picks, to=picks, channel=st.sampled_from(PRIVATE))
    def broadcasts_in_private(self, pick, source, to, channel):
        self.tells(pick, source, to, channel, "broadcast", None)

    @precondition(lambda self: self.connected)
    @rule(pick=picks, source=picks, to=picks, channel=st.sampled_from(PRIVATE), type=st.sampled_from(("x", "y", None)))
    def listens(self, pick, source, to, channel, type):
        self.tells(pick, source, to, channel, "onAddContextListener", {"contextType": type})

    @precondition(lambda self: self.connected)
    @rule(pick=picks, source=picks, to=picks, channel=st.sampled_from(PRIVATE), type=st.sampled_from(("x", "y", None)))
    def listens_no_more(self, pick, source, to, channel, type):
        self.tells(pick, source, to, channel, "onUnsubscribe", {"contextType": type})

    @precondition(lambda self: self.connected)
    @rule(
        pick=picks,
        source=picks,
        to=picks,
        channel=st.sampled_from(PRIVATE),
        change=st.sampled_from(("Added", "Added", "Removed")),
        type=st.sampled_from(("unsubscribe", "disconnect")),
    )
    def listens_to_events(self, pick, source, to, channel, change, type):
        self.tells(pick, source, to, channel, f"eventListener{change}", {"listenerType": type})

    @precondition(lambda self: self.connected)
    @rule(pick=picks, source=picks, to=picks, channel=st.sampled_from(PRIVATE))
    def leaves_a_channel(self, pick, source, to, channel):
        self.tells(pick, source, to, channel, "onDisconnect", {})

    def tells(self, pick, source, to, channel, type, payload):
        speaker, receiver = self.member_of(source), self.member_of(to)
        # Mostly its own agent speaks for an app.
        line = (pick % 4 and self.named(speaker["desktopAgent"])) or self.a(pick)
        payload = payload if payload is not None else {"context": self.numbered(line, "x")}
        self.do(line, lambda: line.tell(type, channel, speaker, receiver, **payload))

    @rule(to=picks, channel=st.sampled_from(PRIVATE))
    def an_app_is_cut_off(self, to, channel):
        self.do(None, lambda: self.wire.disconnect_app(channel, self.member_of(to)))

    def numbered(self, line, type):
        self.numbers[line.conn] += 1
        return context(type, sender=line.conn, number=self.numbers[line.conn])

    # Nonsense

    @precondition(lambda self: self.connected or self.waiting)
    @rule(pick=picks, raw=st.binary(max_size=40))
    def sends_nonsense(self, pick, raw):
        lines = self.connected + self.waiting
        line = lines[pick % len(lines)]
        self.do(line, lambda: line.send_raw(raw))

    @precondition(lambda self: self.connected)
    @rule(pick=picks, key=st.sampled_from(("type", "payload", "meta")), value=st.sampled_from((None, 7, "x", [], {})))
    def sends_a_broken_request(self, pick, key, value):
        line = self.a(pick)
        meta = {"requestUuid": f"broken-{next(line._uuids)}-{line.conn}", "timestamp": TIMESTAMP}
        message = {"type": "findIntentRequest", "payload": {"intent": 7}, "meta": meta, key: value}
        if message["meta"] is meta and isinstance(message["type"], str):
            self.refusals[line, meta["requestUuid"]] += 1
        self.do(line, lambda: line.post(message))
        assert not self.refusals[line, meta["requestUuid"]]

    # What always holds

    @invariant()
    def it_shows_who_is_there_under_names_of_their_own(self):
        shown = self.wire.snapshot()
        assert sorted(agent.name for agent in shown.agents) == sorted(line.name for line in self.connected)
        assert len({agent.name for agent in shown.agents}) == len(shown.agents)
        assert len({agent.session_id for agent in shown.agents}) == len(shown.agents)
        assert shown.connecting == len(self.waiting)

    @invariant()
    def it_knows_the_state_of_each_channel(self):
        assert self.wire.snapshot().channel_state == {channel: tuple(types) for channel, types in self.state.items()}

    @invariant()
    def it_stays_within_its_bounds(self):
        shown = self.wire.snapshot()
        homes = Counter(channel.home for channel in shown.private_channels)
        assert all(many <= LIMITS["max_private_channels"] for many in homes.values())
        assert {line.name for line in self.connected} >= set(homes)
        assert all(len(channel.members) <= LIMITS["max_members"] for channel in shown.private_channels)
        assert all(agent.requests_in_flight <= LIMITS["max_requests"] for agent in shown.agents)
        assert all(agent.results_awaited <= LIMITS["max_results"] for agent in shown.agents)
        kept = Counter()
        for channel in self.wire.hub._private:
            kept[channel.home] += sum(1 + len(member.contexts) for member in channel.members.values())
        assert all(many <= LIMITS["max_kept"] for many in kept.values())
        assert kept == Counter(self.wire.hub._private._kept_for)
        assert shown.requests_in_flight == len(self.open)

    @invariant()
    def nobody_waits_for_an_agent_that_is_gone(self):
        assert all(target is None or target in self.connected for _, _, target in self.open.values())

    def teardown(self):
        self.do(None, lambda: self.wire.pass_time(60))
        assert all(due == "raiseIntentResultResponse" for _, due, _ in self.open.values())
        for line in [*self.connected, *self.waiting]:
            self.do(None, line.hang_up)
            self.forget(line)
        hub = self.wire.hub
        assert self.open == {}
        assert hub.next_deadline() is None
        assert [len(held) for held in (hub._peers, hub._agents, hub._state, hub._exchanges)] == [0, 0, 0, 0]
        assert list(hub._private) == []
        assert hub._private._of_agent == hub._private._kept_for == {}


def test_the_promises_hold_whatever_agents_do():
    run_state_machine_as_test(
        Agents,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=60,
            deadline=None,
            derandomize="FUZZ_EXAMPLES" not in os.environ,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
