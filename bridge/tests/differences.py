"""The verdict of the published schemas beside ours, and each point where the two may differ."""

import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bridge.protocol.damage import DEEPEST
from bridge.protocol.messages import Malformed, Version, from_agent, from_bridge, version_of
from bridge.protocol.parts import LONGEST_NAME
from bridge.tests import reference, samples
from bridge.tests.random_messages import CONNECTION_BY_BRIDGE, JSON, REQUESTS, RESPONSES


def we_accept(raw: bytes, version: Version, by_bridge: bool) -> bool:
    try:
        (from_bridge if by_bridge else from_agent)(raw, version)
    except Malformed:
        return False
    return True


def schemas_accept(message: Any, version: Version, by_bridge: bool) -> bool:
    return any(
        reference.validator(version, schema).is_valid(message) for schema in _schemas(_type_of(message), by_bridge)
    )


def _type_of(message: Any) -> Any:
    return message.get("type") if isinstance(message, dict) else None


CONNECTION = {
    "hello": "connectionStep2Hello",
    "handshake": "connectionStep3Handshake",
    "authenticationFailed": "connectionStep4AuthenticationFailed",
    "connectedAgentsUpdate": "connectionStep6ConnectedAgentsUpdate",
}


def _schemas(type: Any, by_bridge: bool) -> tuple[str, ...]:
    """The schemas of which a message of this type has to satisfy one."""
    side = "Bridge" if by_bridge else "Agent"
    if type in RESPONSES:
        stem = type.removesuffix("Response")
        return f"{stem}{side}Response", f"{stem}{side}ErrorResponse"
    generic = ("bridgeErrorResponse",) if by_bridge and isinstance(type, str) else ()
    if type in REQUESTS:
        private = re.sub(r"^PrivateChannel\.(.)", lambda found: "privateChannel" + found[1].upper(), type)
        return f"{private.removesuffix('Request')}{side}Request", *generic
    if type in (CONNECTION_BY_BRIDGE if by_bridge else ("handshake",)):
        return CONNECTION[type], *generic
    return generic


def in_version(message: Any, version: Version) -> Version:
    """The version that a message is to be judged by: a handshake's is the one that it states."""
    if _type_of(message) != "handshake":
        return version
    try:
        return version_of(message["payload"]["implementationMetadata"]["fdc3Version"]) or Version.V2_2
    except (KeyError, TypeError):
        return version


# Where the verdicts may differ. Each of these is a row in docs/bridge.md.


@dataclass(frozen=True)
class Accepted:
    """We take what the schemas refuse, as if it were what `meant` makes of it."""

    meant: Callable[[JSON, Version], JSON]
    example: bytes
    by_bridge: bool = False


@dataclass(frozen=True)
class Refused:
    """We refuse what the schemas take, where this is found in it: in the message, its bytes, from a bridge or not."""

    found: Callable[[JSON, bytes, bool], bool]
    example: bytes
    by_bridge: bool = False


def _without_nulls(message: JSON, version: Version) -> JSON:
    """Without those that may be null by the schemas, and not inside a context, which stays as it is."""

    def clean(value: Any) -> Any:
        if isinstance(value, list):
            return [clean(each) for each in value]
        if not isinstance(value, dict):
            return value
        return {
            key: each if key in OPAQUE else clean(each)
            for key, each in value.items()
            if each is not None or key == "contextType" or (key == "resultType" and "appId" in value)
        }

    return clean(message)


OPAQUE = ("channelsState", "context", "custom", "instanceMetadata")


def _in_later_words(message: JSON, version: Version) -> JSON:
    words = {
        "onAddContextListener": "addContextListener",
        "onUnsubscribe": "unsubscribe",
        "onDisconnect": "disconnect",
    }
    payload = message.get("payload")
    if isinstance(payload, dict) and isinstance(payload.get("listenerType"), str):
        word = words.get(payload["listenerType"], payload["listenerType"])
        return {**message, "payload": {**payload, "listenerType": word}}
    return message


def _with_metadata(message: JSON, version: Version) -> JSON:
    payload = message.get("payload")
    if message.get("type") == "broadcastRequest" and version is Version.NEXT and isinstance(payload, dict):
        return {**message, "payload": {"metadata": {}, **payload}}
    return message


def parts_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from parts_of(child, (*path, key))


