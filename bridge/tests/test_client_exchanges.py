"""Questions between agents on the real hub: what is asked, by whom it is answered, and what comes back."""

import json

import pytest

from bridge.client import effects
from bridge.client.directory import Intent
from bridge.client.errors import FDC3Error, NotConnectedToBridge
from bridge.protocol.messages import AppIdentifier
from bridge.tests.agents import Agent, App, Network

CONTEXT = {"type": "fdc3.instrument"}
VIEW = Intent("View", contexts=("fdc3.instrument",), result_type="channel<price>")


@pytest.fixture
def net() -> Network:
    """B and C have an app for View; A has none."""
    net = Network("A", "B", "C")
    net["B"].declare("Quotes", VIEW)
    net["C"].declare("Prices", VIEW)
    return net


def there(app_id: str, agent: str, instance_id: str | None = None) -> AppIdentifier:
    return AppIdentifier(app_id=app_id, instance_id=instance_id, desktop_agent=agent)


def find_intent(app: App, intent="View", context=None, result_type=None):
    return answer(app, lambda call, at: app.core.find_intent(call, app.identifier, intent, context, result_type, at))


def find_instances(app: App, target):
    return answer(app, lambda call, at: app.core.find_instances(call, app.identifier, target, at))


def raise_intent(app: App, target: AppIdentifier, intent="View") -> int:
    return app.agent.ask(lambda call, at: app.core.raise_intent(call, app.identifier, target, intent, CONTEXT, at))


def open_app(app: App, target: AppIdentifier, context=None) -> int:
    return app.agent.ask(lambda call, at: app.core.open(call, app.identifier, target, context, at))


def answer(app: App, begin):
    return app.agent.answers[app.agent.ask(begin)]


def sent(net: Network, agent: str, kind: str):
    return [each for each in net.wire if each["from"] == agent and each["type"] == kind]


def names(apps) -> set[tuple[str, str | None]]:
    return {(app.app_id, app.desktop_agent) for app in apps}


# --- Finding -------------------------------------------------------------------------------------------------------


def test_r59_own_apps_are_put_beside_those_of_others(net):
    net["A"].declare("Mine", VIEW)

    found = find_intent(net["A"].app("T"))

    assert found.intent.name == "View"
    assert found.apps[0].app_id == "Mine"
    assert names(found.apps) == {("Mine", None), ("Quotes", "B"), ("Prices", "C")}


def test_r59_own_apps_do_where_others_have_none_or_do_not_answer(net):
    net["A"].declare("Mine", Intent("Only"))
    t = net["A"].app("T")

    assert names(find_intent(t, "Only").apps) == {("Mine", None)}
    net.hub.received = lambda conn, raw, at: []
    call = net["A"].ask(lambda call, at: t.core.find_intent(call, t.identifier, "Only", None, None, at))
    net.pass_time(3)
    assert names(net["A"].answers[call].apps) == {("Mine", None)}


def test_r49_waits_for_the_bridge_three_seconds_and_no_longer(net):
    t = net["A"].app("T")
    net.hub.received = lambda conn, raw, at: []
    call = net["A"].ask(lambda call, at: t.core.find_intent(call, t.identifier, "View", None, None, at))

    net.pass_time(2.9)
    assert call not in net["A"].answers
    net.pass_time(0.1)
    assert net["A"].answers[call].error == "ResponseToBridgeTimedOut"


def test_r56_nobody_with_such_an_intent_is_no_apps_found(net):
    assert find_intent(net["A"].app("T"), "Unknown").error == "NoAppsFound"


@pytest.mark.parametrize(
    ("context", "result_type", "is_found"),
    [
        ({"type": "fdc3.instrument"}, None, True),
        ({"type": "fdc3.contact"}, None, False),
        (None, "channel", True),
        (None, "channel<price>", True),
        (None, "channel<order>", False),
        (None, "price", False),
    ],
)
def test_find_intent_minds_types_of_context_and_result(net, context, result_type, is_found):
    found = find_intent(net["A"].app("T"), context=context, result_type=result_type)

    assert (not isinstance(found, FDC3Error)) is is_found


def test_find_intents_by_context_groups_apps_by_intent(net):
    net["A"].declare("Mine", VIEW, Intent("Trade", contexts=("fdc3.instrument",)))
    t = net["A"].app("T")

    found = answer(t, lambda call, at: t.core.find_intents_by_context(call, t.identifier, CONTEXT, None, at))

    assert {each.intent.name: names(each.apps) for each in found} == {
        "View": {("Mine", None), ("Quotes", "B"), ("Prices", "C")},
        "Trade": {("Mine", None)},
    }


