"""One full message of each kind, as JSON values: every optional key is there. Valid in 2.2 unless a test changes it."""

from copy import deepcopy
from typing import Any

JSON = dict[str, Any]

AT = "2026-11-21T20:00:00.123Z"
REQUEST, RESPONSE = "0f2c1c2e-3b60-4a35-8a8e-0d7f4b4d6e01", "9b1b7a52-5d0e-4a8e-9a52-2f6f0a3f9c02"
CHAT = {"appId": "Chat", "instanceId": "chat-1", "desktopAgent": "agent-A"}
NEWS = {"appId": "News", "instanceId": "news-1", "desktopAgent": "agent-B"}
AGENT_A, AGENT_B = {"desktopAgent": "agent-A"}, {"desktopAgent": "agent-B"}
INSTRUMENT = {"type": "fdc3.instrument", "name": "Microsoft", "id": {"ticker": "MSFT"}, "market": {"MIC": "XNAS"}}
FEATURES = {"OriginatingAppMetadata": True, "UserChannelMembershipAPIs": True, "DesktopAgentBridging": True}
METADATA = {"fdc3Version": "2.2", "provider": "Acme", "providerVersion": "1.0", "optionalFeatures": FEATURES}
APP_METADATA = {
    **NEWS,
    "name": "News",
    "version": "1",
    "instanceMetadata": {"open": True},
    "title": "News",
    "tooltip": "The news",
    "description": "All of it",
    "icons": [{"src": "https://example.com/icon.png", "size": "16x16", "type": "image/png"}],
    "screenshots": [{"src": "https://example.com/shot.png", "size": "1x1", "type": "image/png", "label": "News"}],
    "resultType": None,
}
APP_INTENT = {"intent": {"name": "ViewNews", "displayName": "View news"}, "apps": [APP_METADATA]}
CHANNEL = {"id": "private-1", "type": "private", "displayMetadata": {"name": "P", "color": "red", "glyph": "1"}}

_PRIVATE = {"channelId": "private-1"}
_REQUESTS: dict[str, tuple[JSON, JSON]] = {
    "broadcastRequest": ({"channelId": "fdc3.channel.1", "context": INSTRUMENT}, {"source": CHAT}),
    "findIntentRequest": (
        {"intent": "ViewNews", "context": INSTRUMENT, "resultType": "fdc3.contact"},
        {"source": CHAT, "destination": AGENT_B},
    ),
    "findIntentsByContextRequest": (
        {"context": INSTRUMENT, "resultType": "fdc3.contact"},
        {"source": CHAT, "destination": AGENT_B},
    ),
    "findInstancesRequest": ({"app": NEWS}, {"source": CHAT, "destination": AGENT_B}),
    "getAppMetadataRequest": ({"app": NEWS}, {"source": CHAT, "destination": AGENT_B}),
    "openRequest": ({"app": NEWS, "context": INSTRUMENT}, {"source": CHAT, "destination": AGENT_B}),
    "raiseIntentRequest": (
        {"intent": "ViewNews", "context": INSTRUMENT, "app": NEWS},
        {"source": CHAT, "destination": NEWS},
    ),
    "PrivateChannel.broadcast": ({**_PRIVATE, "context": INSTRUMENT}, {}),
    "PrivateChannel.eventListenerAdded": ({**_PRIVATE, "listenerType": "addContextListener"}, {}),
    "PrivateChannel.eventListenerRemoved": ({**_PRIVATE, "listenerType": "disconnect"}, {}),
    "PrivateChannel.onAddContextListener": ({**_PRIVATE, "contextType": "fdc3.instrument"}, {}),
    "PrivateChannel.onUnsubscribe": ({**_PRIVATE, "contextType": None}, {}),
    "PrivateChannel.onDisconnect": (_PRIVATE, {}),
}
_ANSWERS: dict[str, JSON] = {
    "findIntentResponse": {"appIntent": APP_INTENT},
    "findIntentsByContextResponse": {"appIntents": [APP_INTENT]},
    "findInstancesResponse": {"appIdentifiers": [APP_METADATA]},
    "getAppMetadataResponse": {"appMetadata": APP_METADATA},
    "openResponse": {"appIdentifier": NEWS},
    "raiseIntentResponse": {"intentResolution": {"intent": "ViewNews", "source": NEWS}},
    "raiseIntentResultResponse": {"intentResult": {"channel": CHANNEL}},
}
REQUESTS, RESPONSES = tuple(_REQUESTS), tuple(_ANSWERS)


