"""Hello, handshake, names, channel state, updates, and what happens to those that never get so far."""

import json

import pytest

from bridge.tests.wire import TIMESTAMP, Wire, app, context, implementation


@pytest.fixture
def wire():
    return Wire()


def handshake(name="agent-A", **payload):
    payload = {"implementationMetadata": implementation(), "requestedName": name, "channelsState": {}} | payload
    return {"type": "handshake", "payload": payload, "meta": {"requestUuid": "H", "timestamp": TIMESTAMP}}


def state_of(message):
    return {
        channel: [(each["type"], each.get("v")) for each in contexts]
        for channel, contexts in message["payload"]["channelsState"].items()
    }


# Steps 2 and 3


def test_r7_it_says_hello_before_anything_else(wire):
    line = wire.connect()

    assert line.types == ["hello"]
    assert line.last["payload"]["supportedFDC3Versions"] == ["2.1", "2.2", "3.0"]
    assert line.last["payload"]["authRequired"] is False


def test_it_ignores_messages_before_the_handshake(wire):
    other, line = wire.agent("agent-A"), wire.connect()

    line.send("broadcastRequest", {"channelId": "red", "context": context()}, source=app("x"))
    line.send("findIntentRequest", {"intent": "x"})

    assert line.types == ["hello"]
    assert other.inbox == []


def test_it_closes_a_connection_that_never_shakes_hands(wire):
    line = wire.connect()

    wire.pass_time(9.9)
    assert line.closed is None
    wire.pass_time(0.2)

    assert line.closed == (1008, "no handshake in time")
    assert [(note.event.value, note.text) for note in wire.notes] == [("refused", "no handshake in time")]


def test_it_ignores_a_second_handshake_and_never_renames(wire):
    line, other = wire.agent("agent-A"), wire.agent("agent-B")

    line.shake_hands("agent-Z")

    assert line.inbox == other.inbox == []
    assert [agent.name for agent in wire.snapshot().agents] == ["agent-A", "agent-B"]


@pytest.mark.parametrize("version", ["2.0", "1.2", "nonsense"])
def test_it_refuses_an_agent_from_before_bridging_and_says_why(wire, version):
    line = wire.connect()

    line.shake_hands("agent-A", fdc3_version=version)

    assert line.last["type"] == "authenticationFailed"
    assert version in line.last["payload"]["message"]
    assert line.closed is not None
    assert wire.snapshot().agents == ()


@pytest.mark.parametrize(("said", "served"), [("2.1.3", "V2_1"), ("2.2", "V2_2"), ("2.7", "V2_2"), ("4.0", "NEXT")])
def test_it_takes_an_unknown_version_for_the_nearest_lower(wire, said, served):
    line = wire.agent("agent-A", fdc3_version=said)

    assert line.version.name == served
    assert wire.snapshot().agents[0].fdc3_version == said


def test_it_answers_a_malformed_handshake_with_the_reason_and_closes(wire):
    line = wire.connect()

    line.post(handshake(requestedName=7))

    assert line.last["type"] == "authenticationFailed"
    assert "requestedName" in line.last["payload"]["message"]
    assert line.closed is not None


# Authentication


def test_r13_a_bad_token_gets_authentication_failed_and_then_the_close():
    wire = Wire(auth_required=True)
    line = wire.connect()
    line.shake_hands("agent-A", token="forged", uuid="H")

    assert wire.to_verify == {line.conn: "forged"}
    wire.do(wire.hub.verified(line.conn, None, wire.at))

    assert line.last["type"] == "authenticationFailed"
    assert line.last["meta"]["requestUuid"] == "H"
    assert line.closed is not None


def test_r13_a_missing_token_fails_at_once():
    wire = Wire(auth_required=True)
    line = wire.connect()

    line.shake_hands("agent-A")

    assert line.last["type"] == "authenticationFailed"
    assert wire.to_verify == {}


def test_it_lets_an_agent_in_whose_token_was_verified():
    wire = Wire(auth_required=True)
    line = wire.connect()
    assert line.last["payload"]["authRequired"] is True
    line.shake_hands("agent-A", token="good")
    line.send("findIntentRequest", {"intent": "too early"})
    assert line.types == ["hello"]

    wire.do(wire.hub.verified(line.conn, "alice", wire.at))

    assert line.last["payload"]["addAgent"] == "agent-A"
    assert wire.snapshot().agents[0].principal == "alice"


def test_it_takes_a_verdict_only_once_and_only_for_who_waits():
    wire = Wire(auth_required=True)
    line = wire.connect()
    wire.do(wire.hub.verified(line.conn, "alice", wire.at))
    assert line.types == ["hello"]
    line.shake_hands("agent-A", token="slow")
    wire.pass_time(11)
    assert line.closed is not None

    wire.do(wire.hub.verified(line.conn, "alice", wire.at))

    assert wire.snapshot().agents == ()


def test_it_shows_no_token_to_whoever_prints_an_effect():
    wire = Wire(auth_required=True)
    line = wire.connect()

    effects = wire.hub.received(line.conn, json.dumps(handshake(authToken="secret")).encode(), wire.at)

    assert "secret" not in repr(effects)


# Names


def test_r14_it_gives_the_requested_name_or_one_made_from_it(wire):
    names = [wire.agent("agent-A").name for _ in range(3)]

    assert names == ["agent-A", "agent-A-2", "agent-A-3"]


@pytest.mark.parametrize(
    ("requested", "given"),
    [("  agent \n A ", "agent A"), ("", "desktop-agent"), ("\u200b\x00", "desktop-agent"), ("n" * 500, "n" * 100)],
)
def test_r14_it_makes_names_presentable(wire, requested, given):
    assert wire.agent(requested).name == given