def test_r64_known_app_without_instances_is_found_and_unknown_one_is_not(net):
    t = net["A"].app("T")

    assert find_instances(t, there("Quotes", "B")) == []
    assert find_instances(t, AppIdentifier(app_id="Quotes")) == []
    assert find_instances(t, AppIdentifier(app_id="Unknown")).error == "NoAppsFound"
    assert find_instances(t, there("Unknown", "B")).error == "NoAppsFound"


def test_r59_instances_of_everyone_are_found(net):
    t, quotes = net["A"].app("T"), net["B"].app("Quotes")
    own = net["A"].app("Quotes")

    assert find_instances(t, AppIdentifier(app_id="Quotes")) == [own.identifier, quotes.elsewhere]
    assert find_instances(t, there("Quotes", "B")) == [quotes.elsewhere]
    assert find_instances(t, there("Quotes", "A")) == [own.identifier]


def test_r37_only_a_target_that_names_another_agent_goes_there(net):
    t = net["A"].app("T")
    find_instances(t, there("Quotes", "B"))
    find_instances(t, AppIdentifier(app_id="Quotes"))
    open_app(t, AppIdentifier(app_id="Quotes"))

    targeted, everyone = sent(net, "A", "findInstancesRequest")
    assert targeted["meta"]["destination"] == {"desktopAgent": "B"}
    assert "destination" not in everyone["meta"]
    assert sent(net, "A", "openRequest") == []


def test_r65_metadata_of_an_app_elsewhere(net):
    t = net["A"].app("T")

    def metadata(target):
        return answer(t, lambda call, at: t.core.get_app_metadata(call, t.identifier, target, at))

    found = metadata(there("Quotes", "B"))
    assert (found.app_id, found.desktop_agent) == ("Quotes", "B")
    assert metadata(there("Unknown", "B")).error == "TargetAppUnavailable"
    assert metadata(AppIdentifier(app_id="Quotes")).error == "TargetAppUnavailable"


def test_r66_qualified_and_unqualified_names_find_each_other(net):
    net["B"].declare("chart@appd.example")
    t = net["A"].app("T")

    for app_id in ("chart@appd.example", "chart", "Quotes@appd.example"):
        assert find_instances(t, there(app_id, "B")) == []
    assert find_instances(t, there("chart@elsewhere.example", "B")).error == "NoAppsFound"


def test_r33_r38_answers_quote_the_request_and_name_neither_source_nor_destination(net):
    find_intent(net["A"].app("T"))

    (request,) = sent(net, "A", "findIntentRequest")
    (response,) = sent(net, "B", "findIntentResponse")
    assert response["meta"].keys() == {"requestUuid", "responseUuid", "timestamp"}
    assert response["meta"]["requestUuid"] == request["meta"]["requestUuid"]
    assert response["meta"]["responseUuid"] != request["meta"]["requestUuid"]


def test_r44_answers_that_nobody_waits_for_are_ignored(net):
    t = net["A"].app("T")
    received, net.hub.received = net.hub.received, lambda conn, raw, at: []
    call = net["A"].ask(lambda call, at: t.core.find_intent(call, t.identifier, "View", None, None, at))
    net.pass_time(3)
    net.hub.received = received
    (request,) = sent(net, "A", "findIntentRequest")
    late = {
        "type": "findIntentResponse",
        "payload": {"appIntent": {"intent": {"name": "View"}, "apps": []}},
        "meta": {**request["meta"], "responseUuid": "r", "sources": [{"desktopAgent": "B"}]},
    }
    late["meta"].pop("source")

    net["A"].core.received(net["A"].core._out.attempt, json.dumps(late).encode(), net.at)

    assert net["A"].core.effects() == []
    assert net["A"].answers[call].error == "ResponseToBridgeTimedOut"


# --- Starting ------------------------------------------------------------------------------------------------------


def test_r62_open_answers_when_the_new_instance_has_started(net):
    t = net["A"].app("T")
    call = open_app(t, there("Quotes", "B"))

    (launched,) = net["B"].launched
    assert net["A"].answers[call] == there("Quotes", "B", launched.instance_id)
    assert net["B"].core.directory.runs(launched)