def request(type: str, payload: JSON | None = None, **meta: Any) -> JSON:
    """An app's request, as its agent sends it and (the source names its agent) as the bridge hands it on."""
    said, identities = _REQUESTS[type]
    identities = identities or {"source": CHAT, "destination": NEWS}
    whole = {"requestUuid": REQUEST, "timestamp": AT, **identities, **meta}
    return deepcopy({"type": type, "payload": {**said, **(payload or {})}, "meta": whole})


def response(type: str, payload: JSON | None = None, **meta: Any) -> JSON:
    """An agent's answer; with `sources` and so on the bridge's."""
    whole = {"requestUuid": REQUEST, "responseUuid": RESPONSE, "timestamp": AT, **meta}
    return deepcopy({"type": type, "payload": payload or _ANSWERS[type], "meta": whole})


def error(type: str, error: str = "ApiTimeout", **meta: Any) -> JSON:
    return response(type, {"error": error}, **meta)


def collated(type: str) -> JSON:
    return response(type, sources=[AGENT_A, AGENT_B], errorSources=[AGENT_A], errorDetails=["ApiTimeout"])


def failed(type: str, because: str = "ApiTimeout") -> JSON:
    return error(type, because, errorSources=[AGENT_A, AGENT_B], errorDetails=[because, "AccessDenied"])


def hello(**payload: Any) -> JSON:
    said = {"desktopAgentBridgeVersion": "1.0", "supportedFDC3Versions": ["2.1", "2.2"], "authRequired": True}
    return deepcopy({"type": "hello", "payload": {**said, "authToken": "a.b.c", **payload}, "meta": {"timestamp": AT}})


def handshake(**payload: Any) -> JSON:
    said = {
        "implementationMetadata": METADATA,
        "requestedName": "agent-A",
        "channelsState": {"fdc3.channel.1": [INSTRUMENT]},
        "authToken": "a.b.c",
    }
    meta = {"requestUuid": REQUEST, "timestamp": AT}
    return deepcopy({"type": "handshake", "payload": {**said, **payload}, "meta": meta})


def authentication_failed() -> JSON:
    meta = {"requestUuid": REQUEST, "responseUuid": RESPONSE, "timestamp": AT}
    return {"type": "authenticationFailed", "payload": {"message": "No"}, "meta": meta}


def update(**payload: Any) -> JSON:
    said = {
        "allAgents": [{**METADATA, "desktopAgent": "agent-A"}],
        "addAgent": "agent-A",
        "channelsState": {"fdc3.channel.1": [INSTRUMENT]},
        **payload,
    }
    meta = {"requestUuid": REQUEST, "responseUuid": RESPONSE, "timestamp": AT}
    return deepcopy({"type": "connectedAgentsUpdate", "payload": said, "meta": meta})


def by_agents() -> list[JSON]:
    """All that an agent may send."""
    answers = [each(type) for type in RESPONSES for each in (response, error)]
    return [handshake(), *(request(type) for type in REQUESTS), *answers]


def by_bridge() -> list[JSON]:
    """All that a bridge may send."""
    connection = [hello(), authentication_failed(), update(), update(removeAgent="agent-C")]
    answers = [each(type) for type in RESPONSES for each in (collated, failed)]
    unanswered = [type for type in REQUESTS if type == "broadcastRequest" or type.startswith("PrivateChannel.")]
    errors = [failed(type, "MalformedMessage") for type in unanswered]
    return [*connection, *(request(type) for type in REQUESTS), *answers, *errors]


def for_next(message: JSON) -> JSON:
    """The same message as FDC3 after 2.2 has it."""
    message = deepcopy(message)
    if message["type"] == "broadcastRequest" and "context" in message["payload"]:
        message["payload"]["metadata"] = {
            "traceId": "t",
            "custom": {"a": 1},
            "signature": {"protected": "p", "signature": "s"},
            "antiReplay": {"iat": 1.5, "exp": 2, "jti": "j"},
        }
    if "intentResult" in message["payload"]:
        message["payload"]["resultMetadata"] = {"source": NEWS, "timestamp": AT, "traceId": "t", "custom": {}}
    for said in (message["payload"].get("implementationMetadata"), *message["payload"].get("allAgents", ())):
        if said:
            said["fdc3Version"] = "3.0"
            del said["optionalFeatures"]["OriginatingAppMetadata"]
    return message
