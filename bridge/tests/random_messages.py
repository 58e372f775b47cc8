"""Random valid messages, as JSON values, made from what the specification says and not from our own definitions."""

from datetime import datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from bridge.protocol.versions import Version

JSON = dict[str, Any]

FIND_ERRORS = [
    "ApiTimeout",
    "DesktopAgentNotFound",
    "IntentDeliveryFailed",
    "MalformedContext",
    "NoAppsFound",
    "ResolverTimeout",
    "ResolverUnavailable",
    "TargetAppUnavailable",
    "TargetInstanceUnavailable",
    "UserCancelledResolution",
]
OPEN_ERRORS = [
    "ApiTimeout",
    "AppNotFound",
    "AppTimeout",
    "DesktopAgentNotFound",
    "ErrorOnLaunch",
    "MalformedContext",
    "ResolverUnavailable",
]
RESULT_ERRORS = ["ApiTimeout", "IntentHandlerRejected", "NoResultReturned"]
CHANNEL_ERRORS = ["AccessDenied", "CreationFailed", "NoChannelFound"]
BRIDGING_ERRORS = ["AgentDisconnected", "MalformedMessage", "NotConnectedToBridge", "ResponseToBridgeTimedOut"]

# The ends of the types' names are the kinds of message; those that get an answer, and those that do not.
ANSWERED = ("findIntent", "findIntentsByContext", "findInstances", "getAppMetadata", "open", "raiseIntent")
PRIVATE = (
    "broadcast",
    "eventListenerAdded",
    "eventListenerRemoved",
    "onAddContextListener",
    "onUnsubscribe",
    "onDisconnect",
)
REQUESTS = ("broadcastRequest", *(f"{kind}Request" for kind in ANSWERED), *(f"PrivateChannel.{p}" for p in PRIVATE))
RESPONSES = (*(f"{kind}Response" for kind in ANSWERED), "raiseIntentResultResponse")
CONNECTION_BY_BRIDGE = ("hello", "authenticationFailed", "connectedAgentsUpdate")

text = st.text(max_size=6)
number = st.integers(-(2**31), 2**31) | st.floats(allow_nan=False, allow_infinity=False, width=32)
anything = st.recursive(
    st.none() | st.booleans() | number | text,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(text, inner, max_size=2),
    max_leaves=4,
)
timestamp = st.builds(
    lambda moment, minutes, digits: (
        moment.replace(tzinfo=timezone(timedelta(minutes=minutes))).isoformat(timespec=digits)
        if minutes
        else moment.isoformat(timespec=digits) + "Z"
    ),
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)),
    st.sampled_from((0, 0, 60, -330)),
    st.sampled_from(("seconds", "milliseconds", "microseconds")),
)


def with_keys(required: JSON, optional: JSON | None = None) -> st.SearchStrategy[JSON]:
    return st.fixed_dictionaries(required, optional=optional or {})


context = with_keys({"type": text}, {"name": text, "id": st.dictionaries(text, text, max_size=2), "more": anything})
channels_state = st.dictionaries(text, st.lists(context, max_size=2), max_size=2)

_app = {"appId": text}
_agent = {"desktopAgent": text}
_instance = {"instanceId": text}
app = with_keys(_app, {**_instance, **_agent, "unknown": anything})
agent = with_keys(_agent, {"unknown": anything})
app_or_agent = app | agent
app_on_agent = with_keys({**_app, **_agent}, _instance)