def test_r62_open_with_a_context_answers_when_it_was_handed_over(net):
    t = net["A"].app("T")
    call = open_app(t, there("Quotes", "B"), CONTEXT)
    assert call not in net["A"].answers
    (app,) = net["B"].launched

    listener = net["B"].act(lambda at: net["B"].core.add_context_listener(app, None, "other", at))
    assert call not in net["A"].answers
    net["B"].listeners[listener + 1] = "Quotes"
    net["B"].act(lambda at: net["B"].core.add_context_listener(app, None, "fdc3.instrument", at))

    assert net["A"].answers[call].instance_id == app.instance_id
    assert net["B"].heard[-1][1].source == t.elsewhere


@pytest.mark.parametrize("agent", ["A", "B"])
def test_r56_open_says_why_it_failed(net, agent):
    net["A"].declare("Quotes")
    t = net["A"].app("T")

    late = open_app(t, there("Quotes", agent), CONTEXT)
    unknown = open_app(t, there("Unknown", agent))
    net[agent].refuses_launch = True
    broken = open_app(t, there("Quotes", agent))
    net.pass_time(15)

    errors = [net["A"].answers[call].error for call in (late, unknown, broken)]
    assert errors == ["AppTimeout", "AppNotFound", "ErrorOnLaunch"]


def test_r57_open_on_an_agent_that_is_not_there(net):
    t = net["A"].app("T")

    call = open_app(t, there("Quotes", "Z"))

    assert net["A"].answers[call].error == "DesktopAgentNotFound"


# --- Intents -------------------------------------------------------------------------------------------------------


def handle(agent: Agent, app: AppIdentifier, result, intent="View") -> int:
    def begin(at: float) -> int:
        agent.handlers[agent.core._out._numbers + 1] = result
        return agent.core.add_intent_listener(app, intent, at)

    return agent.act(begin)


@pytest.mark.parametrize("agent", ["A", "B"])
def test_r61_r62_without_an_instance_a_new_one_starts_and_is_named(net, agent):
    net["A"].declare("Quotes", VIEW)
    t = net["A"].app("T")
    call = raise_intent(t, there("Quotes", agent))
    assert call not in net["A"].answers
    (app,) = net[agent].launched

    handle(net[agent], app, None)

    source = net["A"].answers[call].source
    assert (source.app_id, source.instance_id) == ("Quotes", app.instance_id)


@pytest.mark.parametrize(
    "result",
    [None, {"type": "price", "value": 1}, effects.Channel("orders", "app")],
    ids=["void", "context", "channel"],
)
def test_r63_result_follows_in_every_case(net, result):
    t, quotes = net["A"].app("T"), net["B"].app("Quotes")
    handle(net["B"], quotes.identifier, result)

    call = raise_intent(t, quotes.elsewhere)

    assert net["A"].results == {call: result}
    response, later = sent(net, "B", "raiseIntentResponse") + sent(net, "B", "raiseIntentResultResponse")
    assert response["meta"]["requestUuid"] == later["meta"]["requestUuid"]
    assert response["meta"]["responseUuid"] != later["meta"]["responseUuid"]


def test_r60_intent_names_its_target_as_destination(net):
    t, quotes = net["A"].app("T"), net["B"].app("Quotes")
    handle(net["B"], quotes.identifier, None)
    raise_intent(t, quotes.elsewhere)

    (request,) = sent(net, "A", "raiseIntentRequest")
    assert request["meta"]["destination"] == request["payload"]["app"]
    assert request["payload"]["app"]["desktopAgent"] == "B"


@pytest.mark.parametrize("agent", ["A", "B"])
def test_r56_raise_intent_says_why_it_failed(net, agent):
    net["A"].declare("Quotes")
    t = net["A"].app("T")

    unknown = raise_intent(t, there("Unknown", agent))
    ended = raise_intent(t, there("Quotes", agent, "gone"))
    deaf = raise_intent(t, there("Quotes", agent))
    net.pass_time(15)

    errors = [net["A"].answers[call].error for call in (unknown, ended, deaf)]
    assert errors == ["TargetAppUnavailable", "TargetInstanceUnavailable", "IntentDeliveryFailed"]


