"""What becomes of private channels, and of questions, when an agent, the bridge or an app is lost."""

import pytest

from bridge.client import effects
from bridge.client.errors import FDC3Error
from bridge.protocol.settings import HubSettings
from bridge.tests.agents import Network
from bridge.tests.test_client_private_channels import a_channel, heard_by

QUIET = HubSettings(message_rate=0, announce_lost_creators=False)


@pytest.fixture(params=[True, False], ids=["bridge-says-goodbye", "bridge-says-nothing"])
def net(request) -> Network:
    """With and without a bridge that says goodbye for a lost creator (Q15): to apps it is all the same."""
    return Network("A", "B", "C", hub_settings=HubSettings(message_rate=0, announce_lost_creators=request.param))


def test_r92_participants_of_a_lost_agent_have_left(net):
    t, u, k, w = net["A"].app("T"), net["A"].app("U"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, u, w)
    for app in (k, w, u):
        app.on(channel, "unsubscribe", "disconnect")
    t.listen(channel, "x")
    u.listen(channel)
    net.journal.clear()

    net["A"].drop()

    expected = ["unsubscribe x of T@A", "disconnect of T@A", "unsubscribe null of U@A", "disconnect of U@A"]
    assert heard_by(net, "K") == expected
    assert heard_by(net, "W") == expected
    assert not any("for U@A" in line or "for T@A" in line for line in net.journal)