icon = with_keys({"src": text}, {"size": text, "type": text})
image = with_keys({"src": text}, {"size": text, "type": text, "label": text})
app_metadata = with_keys(
    _app,
    {
        **_instance,
        **_agent,
        "name": text,
        "version": text,
        "instanceMetadata": st.dictionaries(text, anything, max_size=1),
        "title": text,
        "tooltip": text,
        "description": text,
        "icons": st.lists(icon, max_size=1),
        "screenshots": st.lists(image, max_size=1),
        "resultType": text | st.none(),
    },
)
app_intent = with_keys(
    {"intent": with_keys({"name": text}, {"displayName": text}), "apps": st.lists(app_metadata, max_size=2)}
)
channel = with_keys(
    {"id": text, "type": st.sampled_from(("app", "private", "user"))},
    {"displayMetadata": with_keys({}, {"name": text, "color": text, "glyph": text})},
)
signature = with_keys({"protected": text, "signature": text})
anti_replay = with_keys({"iat": number, "exp": number, "jti": text})
_said_by_app = {
    "custom": st.dictionaries(text, anything, max_size=1),
    "signature": signature,
    "antiReplay": anti_replay,
}
metadata_by_app = with_keys({}, {"traceId": text, **_said_by_app})
context_metadata = with_keys({"source": app, "timestamp": timestamp, "traceId": text}, _said_by_app)
intent_result = st.just(JSON()) | with_keys({"context": context}) | with_keys({"channel": channel})
uuid = st.uuids(version=4).map(str) | text


def implementation(version: Version, named: bool) -> st.SearchStrategy[JSON]:
    features = {"UserChannelMembershipAPIs": st.booleans(), "DesktopAgentBridging": st.booleans()}
    if version is not Version.NEXT:
        features["OriginatingAppMetadata"] = st.booleans()
    required = {
        "fdc3Version": st.just({Version.V2_2: "2.2", Version.NEXT: "3.0.0"}[version]),
        "provider": text,
        "optionalFeatures": with_keys(features),
    }
    return with_keys({**required, **(_agent if named else {})}, {"providerVersion": text})


def errors_of(type: str, version: Version) -> list[str]:
    added = version is Version.NEXT
    if type == "raiseIntentResultResponse":
        return RESULT_ERRORS + BRIDGING_ERRORS
    if type == "openResponse":
        return OPEN_ERRORS + BRIDGING_ERRORS + ["InvalidArguments"] * added
    return FIND_ERRORS + BRIDGING_ERRORS + ["InvalidArguments", "IntentListenerConflict"] * added


def any_error(version: Version) -> list[str]:
    every = {*FIND_ERRORS, *OPEN_ERRORS, *RESULT_ERRORS, *CHANNEL_ERRORS, *BRIDGING_ERRORS}
    return sorted(every | ({"InvalidArguments", "IntentListenerConflict"} if version is Version.NEXT else set()))


def payload(type: str, version: Version) -> st.SearchStrategy[JSON]:
    listener = with_keys(
        {"channelId": text, "listenerType": st.sampled_from(("addContextListener", "unsubscribe", "disconnect"))}
    )
    of_context = with_keys({"channelId": text, "contextType": text | st.none()})
    broadcast = {"channelId": text, "context": context}
    metadata = {"metadata": metadata_by_app} if version is Version.NEXT else {}
    result_metadata = {"resultMetadata": context_metadata} if version is Version.NEXT else {}
    return {
        "hello": with_keys(
            {
                "desktopAgentBridgeVersion": text,
                "supportedFDC3Versions": st.lists(text, max_size=2),
                "authRequired": st.booleans(),
            },
            {"authToken": text},
        ),
        "handshake": with_keys(
            {
                "implementationMetadata": implementation(version, named=False),
                "requestedName": text,
                "channelsState": channels_state,
            },
            {"authToken": text},
        ),
        "authenticationFailed": with_keys({}, {"message": text}),
        "connectedAgentsUpdate": with_keys(
            {"allAgents": st.lists(implementation(version, named=True), max_size=2)},
            {"addAgent": text, "removeAgent": text, "channelsState": channels_state},
        ),
        "broadcastRequest": with_keys({**broadcast, **metadata}),
        "findIntentRequest": with_keys({"intent": text}, {"context": context, "resultType": text}),
        "findIntentsByContextRequest": with_keys({"context": context}, {"resultType": text}),
        "findInstancesRequest": with_keys({"app": app}),
        "getAppMetadataRequest": with_keys({"app": app_on_agent}),
        "openRequest": with_keys({"app": app_on_agent}, {"context": context}),
        "raiseIntentRequest": with_keys({"intent": text, "context": context, "app": app_on_agent}),
        "PrivateChannel.broadcast": with_keys(broadcast),
        "PrivateChannel.eventListenerAdded": listener,
        "PrivateChannel.eventListenerRemoved": listener,
        "PrivateChannel.onAddContextListener": of_context,
        "PrivateChannel.onUnsubscribe": of_context,
        "PrivateChannel.onDisconnect": with_keys({"channelId": text}),
        "findIntentResponse": with_keys({"appIntent": app_intent}),
        "findIntentsByContextResponse": with_keys({"appIntents": st.lists(app_intent, max_size=2)}),
        "findInstancesResponse": with_keys({"appIdentifiers": st.lists(app_metadata, max_size=2)}),
        "getAppMetadataResponse": with_keys({"appMetadata": app_metadata}),
        "openResponse": with_keys({"appIdentifier": app}),
        "raiseIntentResponse": with_keys({"intentResolution": with_keys({"intent": text, "source": app})}),
        "raiseIntentResultResponse": with_keys({"intentResult": intent_result}, result_metadata),
    }[type]