@pytest.mark.parametrize("agent", ["A", "B"])
def test_r56_handler_that_fails_or_ends_rejects_the_result(net, agent):
    t, k = net["A"].app("T"), net[agent].app("K")
    k.core.add_intent_listener(k.identifier, "View", net.at)
    target = there("K", agent, k.identifier.instance_id)
    failing, ending = raise_intent(t, target), raise_intent(t, target)

    net[agent].act(lambda at: k.core.intent_failed(net[agent].runs[0].run, at))
    k.close()

    assert [net["A"].results[call].error for call in (failing, ending)] == ["IntentHandlerRejected"] * 2


@pytest.mark.parametrize("result", [{"no": "type"}, "text", effects.Channel("private-of-nobody", "private")], ids=repr)
def test_r56_what_is_no_result_rejects_it(net, result):
    t, k = net["A"].app("T"), net["B"].app("K")
    handle(net["B"], k.identifier, result)

    call = raise_intent(t, k.elsewhere)

    assert net["A"].results[call].error == "IntentHandlerRejected"


def test_one_listener_for_an_intent_an_app(net):
    k = net["B"].app("K")
    k.core.add_intent_listener(k.identifier, "View", net.at)

    with pytest.raises(FDC3Error, match="IntentListenerConflict"):
        k.core.add_intent_listener(k.identifier, "View", net.at)


def test_private_channel_as_the_result_of_a_neighbours_intent_stays_on_the_agent(net):
    t, k = net["A"].app("T"), net["A"].app("K")
    channel = k.create_channel()
    k.hand(channel, t)
    net.wire.clear()

    k.on(channel, None)
    t.listen(channel, "x")
    t.disconnect(channel)

    assert net.journal == [
        "K hears addContextListener x of T",
        "K hears unsubscribe x of T",
        "K hears disconnect of T",
    ]
    assert net.wire == []


# --- Without a bridge ----------------------------------------------------------------------------------------------


def test_r58_what_is_meant_for_another_agent_needs_a_bridge(net):
    net.kill_bridge()
    t = net["A"].app("T")

    for call in (
        lambda: open_app(t, there("Quotes", "B")),
        lambda: raise_intent(t, there("Quotes", "B")),
        lambda: find_instances(t, there("Quotes", "B")),
    ):
        with pytest.raises(NotConnectedToBridge):
            call()


def test_r59_alone_an_agent_knows_what_it_has_itself(net):
    net["A"].declare("Mine", VIEW)
    net.kill_bridge()
    t = net["A"].app("T")

    assert names(find_intent(t).apps) == {("Mine", None)}
    assert find_intent(t, "Unknown").error == "NoAppsFound"


# --- Broadcasts ----------------------------------------------------------------------------------------------------


def test_r67_broadcasts_of_user_and_app_channels_cross_the_bridge(net):
    s, r = net["A"].app("S"), net["B"].app("R")
    listener = net["B"].core.add_context_listener(r.identifier, "orders", None, net.at)
    net["B"].listeners[listener] = "R"

    net["A"].act(lambda at: s.core.broadcast(s.identifier, "orders", CONTEXT, at))

    (request,) = sent(net, "A", "broadcastRequest")
    assert "destination" not in request["meta"]
    assert net["B"].heard == [(listener, effects.ContextArrived(listener, CONTEXT, s.elsewhere))]


def test_r68_private_broadcasts_are_kept_apart(net):
    k, w, bystander = net["B"].app("K"), net["C"].app("W"), net["C"].app("N")
    channel = k.create_channel()
    k.hand(channel, w)
    net["C"].core.add_context_listener(bystander.identifier, None, None, net.at)
    w.listen(channel)
    net.wire.clear()

    k.broadcast(channel)

    assert {each["type"] for each in net.wire} == {"PrivateChannel.broadcast"}
    assert [each.core.current_context(channel, None) for each in net.agents.values()] == [None] * 3


def test_an_app_does_not_hear_itself(net):
    s = net["A"].app("S")
    net["A"].core.add_context_listener(s.identifier, "orders", None, net.at)

    net["A"].act(lambda at: s.core.broadcast(s.identifier, "orders", CONTEXT, at))

    assert net["A"].heard == []


@pytest.mark.parametrize("context", [{}, {"type": 1}, "text", {"type": "x", "bad": 1j}])
def test_what_is_no_context_is_refused(net, context):
    s = net["A"].app("S")
    channel = s.create_channel()

    for call in (s.core.broadcast, s.core.broadcast_privately):
        with pytest.raises(FDC3Error, match="MalformedContext"):
            call(s.identifier, channel, context, net.at)
