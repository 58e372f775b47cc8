"""Private channels between real agents on the real hub: every message and every event in its order.

K creates the channel; T, U and W hold it. What an app hears is written with the agent that the bridge knows it on.
"""

from itertools import product

import pytest

from bridge.client.errors import FDC3Error
from bridge.tests.agents import App, Network

EVENTS = ("addContextListener", "unsubscribe", "disconnect")


@pytest.fixture
def net() -> Network:
    return Network("A", "B", "C")


def a_channel(creator: App, *holders: App) -> str:
    channel = creator.create_channel()
    for holder in holders:
        creator.hand(channel, holder)
    return channel


def messages(net: Network) -> list[str]:
    return [line for line in net.journal if " says " in line]


def heard_by(net: Network, app: str) -> list[str]:
    return [line.removeprefix(f"{app} hears ") for line in net.journal if line.startswith(f"{app} hears ")]


# --- disconnect(), wherever it happens -----------------------------------------------------------------------------


def test_r80_r81_participant_leaves_and_the_hub_tells_everybody_else(net):
    """The worked table of facts 7.5."""
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    k.on(channel, "unsubscribe", "disconnect")
    w.on(channel, "unsubscribe", "disconnect")
    t.listen(channel, "x")
    t.listen(channel)
    net.journal.clear()

    t.disconnect(channel)

    assert net.journal == [
        "A says onDisconnect of T for K@B",
        "B is told onDisconnect of T@A for K@B",
        "K hears unsubscribe x of T@A",
        "B says onUnsubscribe x of T@A for W@C",
        "K hears unsubscribe null of T@A",
        "B says onUnsubscribe None of T@A for W@C",
        "K hears disconnect of T@A",
        "B says onDisconnect of T@A for W@C",
        "C is told onUnsubscribe x of T@A for W@C",
        "W hears unsubscribe x of T@A",
        "C is told onUnsubscribe None of T@A for W@C",
        "W hears unsubscribe null of T@A",
        "C is told onDisconnect of T@A for W@C",
        "W hears disconnect of T@A",
    ]