def request_meta(type: str, by_bridge: bool) -> st.SearchStrategy[JSON]:
    source, destination = {
        "broadcastRequest": (app, None),
        "findIntentRequest": (app_or_agent, agent),
        "findIntentsByContextRequest": (app, agent),
        "findInstancesRequest": (app_or_agent, agent),
        "getAppMetadataRequest": (app_or_agent, agent),
        "openRequest": (app, agent),
        "raiseIntentRequest": (app, app_on_agent),
    }.get(type, (app, app_on_agent))
    if by_bridge:
        source = app_on_agent if source is app else agent | app_on_agent
    required: JSON = {"requestUuid": uuid, "timestamp": timestamp}
    optional: JSON = {}
    needs_source = by_bridge or type in ("broadcastRequest", "openRequest", "raiseIntentRequest")
    (required if needs_source else optional)["source"] = source
    if destination is not None:
        (required if type == "raiseIntentRequest" else optional)["destination"] = destination
    return with_keys(required, optional)


_uuids = {"requestUuid": uuid, "responseUuid": uuid, "timestamp": timestamp}
_agents = st.lists(agent, max_size=2)


def response_meta(version: Version, by_bridge: bool, error: bool) -> st.SearchStrategy[JSON]:
    if not by_bridge:
        return with_keys(_uuids)
    failed = {"errorSources": _agents, "errorDetails": st.lists(st.sampled_from(any_error(version)), max_size=2)}
    return with_keys({**_uuids, **failed}) if error else with_keys(_uuids, {"sources": _agents, **failed})


def message(type: str, version: Version, by_bridge: bool) -> st.SearchStrategy[JSON]:
    """A valid message of this type, an answer in its success form."""
    if type in RESPONSES:
        meta = response_meta(version, by_bridge, error=False)
    elif type in REQUESTS:
        meta = request_meta(type, by_bridge)
    else:
        some = {"hello": ("timestamp",), "handshake": ("requestUuid", "timestamp")}.get(type, tuple(_uuids))
        meta = with_keys({key: _uuids[key] for key in some})
    return with_keys({"type": st.just(type), "payload": payload(type, version), "meta": meta})


def error(type: str, version: Version, by_bridge: bool) -> st.SearchStrategy[JSON]:
    """A valid answer in its error form; from a bridge also to a request that has no answer."""
    strings = errors_of(type, version) if type in RESPONSES else any_error(version)
    return with_keys(
        {
            "type": st.just(type),
            "payload": with_keys({"error": st.sampled_from(strings)}),
            "meta": response_meta(version, by_bridge, error=True),
        }
    )


def kinds(by_bridge: bool) -> list[tuple[str, bool]]:
    """Every type with its forms in one direction; True is the error form."""
    both = [(type, False) for type in (*REQUESTS, *RESPONSES)] + [(type, True) for type in RESPONSES]
    if by_bridge:
        only_requested = [
            (type, True) for type in REQUESTS if not type.endswith(tuple(f"{a}Request" for a in ANSWERED))
        ]
        return both + [(type, False) for type in CONNECTION_BY_BRIDGE] + only_requested
    return [*both, ("handshake", False)]
