"""What others may do to an agent, over the bridge: nothing that grows without end, or that cuts it off."""

import json

import pytest

from bridge.client import channels, contexts, directory, home_channels, remote_channels
from bridge.client.channels import Channels
from bridge.client.errors import FDC3Error
from bridge.client.outbox import Outbox
from bridge.protocol.messages import AppIdentifier
from bridge.protocol.versions import Version
from bridge.tests.agents import Network, ids
from bridge.tests.test_client_private_channels import a_channel, heard_by

ELSEWHERE = AppIdentifier(app_id="S", instance_id="s", desktop_agent="B")


@pytest.fixture
def net() -> Network:
    return Network("A", "B")


def test_channels_of_others_are_heard_and_beyond_a_bound_forgotten(monkeypatch):
    monkeypatch.setattr(channels, "MAX_CHANNELS", 20)
    out = Outbox(Version.V2_2, ids("A"))
    kept = Channels(out)
    app = AppIdentifier(app_id="R", instance_id="r")
    kept.add_listener(1, app, "channel-99", None)

    for number in range(100):
        kept.broadcast(f"channel-{number}", {"type": "x"}, ELSEWHERE)

    assert len(kept.state()) == 20
    assert len(out.take()) == 1


def test_contexts_of_a_channel_are_bounded_and_the_newest_stay(monkeypatch):
    monkeypatch.setattr(channels, "MAX_CONTEXTS", 3)
    kept = Channels(Outbox(Version.V2_2, ids("A")))

    for number in range(10):
        kept.broadcast("orders", {"type": f"type-{number}"}, ELSEWHERE)

    assert [each["type"] for each in kept.state()["orders"]] == ["type-9", "type-8", "type-7"]


def test_handshake_stays_short_enough_for_a_bridge(net):
    s = net["A"].app("S")
    for number in range(8):
        context = {"type": "x", "text": "y" * 200_000}
        net["A"].core.broadcast(s.identifier, f"orders-{number}", context, net.at)
    net.kill_bridge()
    net.start_bridge()
    net.wire.clear()

    net.pass_time(10)

    handshakes = [each for each in net.wire if each["type"] == "handshake" and each["from"] == "A"]
    assert [len(json.dumps(each)) < 1024 * 1024 for each in handshakes] == [True]
    assert net["A"].core.connection.is_bridged


def test_context_that_no_bridge_would_take_is_refused(net):
    s = net["A"].app("S")
    context = {"type": "x", "text": "y" * contexts.LONGEST}

    with pytest.raises(FDC3Error, match="longer than"):
        net["A"].core.broadcast(s.identifier, "orders", context, net.at)


def test_context_without_end_is_refused(net):
    s = net["A"].app("S")
    context = {"type": "x"}
    context["itself"] = context

    with pytest.raises(FDC3Error, match="MalformedContext"):
        net["A"].core.broadcast(s.identifier, "orders", context, net.at)


def test_listeners_of_a_member_elsewhere_are_bounded(net, monkeypatch):
    monkeypatch.setattr(home_channels, "MAX_CONTEXT_LISTENERS", 3)
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    k.on(channel, "unsubscribe", "disconnect")

    for _ in range(10):
        t.listen(channel, "x")
    t.disconnect(channel)

    assert heard_by(net, "K") == ["unsubscribe x of T@A"] * 3 + ["disconnect of T@A"]


def test_what_a_hub_tells_is_remembered_within_bounds(net, monkeypatch):
    monkeypatch.setattr(remote_channels, "MAX_TOLD", 3)
    t, k = net["A"].app("T"), net["B"].app("K")
    channel = a_channel(k, t)
    t.on(channel, "addContextListener")

    for _ in range(10):
        k.listen(channel, "x")

    assert len(heard_by(net, "T")) == 10
    assert len(net["A"].core._remote._channels[channel, t.identifier].told) == 3


def test_others_can_start_so_many_apps_and_no_more(net, monkeypatch):
    monkeypatch.setattr(directory, "MAX_INSTANCES", 3)
    net["B"].declare("App")
    t = net["A"].app("T")
    app = AppIdentifier(app_id="App", desktop_agent="B")

    calls = [net["A"].ask(lambda call, at: t.core.open(call, t.identifier, app, None, at)) for _ in range(5)]
    raised = net["A"].ask(lambda call, at: t.core.raise_intent(call, t.identifier, app, "View", {"type": "x"}, at))

    assert [getattr(net["A"].answers[call], "error", None) for call in calls] == [None] * 3 + ["ErrorOnLaunch"] * 2
    assert net["A"].answers[raised].error == "TargetAppUnavailable"