def test_r81_creator_leaves_and_its_own_agent_tells_the_participants(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    k.listen(channel, "x")
    k.on(channel, *EVENTS)
    t.on(channel, "unsubscribe", "disconnect")
    w.on(channel, "unsubscribe", "disconnect")
    net.journal.clear()

    k.disconnect(channel)

    assert net.journal == [
        "B says onUnsubscribe x of K for T@A",
        "B says onUnsubscribe x of K for W@C",
        "B says onDisconnect of K for T@A",
        "B says onDisconnect of K for W@C",
        "A is told onUnsubscribe x of K@B for T@A",
        "T hears unsubscribe x of K@B",
        "C is told onUnsubscribe x of K@B for W@C",
        "W hears unsubscribe x of K@B",
        "A is told onDisconnect of K@B for T@A",
        "T hears disconnect of K@B",
        "C is told onDisconnect of K@B for W@C",
        "W hears disconnect of K@B",
    ]


def test_r81_another_app_on_the_creators_agent_leaves(net):
    t, k, other = net["A"].app("T"), net["B"].app("K"), net["B"].app("L")
    channel = a_channel(k, t, other)
    other.listen(channel, "x")
    k.on(channel, "unsubscribe", "disconnect")
    t.on(channel, "unsubscribe", "disconnect")
    net.journal.clear()

    other.disconnect(channel)

    assert net.journal == [
        "K hears unsubscribe x of L",
        "B says onUnsubscribe x of L for T@A",
        "K hears disconnect of L",
        "B says onDisconnect of L for T@A",
        "A is told onUnsubscribe x of L@B for T@A",
        "T hears unsubscribe x of L@B",
        "A is told onDisconnect of L@B for T@A",
        "T hears disconnect of L@B",
    ]


def test_r89_two_participants_on_one_agent_hear_of_each_other_through_the_hub_alone(net):
    t, u, k = net["A"].app("T"), net["A"].app("U"), net["B"].app("K")
    channel = a_channel(k, t, u)
    t.listen(channel, "x")
    u.on(channel, "unsubscribe", "disconnect")
    net.journal.clear()

    t.disconnect(channel)

    assert net.journal == [
        "A says onDisconnect of T for K@B",
        "B is told onDisconnect of T@A for K@B",
        "B says onUnsubscribe x of T@A for U@A",
        "B says onDisconnect of T@A for U@A",
        "A is told onUnsubscribe x of T@A for U@A",
        "U hears unsubscribe x of T@A",
        "A is told onDisconnect of T@A for U@A",
        "U hears disconnect of T@A",
    ]


def test_r79_listener_on_a_third_agent_hears_only_what_it_asked_for(net):
    t, k, u, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("U"), net["C"].app("W")
    channel = a_channel(k, t, u, w)
    t.listen(channel, "x")
    u.on(channel, "unsubscribe")
    w.on(channel, "disconnect")
    net.journal.clear()

    t.disconnect(channel)

    assert net.journal == [
        "A says onDisconnect of T for K@B",
        "B is told onDisconnect of T@A for K@B",
        "B says onUnsubscribe x of T@A for U@C",
        "B says onDisconnect of T@A for W@C",
        "C is told onUnsubscribe x of T@A for U@C",
        "U hears unsubscribe x of T@A",
        "C is told onDisconnect of T@A for W@C",
        "W hears disconnect of T@A",
    ]


@pytest.mark.parametrize("leaver", ["K", "T", "W"])
@pytest.mark.parametrize("placement", list(product("ABC", repeat=3)), ids="".join)
def test_r82_every_unsubscribe_comes_before_the_disconnect_in_every_placement(placement, leaver):
    net = Network("A", "B", "C")
    apps = {name: net[agent].app(name) for name, agent in zip("KTW", placement, strict=True)}
    channel = a_channel(apps["K"], apps["T"], apps["W"])
    for app in apps.values():
        app.on(channel, "unsubscribe", "disconnect")
    apps[leaver].listen(channel, "x")
    apps[leaver].listen(channel)
    net.journal.clear()

    apps[leaver].disconnect(channel)

    others = apps.keys() - {leaver}
    for name in others:
        assert [event.split(" of ")[0] for event in heard_by(net, name)] == [
            "unsubscribe x",
            "unsubscribe null",
            "disconnect",
        ]
    assert heard_by(net, leaver) == []
    assert not any(f"for {leaver}@" in line for line in messages(net))
    home, own = placement[0], apps[leaver].agent.name
    remote = sum(apps[name].agent.name != home for name in others)
    assert len(messages(net)) == (own != home) + 2 * remote + remote


def test_r79_without_context_listeners_there_is_nothing_to_unsubscribe_from(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    k.on(channel, "unsubscribe")
    w.on(channel, "unsubscribe", "disconnect")
    net.journal.clear()

    t.disconnect(channel)

    assert messages(net) == ["A says onDisconnect of T for K@B", "B says onDisconnect of T@A for W@C"]
    assert heard_by(net, "K") == []


def test_r80_disconnecting_twice_says_it_once(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.on(channel, "disconnect")

    t.disconnect(channel)
    t.disconnect(channel)

    assert heard_by(net, "K") == ["disconnect of T@A"]
    assert [line for line in messages(net) if "onDisconnect" in line] == ["A says onDisconnect of T for K@B"]


def test_r81_hub_goes_on_for_the_others_when_the_creator_has_left(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    t.on(channel, "disconnect")
    t.listen(channel, "x")

    k.disconnect(channel)
    w.broadcast(channel, "x")
    w.disconnect(channel)

    assert heard_by(net, "T") == ["disconnect of K@B", "context x", "disconnect of W@C"]


# --- Listeners -----------------------------------------------------------------------------------------------------


def test_r75_r77_r78_lifecycle_of_a_channel_as_the_conformance_tests_have_it(net):
    k, test = net["B"].app("K"), net["A"].app("Test")
    channel = a_channel(k, test)
    k.on(channel, *EVENTS)
    k.on(channel, None)

    first = test.listen(channel, "x")
    test.unsubscribe(channel, first)
    test.listen(channel, "x")
    k.listen(channel, "y")
    k.broadcast(channel, "x")
    test.broadcast(channel, "y")
    test.disconnect(channel)

    twice = [
        "addContextListener x of Test@A",
        "unsubscribe x of Test@A",
        "addContextListener x of Test@A",
    ]
    assert heard_by(net, "K") == [
        *(event for event in twice for _ in range(2)),
        "context y",
        "unsubscribe x of Test@A",
        "unsubscribe x of Test@A",
        "disconnect of Test@A",
        "disconnect of Test@A",
    ]
    assert heard_by(net, "Test") == ["context x"]


def test_r75_r76_first_listener_of_a_type_is_told_and_the_last_one_removed(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)

    first, second = t.on(channel, "disconnect", "disconnect")
    t.unsubscribe(channel, first)
    t.unsubscribe(channel, second)
    t.unsubscribe(channel, second)

    assert messages(net) == [
        "A says eventListenerAdded disconnect of T for K@B",
        "A says eventListenerRemoved disconnect of T for K@B",
    ]


def test_r75_listener_for_every_event_is_one_of_each_type_on_the_wire(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)

    (listener,) = t.on(channel, None)
    k.listen(channel, "x")
    k.disconnect(channel)
    t.unsubscribe(channel, listener)

    said = [line.split(" of ")[0] for line in messages(net) if line.startswith("A says")]
    assert said == [f"A says eventListener{change} {type_}" for change in ("Added", "Removed") for type_ in EVENTS]
    assert heard_by(net, "T") == ["addContextListener x of K@B", "unsubscribe x of K@B", "disconnect of K@B"]


def test_r74_removed_listener_hears_nothing_more(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    (listener,) = t.on(channel, "addContextListener")
    t.unsubscribe(channel, listener)
    net.journal.clear()

    k.listen(channel, "x")

    assert net.journal == []


def test_r77_r78_what_a_participant_listens_to_is_repeated_to_those_who_asked(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    k.on(channel, "addContextListener", "unsubscribe")
    w.on(channel, "addContextListener", "unsubscribe")
    net.journal.clear()

    listener = t.listen(channel, "x")
    t.unsubscribe(channel, listener)

    assert net.journal == [
        "A says onAddContextListener x of T for K@B",
        "B is told onAddContextListener x of T@A for K@B",
        "K hears addContextListener x of T@A",
        "B says onAddContextListener x of T@A for W@C",
        "C is told onAddContextListener x of T@A for W@C",
        "W hears addContextListener x of T@A",
        "A says onUnsubscribe x of T for K@B",
        "B is told onUnsubscribe x of T@A for K@B",
        "K hears unsubscribe x of T@A",
        "B says onUnsubscribe x of T@A for W@C",
        "C is told onUnsubscribe x of T@A for W@C",
        "W hears unsubscribe x of T@A",
    ]


def test_r83_late_registrants_hear_of_the_context_listeners_there_are_already(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    k.listen(channel, "x")
    t.listen(channel, "y")
    w.listen(channel)
    net.journal.clear()

    k.on(channel, "addContextListener")
    w.on(channel, "addContextListener")

    assert heard_by(net, "K") == ["addContextListener y of T@A", "addContextListener null of W@C"]
    assert heard_by(net, "W") == ["addContextListener x of K@B", "addContextListener y of T@A"]


def test_r83_second_handler_of_an_app_hears_of_them_and_the_first_not_again(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.listen(channel, "x")

    first, second = t.on(channel, "addContextListener", "addContextListener")

    assert [listener for listener, _ in t.agent.heard] == [first, second]


def test_r83_app_that_asks_again_is_told_again_and_once(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.listen(channel, "x")
    (listener,) = t.on(channel, "addContextListener")
    t.unsubscribe(channel, listener)
    net.journal.clear()

    t.on(channel, "addContextListener")
    assert heard_by(net, "T") == ["addContextListener x of K@B"]
    t.on(channel, "unsubscribe")
    net["B"].drop()
    assert heard_by(net, "T")[1:] == ["unsubscribe x of K@B"]


def test_r88_several_listeners_of_one_type_are_counted(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.on(channel, "unsubscribe", "disconnect")
    first, _, _ = (t.listen(channel, "x") for _ in range(3))

    t.unsubscribe(channel, first)
    t.disconnect(channel)

    assert heard_by(net, "K") == ["unsubscribe x of T@A"] * 3 + ["disconnect of T@A"]


# --- Broadcasts ----------------------------------------------------------------------------------------------------


def test_r70_r71_r72_hub_repeats_a_broadcast_once_to_each_app_that_listens_for_it(net):
    t, k, u, w = net["A"].app("T"), net["B"].app("K"), net["A"].app("U"), net["C"].app("W")
    channel = a_channel(k, t, u, w)
    for app in (t, k, w):
        app.listen(channel, "x")
    w.listen(channel)
    u.listen(channel, "y")
    net.journal.clear()

    t.broadcast(channel, "x")

    assert net.journal == [
        "A says broadcast x of T for K@B",
        "B is told broadcast x of T@A for K@B",
        "K hears context x",
        "B says broadcast x of T@A for W@C",
        "C is told broadcast x of T@A for W@C",
        "W hears context x",
        "W hears context x",
    ]


def test_r70_creators_broadcast_goes_to_each_remote_subscriber(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    t.listen(channel)
    w.listen(channel, "x")
    k.listen(channel)
    net.journal.clear()

    k.broadcast(channel, "x")

    assert messages(net) == ["B says broadcast x of K for T@A", "B says broadcast x of K for W@C"]
    assert (heard_by(net, "T"), heard_by(net, "W"), heard_by(net, "K")) == (["context x"], ["context x"], [])


def test_r72_repeats_keep_source_and_time_and_have_an_id_of_their_own(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    w.listen(channel)
    net.wire.clear()

    net.is_slow = True
    t.broadcast(channel, "x")
    net.at += 5
    net.arrive(None)

    said, told, repeated, reached = (each["meta"] for each in net.wire)
    assert told["source"] == repeated["source"] == reached["source"] == {**said["source"], "desktopAgent": "A"}
    assert repeated["timestamp"] == said["timestamp"]
    assert repeated["requestUuid"] != said["requestUuid"]


def test_r84_no_broadcast_after_the_own_disconnect(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    t.disconnect(channel)
    k.disconnect(channel)

    for app in (t, k):
        with pytest.raises(FDC3Error, match="AccessDenied"):
            app.broadcast(channel)
        with pytest.raises(FDC3Error, match="AccessDenied"):
            app.listen(channel)


# --- Who holds a channel -------------------------------------------------------------------------------------------


def test_r87_creating_and_using_a_channel_that_nobody_else_holds_sends_nothing(net):
    k = net["B"].app("K")
    channel = k.create_channel()
    net.wire.clear()

    k.on(channel, None)
    k.unsubscribe(channel, k.listen(channel, "x"))
    k.broadcast(channel)
    k.disconnect(channel)

    assert net.wire == []


def test_r69_r73_participant_speaks_to_the_creator_by_its_full_identifier(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    net.wire.clear()

    t.listen(channel, "x")

    assert net.wire[0]["meta"]["destination"] == {
        "appId": "K",
        "instanceId": k.identifier.instance_id,
        "desktopAgent": "B",
    }


def test_r85_private_channel_is_not_to_be_had_by_its_id(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)

    for agent in (net["A"], net["B"]):
        with pytest.raises(FDC3Error, match="AccessDenied"):
            agent.core.get_or_create_channel(channel)
    k.disconnect(channel)
    t.disconnect(channel)
    with pytest.raises(FDC3Error, match="AccessDenied"):
        net["B"].core.get_or_create_channel(channel)


def test_r86_strangers_neither_hear_nor_say_anything(net):
    t, k, stranger, neighbour = net["A"].app("T"), net["B"].app("K"), net["C"].app("S"), net["B"].app("N")
    channel = a_channel(k, t)
    k.listen(channel)
    k.on(channel, None)
    # It has learnt the id and the creator by some other way, and its agent does as it says.
    net["C"].core._remote.joined(channel, stranger.identifier, k.elsewhere)

    stranger.on(channel, None)
    stranger.listen(channel)
    stranger.broadcast(channel)
    stranger.disconnect(channel)
    with pytest.raises(FDC3Error, match="AccessDenied"):
        neighbour.broadcast(channel)

    assert heard_by(net, "K") == []
    net.journal.clear()
    k.broadcast(channel)
    assert messages(net) == []


def test_r93_words_of_an_app_that_left_are_ignored(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.listen(channel)
    k.on(channel, None)
    t.disconnect(channel)
    # As from an agent that lets its app go on.
    net["A"].core._remote.joined(channel, t.identifier, k.elsewhere)
    net.journal.clear()

    t.on(channel, None)
    t.listen(channel)
    t.broadcast(channel)
    t.disconnect(channel)

    assert heard_by(net, "K") == []
    assert not any(line.startswith("B says") for line in net.journal)


def test_r93_app_that_is_handed_the_channel_again_is_back(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.on(channel, "disconnect")
    t.disconnect(channel)

    k.hand(channel, t)
    t.listen(channel)
    k.broadcast(channel, "x")
    t.disconnect(channel)

    assert heard_by(net, "T") == ["context x"]
    assert heard_by(net, "K") == ["disconnect of T@A"] * 2


def test_r93_creator_that_gets_its_own_channel_again_is_back_and_leaves_again(net):
    t, k, other = net["A"].app("T"), net["B"].app("K"), net["B"].app("L")
    channel = a_channel(k, t, other)
    t.on(channel, None)
    k.disconnect(channel)

    other.hand(channel, k)
    k.listen(channel, "x")
    k.disconnect(channel)

    assert heard_by(net, "T") == [
        "disconnect of K@B",
        "addContextListener x of K@B",
        "unsubscribe x of K@B",
        "disconnect of K@B",
    ]


def test_r94_message_on_an_unknown_channel_is_ignored_and_makes_none(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    t.disconnect(channel)
    bystander = net["A"].app("N")
    net["B"].core._home.hand_to(channel, t.elsewhere)
    net["B"].core._home.hand_to(channel, bystander.elsewhere)
    net["A"].core._remote.joined(channel, t.identifier, k.elsewhere)
    t.on(channel, None)
    t.listen(channel)
    del net["A"].core._remote._channels[channel, t.identifier]
    net.journal.clear()

    k.broadcast(channel)
    k.listen(channel)
    k.disconnect(channel)

    assert [line for line in net.journal if "hears" in line] == []
    assert channel not in net["A"].core._remote


def test_r73_channel_that_came_from_elsewhere_is_not_handed_on(net):
    """Q14: its hub would not know of the new holder."""
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t)

    with pytest.raises(AssertionError):
        t.hand(channel, w)

    (result,) = net["C"].results.values()
    assert result.error == "IntentHandlerRejected"