def _bad_identifier(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    meta = message["meta"]
    several = [*(meta.get("sources") or ()), *(meta.get("errorSources") or ())]
    identifiers = [meta.get("source"), meta.get("destination"), *several]
    return any(
        isinstance(each, dict)
        and any(not isinstance(each.get(key, ""), str | None) for key in ("appId", "instanceId", "desktopAgent"))
        for each in identifiers
    )


def _bad_later_source(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    def bad(each: Any) -> bool:
        return not isinstance(each, dict) or not isinstance(each.get("desktopAgent"), str)

    return any(bad(each) for key in ("sources", "errorSources") for each in (message["meta"].get(key) or ())[1:])


def _untold_error(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    return by_bridge and message["type"] not in RESPONSES and [*message["payload"]] != ["error"]


NAMES = ("requestUuid", "responseUuid", "channelId", "appId", "instanceId", "desktopAgent", "id", "contextType")
NAMES += ("requestedName", "addAgent", "removeAgent", "fdc3Version", "provider", "providerVersion", "type")


def _long_name(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    for path, value in parts_of(message):
        if isinstance(value, str) and len(value) > LONGEST_NAME and path[-1] in NAMES:
            return True
        if path and path[-1] == "channelsState" and any(len(key) > LONGEST_NAME for key in value):
            return True
    return False


def _too_deep(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    return any(len(path) > DEEPEST for path, _ in parts_of(message))


def _key_twice(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    twice: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> JSON:
        keys = [key for key, _ in pairs]
        twice.extend(key for key in keys if keys.count(key) > 1)
        return dict(pairs)

    json.loads(raw, object_pairs_hook=look)
    return bool(twice)


def _no_strict_json(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    """What Python reads although RFC 8259 does not know it, or no UTF-8 can say it."""
    text = json.dumps(message, ensure_ascii=False)
    return bool(re.search(rb"NaN|Infinity", raw)) or any("\ud800" <= char <= "\udfff" for char in text)


def _beyond_a_double(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    return any(isinstance(value, float) and math.isinf(value) for _, value in parts_of(message))


def _private(event: str, payload: JSON | None = None, **meta: Any) -> bytes:
    return json.dumps(samples.request(f"PrivateChannel.{event}", payload, **meta)).encode()


def _found(**meta: Any) -> bytes:
    return json.dumps(samples.response("findInstancesResponse", **meta)).encode()


def _broadcast(number: str | None = None) -> bytes:
    message = samples.request("broadcastRequest")
    if number is None:
        return json.dumps(message).encode()
    message["payload"]["metadata"] = {"antiReplay": {"iat": "HERE", "exp": 1, "jti": "j"}}
    return json.dumps(message).replace('"HERE"', number).encode()


def _said_nothing() -> bytes:
    message = samples.failed("broadcastRequest", "MalformedMessage")
    return json.dumps({**message, "payload": {}}).encode()


def _deep(levels: int) -> Any:
    return [_deep(levels - 1)] if levels else []


_A, _B = samples.AGENT_A, samples.AGENT_B
DIFFERENCES: dict[str, Accepted | Refused] = {
    "null for an absent key": Accepted(_without_nulls, _private("onDisconnect", responseUuid=None)),
    "listener types of 2.1": Accepted(
        _in_later_words, _private("eventListenerAdded", {"listenerType": "onDisconnect"})
    ),
    "broadcast without metadata": Accepted(_with_metadata, _broadcast()),
    "every source": Refused(_bad_later_source, _found(sources=[_A, {"nonsense": 1}]), by_bridge=True),
    "keys of identifiers": Refused(_bad_identifier, _found(sources=[{**_A, "appId": 1}, _B]), by_bridge=True),
    "an error that says nothing": Refused(_untold_error, _said_nothing(), by_bridge=True),
    "long names": Refused(_long_name, _private("onDisconnect", requestUuid="1" * (LONGEST_NAME + 1))),
    "deep nesting": Refused(_too_deep, _private("broadcast", {"context": {"type": "x", "deep": _deep(DEEPEST)}})),
    "a key that comes twice": Refused(
        _key_twice, _private("onDisconnect").replace(b'"source": {', b'"source": 1, "source": {')
    ),
    "JSON of a looser kind": Refused(_no_strict_json, _private("broadcast", {"context": {"type": "x", "n": math.nan}})),
    "numbers beyond a double": Refused(_beyond_a_double, _broadcast("1e999")),
}


def explained(message: JSON, raw: bytes, version: Version, by_bridge: bool, ours: bool) -> bool:
    if not ours:
        return any(each.found(message, raw, by_bridge) for each in DIFFERENCES.values() if isinstance(each, Refused))
    for each in DIFFERENCES.values():
        if isinstance(each, Accepted):
            message = each.meant(message, version)
    return schemas_accept(message, version, by_bridge)