def test_r92_channel_ends_with_the_agent_of_its_creator(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    for app in (t, w):
        app.on(channel, "addContextListener", "unsubscribe", "disconnect")
    k.listen(channel, "x")
    net.journal.clear()

    net["B"].drop()

    for app in (t, w):
        assert heard_by(net, app.identifier.app_id) == ["unsubscribe x of K@B", "disconnect of K@B"]
        with pytest.raises(FDC3Error, match="AccessDenied"):
            app.broadcast(channel)
        app.disconnect(channel)
    assert not any(" says " in line for line in net.journal)


def test_r92_creator_who_had_left_before_is_not_told_of_again(net):
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    t.on(channel, None)
    k.listen(channel, "x")
    k.disconnect(channel)
    net.journal.clear()

    net["B"].drop()

    assert heard_by(net, "T") == []


def test_r92_with_the_bridge_everyone_elsewhere_is_lost():
    net = Network("A", "B", "C")
    t, k, other, w = net["A"].app("T"), net["B"].app("K"), net["B"].app("L"), net["C"].app("W")
    channel = a_channel(k, t, other, w)
    for app in (t, k, w):
        app.on(channel, None)
    t.listen(channel, "x")
    k.listen(channel, "y")
    net.journal.clear()

    net.kill_bridge()

    assert heard_by(net, "K") == ["unsubscribe x of T@A", "disconnect of T@A", "disconnect of W@C"]
    assert heard_by(net, "T") == heard_by(net, "W") == ["unsubscribe y of K@B", "disconnect of K@B"]
    other.listen(channel, "z")
    k.broadcast(channel, "z")
    assert heard_by(net, "L") == ["context z"]


def test_r92_after_a_reconnect_nothing_of_a_private_channel_is_back():
    net = Network("A", "B")
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.listen(channel)
    t.listen(channel)
    net.kill_bridge()
    net.start_bridge()
    net.pass_time(10)

    assert net["A"].core.connection.is_bridged and net["B"].core.connection.is_bridged
    net.journal.clear()
    k.broadcast(channel)
    with pytest.raises(FDC3Error, match="AccessDenied"):
        t.broadcast(channel)
    assert net.journal == []

    again = a_channel(k, t)
    t.listen(again)
    k.broadcast(again)
    assert heard_by(net, "T") == ["context x"]


@pytest.mark.parametrize("lost", ["K", "T"])
def test_r92_app_that_ends_has_left_as_if_it_had_said_so(lost):
    net = Network("A", "B", "C")
    apps = {"T": net["A"].app("T"), "K": net["B"].app("K"), "W": net["C"].app("W")}
    channel = a_channel(apps["K"], apps["T"], apps["W"])
    for app in apps.values():
        app.on(channel, "unsubscribe", "disconnect")
    apps[lost].listen(channel, "x")
    net.journal.clear()

    apps[lost].close()

    place = {"T": "T@A", "K": "K@B"}[lost]
    assert heard_by(net, "W") == [f"unsubscribe x of {place}", f"disconnect of {place}"]
    assert len([line for line in net.journal if line.startswith("A says")]) == (lost == "T")


def test_r73_channel_for_an_app_that_ended_meanwhile_is_left_at_once():
    net = Network("A", "B")
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = k.create_channel()
    k.on(channel, "disconnect")
    k.core.add_intent_listener(k.identifier, "GetChannel", net.at)
    t.agent.ask(lambda call, at: t.core.raise_intent(call, t.identifier, k.elsewhere, "GetChannel", {"type": "x"}, at))
    t.close()

    k.agent.act(lambda at: k.core.intent_returned(k.agent.runs[0].run, effects.Channel(channel, "private"), at))

    assert heard_by(net, "K") == ["disconnect of T@A"]


def test_r93_no_channel_is_handed_to_an_app_whose_agent_is_gone():
    net = Network("A", "B")
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = k.create_channel()
    k.core.add_intent_listener(k.identifier, "GetChannel", net.at)
    t.agent.ask(lambda call, at: t.core.raise_intent(call, t.identifier, k.elsewhere, "GetChannel", {"type": "x"}, at))
    gone = t.elsewhere
    net["A"].drop()

    k.agent.act(lambda at: k.core.intent_returned(k.agent.runs[0].run, effects.Channel(channel, "private"), at))

    assert not k.core._home.held_by(channel, gone)


def test_r51_question_to_an_agent_that_is_lost_ends_with_its_loss():
    net = Network("A", "B")
    t, k = net["A"].app("T"), net["B"].app("K")
    k.core.add_intent_listener(k.identifier, "Slow", net.at)
    call = t.agent.ask(lambda call, at: t.core.raise_intent(call, t.identifier, k.elsewhere, "Slow", {"type": "x"}, at))

    net["B"].drop()

    assert t.agent.answers[call].source.desktop_agent == "B"
    assert t.agent.results[call].error == "AgentDisconnected"


def test_r58_with_the_bridge_all_is_lost_that_it_was_asked():
    net = Network("A", "B")
    t, k = net["A"].app("T"), net["B"].app("K")
    k.core.add_intent_listener(k.identifier, "Slow", net.at)
    raised = t.agent.ask(
        lambda call, at: t.core.raise_intent(call, t.identifier, k.elsewhere, "Slow", {"type": "x"}, at)
    )

    net.kill_bridge()

    assert t.agent.results[raised].error == "NotConnectedToBridge"


def test_r79_app_that_an_administrator_disconnects_has_left_for_all_others(net):
    """No message can tell its own agent; what it says afterwards reaches nobody."""
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    for app in (k, w):
        app.on(channel, "unsubscribe", "disconnect")
        app.listen(channel)
    t.listen(channel, "x")
    net.journal.clear()

    net.disconnect_app(channel, t)
    t.broadcast(channel)
    t.disconnect(channel)
    k.broadcast(channel)

    assert heard_by(net, "K") == ["unsubscribe x of T@A", "disconnect of T@A"]
    assert heard_by(net, "W") == ["unsubscribe x of T@A", "disconnect of T@A", "context x"]
    assert heard_by(net, "T") == []


def test_r79_creator_that_an_administrator_disconnects_has_left_for_all_others(net):
    t, k, w = net["A"].app("T"), net["B"].app("K"), net["C"].app("W")
    channel = a_channel(k, t, w)
    for app in (t, w):
        app.on(channel, None)
    k.listen(channel, "x")
    net.journal.clear()

    net.disconnect_app(channel, k)
    k.disconnect(channel)
    net["B"].drop()

    assert heard_by(net, "T") == heard_by(net, "W") == ["unsubscribe x of K@B", "disconnect of K@B"]