def test_r14_names_made_from_a_long_one_stay_short_and_differ(wire):
    first, second = wire.agent("n" * 100), wire.agent("n" * 100)

    assert second.name == "n" * 98 + "-2" != first.name


def test_r16_it_gives_a_returning_agent_its_former_name(wire):
    wire.agent("agent-B")
    wire.agent("agent-A").hang_up()

    assert wire.agent("agent-A").name == "agent-A"


# Channel state


def test_r18_it_adopts_unknown_channels_and_appends_unknown_types(wire):
    wire.agent("agent-A", state={"red": [context("x", v=1), context("y", v=1)]})
    line = wire.connect()

    line.shake_hands(
        "agent-B",
        state={
            "red": [context("z", v=2), context("x", v=2), context("w", v=2)],
            "blue": [context("x", v=2)],
            "green": [],
        },
    )

    assert state_of(line.last) == {
        "red": [("x", 1), ("y", 1), ("z", 2), ("w", 2)],
        "blue": [("x", 2)],
        "green": [],
    }


def test_r18_it_keeps_one_context_of_each_type_of_a_new_channel(wire):
    line = wire.connect()

    line.shake_hands("agent-A", state={"red": [context("x", v=1), context("y", v=1), context("x", v=2)]})

    assert state_of(line.last) == {"red": [("x", 1), ("y", 1)]}


def test_r19_r20_steps_three_to_six_are_one_input_with_nothing_in_between(wire):
    other, line = wire.agent("agent-A"), wire.connect()

    effects = wire.hub.received(line.conn, json.dumps(handshake("agent-B")).encode(), wire.at)
    wire.do(effects)

    assert other.types == line.types[1:] == ["connectedAgentsUpdate"]


def test_r21_r22_r23_everybody_gets_the_same_update_with_the_whole_roster_and_state(wire):
    first, line = wire.agent("agent-A", state={"red": [context()]}), wire.connect()

    line.shake_hands("agent-B", uuid="H")

    for each in (first, line):
        update = each.last
        assert update["meta"]["requestUuid"] == "H"
        assert update["meta"]["responseUuid"] not in ("H", None)
        assert update["payload"]["addAgent"] == "agent-B"
        assert [agent["desktopAgent"] for agent in update["payload"]["allAgents"]] == ["agent-A", "agent-B"]
        assert list(update["payload"]["channelsState"]) == ["red"]


def test_r22_each_receiver_reads_the_roster_in_its_own_version(wire):
    old, new = wire.agent("agent-A", fdc3_version="2.1"), wire.connect()

    new.shake_hands("agent-B", fdc3_version="3.0")

    def features(line):
        return [sorted(agent["optionalFeatures"]) for agent in line.last["payload"]["allAgents"]]

    assert features(old) == [["DesktopAgentBridging", "OriginatingAppMetadata", "UserChannelMembershipAPIs"]] * 2
    assert features(new) == [["DesktopAgentBridging", "UserChannelMembershipAPIs"]] * 2


def test_an_update_is_encoded_once_for_each_version(wire):
    lines = [wire.agent(f"agent-{number}", fdc3_version="2.2") for number in range(4)]

    wire.agent("newer", fdc3_version="3.0")
    lines[0].hang_up()

    assert len({id(line.raw_inbox[-1]) for line in lines[1:]}) == 1


def test_r27_the_others_hear_of_a_loss_without_any_state(wire):
    first, second = wire.agent("agent-A", state={"red": [context()]}), wire.agent("agent-B")

    first.hang_up()

    assert second.last["payload"] == {
        "removeAgent": "agent-A",
        "allAgents": [{**implementation(), "desktopAgent": "agent-B"}],
    }
    assert second.last["meta"]["requestUuid"] == second.last["meta"]["responseUuid"]


def test_r28_the_state_is_gone_with_the_last_agent(wire):
    wire.agent("agent-A", state={"red": [context()]}).hang_up()
    line = wire.connect()

    line.shake_hands("agent-B")

    assert state_of(line.last) == {}
    assert wire.snapshot().channel_state == {}


def test_it_says_nothing_to_others_of_a_socket_that_never_became_an_agent(wire):
    other = wire.agent("agent-A")

    wire.connect().hang_up()

    assert other.inbox == []


def test_r31_a_relayed_broadcast_becomes_the_most_recent_context(wire):
    sender = wire.agent("agent-A", state={"red": [context("x", v=1), context("y", v=1)]})
    wire.agent("agent-B")
    sender.send("broadcastRequest", {"channelId": "red", "context": context("y", v=2)}, source=app("K"))
    sender.send("broadcastRequest", {"channelId": "blue", "context": context("z", v=2)}, source=app("K"))
    line = wire.connect()

    line.shake_hands("agent-C")

    assert state_of(line.last) == {"red": [("y", 2), ("x", 1)], "blue": [("z", 2)]}


def test_it_hears_nothing_of_a_connection_that_is_gone(wire):
    line, other = wire.agent("agent-A"), wire.agent("agent-B")
    line.hang_up()
    other.clear()

    line.hang_up()
    line.send("broadcastRequest", {"channelId": "red", "context": context()}, source=app("x"))

    assert other.inbox == []


def test_the_reason_of_a_close_fits_into_its_frame_whatever_an_agent_says(wire):
    line = wire.connect()

    line.shake_hands("agent-A", fdc3_version="\u20ac" * 900)

    assert len(line.closed[1].encode()) <= 120
