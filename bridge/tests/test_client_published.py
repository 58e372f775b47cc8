"""What our agents say is valid by the published schemas, and whatever a bridge may say is understood."""

import pytest

from bridge.client import effects
from bridge.client.directory import Intent
from bridge.protocol.messages import AppIdentifier
from bridge.tests.agents import Network
from bridge.tests.reference import FOLDERS, examples, needed, sent_by_bridge, validator

FROM_BRIDGES = [(version, text) for version, entry, text in examples() if sent_by_bridge(entry)]
SAYINGS = {
    "handshake",
    "broadcastRequest",
    *(
        f"{kind}{part}"
        for kind in ("findIntent", "findIntentsByContext", "findInstances")
        for part in ("Request", "Response")
    ),
    *(f"{kind}{part}" for kind in ("getAppMetadata", "open", "raiseIntent") for part in ("Request", "Response")),
    "raiseIntentResultResponse",
    *(f"PrivateChannel.on{event}" for event in ("AddContextListener", "Unsubscribe", "Disconnect")),
    *(f"PrivateChannel.{event}" for event in ("broadcast", "eventListenerAdded", "eventListenerRemoved")),
}

pytestmark = needed


def everything(version: str) -> Network:
    """Two agents that say whatever there is to say, well and badly answered."""
    net = Network("A", "B", fdc3_version=version)
    net["B"].declare("Quotes", Intent("View", contexts=("x",), result_type="channel"))
    t, k = net["A"].app("T"), net["B"].app("Quotes")
    agent, core, me, context = net["A"], net["A"].core, t.identifier, {"type": "x"}
    agent.act(lambda at: core.broadcast(me, "orders", context, at))
    for intent in ("View", "Unknown"):
        agent.ask(lambda call, at, intent=intent: core.find_intent(call, me, intent, context, "channel", at))
    for type_ in ("x", "unknown"):
        agent.ask(lambda call, at, type_=type_: core.find_intents_by_context(call, me, {"type": type_}, None, at))
    for app_id in ("Quotes", "Unknown"):
        app = AppIdentifier(app_id=app_id, desktop_agent="B")
        agent.ask(lambda call, at, app=app: core.find_instances(call, me, app, at))
        agent.ask(lambda call, at, app=app: core.get_app_metadata(call, me, app, at))
        agent.ask(lambda call, at, app=app: core.open(call, me, app, None, at))
        agent.ask(lambda call, at, app=app: core.raise_intent(call, me, app, "View", context, at))
    for result in (None, context, effects.Channel("orders", "app"), effects.Channel("nobodys", "private")):
        listener = k.core.add_intent_listener(k.identifier, "Try", net.at)
        net["B"].handlers[listener] = result
        agent.ask(lambda call, at: core.raise_intent(call, me, k.elsewhere, "Try", context, at))
        k.core.remove_intent_listener(listener)
    channel = k.create_channel()
    k.hand(channel, t)
    for app in (k, t):
        (events,) = app.on(channel, None)
        for type_ in ("x", None):
            app.unsubscribe(channel, app.listen(channel, type_))
        app.listen(channel)
        app.broadcast(channel)
    t.unsubscribe(channel, events)
    t.disconnect(channel)
    return net


def schema_of(message) -> str:
    kind = message["type"]
    if kind == "handshake":
        return "connectionStep3Handshake"
    name = kind[0].lower() + kind[1:].replace(".", "")
    if kind.startswith("PrivateChannel."):
        event = kind.removeprefix("PrivateChannel.")
        return f"privateChannel{event[0].upper()}{event[1:]}AgentRequest"
    if name.endswith("Request"):
        return name.replace("Request", "AgentRequest")
    return name.replace("Response", "AgentErrorResponse" if "error" in message["payload"] else "AgentResponse")


@pytest.mark.parametrize("version", FOLDERS, ids=lambda version: version.value)
def test_everything_that_agents_say_is_valid(version):
    said = [each for each in everything(version.value).wire if each["from"]]

    assert {each["type"] for each in said} == SAYINGS
    for each in said:
        message = {key: value for key, value in each.items() if key not in ("from", "to")}
        wrong = [
            f"{error.json_path}: {error.message}" for error in validator(version, schema_of(each)).iter_errors(message)
        ]
        assert wrong == [], message


@pytest.mark.parametrize("version", FOLDERS, ids=lambda version: version.value)
def test_whatever_a_bridge_says_is_understood(version):
    net = Network("A", fdc3_version=version.value)
    agent = net["A"]

    for text in (text for each, text in FROM_BRIDGES if each is version):
        agent.core.received(agent.core._out.attempt, text, net.at)
        agent.run()
        net.settle()

    refused = [note for note in agent.notes if not note.startswith("The bridge refused a PrivateChannel.onDisconnect")]
    assert refused == []
    assert agent.core.connection.is_bridged
