"""Our messages against the published schemas: the same verdict on random valid messages and on damaged ones.

FUZZ_EXAMPLES=2000 tries so many of each kind, version and direction.
"""

import copy
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.protocol.damage import DEEPEST
from bridge.protocol.messages import (
    DesktopAgentIdentifier,
    ErrorResponse,
    Handshake,
    Malformed,
    Request,
    Version,
    encode,
    from_agent,
    from_bridge,
    stamped,
    version_of,
)
from bridge.protocol.parts import LONGEST_NAME
from bridge.tests import random_messages, reference, samples
from bridge.tests.random_messages import JSON, REQUESTS, RESPONSES

pytestmark = reference.needed

VERSIONS = (Version.V2_2, Version.NEXT)
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "8"))
tried = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CASES = [
    pytest.param(type, error, version, by_bridge, id="-".join((type + ".error" * error, side, version.value)))
    for by_bridge, side in ((False, "from_agent"), (True, "from_bridge"))
    for type, error in random_messages.kinds(by_bridge)
    for version in VERSIONS
]


def generator(type: str, error: bool, version: Version, by_bridge: bool) -> st.SearchStrategy[JSON]:
    return (random_messages.error if error else random_messages.message)(type, version, by_bridge)


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
    if type in (random_messages.CONNECTION_BY_BRIDGE if by_bridge else ("handshake",)):
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


def _parts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _parts(child, (*path, key))


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
    for path, value in _parts(message):
        if isinstance(value, str) and len(value) > LONGEST_NAME and path[-1] in NAMES:
            return True
        if path and path[-1] == "channelsState" and any(len(key) > LONGEST_NAME for key in value):
            return True
    return False


def _too_deep(message: JSON, raw: bytes, by_bridge: bool) -> bool:
    return any(len(path) > DEEPEST for path, _ in _parts(message))


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
    return any(isinstance(value, float) and math.isinf(value) for _, value in _parts(message))


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


def _put(message: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    here = message
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = value
    return message


WRONG = [None, True, 0, 1.5, "", [], {}, [None], [{}]]
WRONG += ["onUnsubscribe", "ApiTimeout", "AccessDenied", "InvalidArguments", "private", "2.2", "3.0"]
WRONG += ["2026-11-21", "2026-02-30T00:00:00Z", "2026-11-21T20:00:00", "2026-11-21t20:00:00z", "2026-11-21 20:00:00Z"]
WRONG += ["2026-11-21T20:00:00+0100", "2026-11-21T20:00:00-01:00", "2026-11-21T23:59:60Z", "0000-01-01T00:00:00Z"]
WRONG += [
    {"desktopAgent": "x"},
    {"appId": "x"},
    {"appId": 1, "desktopAgent": "x"},
    {"type": "x"},
    {"error": "ApiTimeout"},
]
EXTRA = ["unknown", "error", "metadata", "source", "destination", "sources", "errorSources", "errorDetails", "context"]
EXTRA += ["responseUuid", "resultMetadata", "channel", "app", "instanceId", "desktopAgent", "appId", "version", "id"]


wrong = st.sampled_from(WRONG).map(copy.deepcopy)


@st.composite
def damaged(draw: st.DrawFn, messages: st.SearchStrategy[JSON]) -> Any:
    message = copy.deepcopy(draw(messages))
    for _ in range(draw(st.integers(1, 2))):
        parts = list(_parts(message))
        path, value = draw(st.sampled_from(parts))
        deed = draw(st.sampled_from(("replace", "drop", "add")))
        if deed == "add" and isinstance(value, dict):
            value[draw(st.sampled_from(EXTRA))] = draw(wrong)
        elif deed == "add" and isinstance(value, list):
            value.append(draw(wrong))
        elif deed == "drop" and path:
            here = message
            for step in path[:-1]:
                here = here[step]
            del here[path[-1]]
        else:
            message = _put(message, path, draw(wrong))
    return message


@pytest.mark.parametrize(("type", "error", "version", "by_bridge"), CASES)
def test_valid_messages_are_accepted_by_both(type, error, version, by_bridge):
    @tried
    @given(generator(type, error, version, by_bridge))
    def judge(message):
        assert schemas_accept(message, version, by_bridge)
        assert we_accept(json.dumps(message).encode(), version, by_bridge)

    judge()


@pytest.mark.parametrize(("type", "error", "version", "by_bridge"), CASES)
def test_damaged_messages_get_the_same_verdict_from_both(type, error, version, by_bridge):
    @tried
    @given(damaged(generator(type, error, version, by_bridge)))
    def judge(message):
        raw = json.dumps(message).encode()
        judged_by = in_version(message, version)
        ours = we_accept(raw, version, by_bridge)
        theirs = schemas_accept(message, judged_by, by_bridge)
        assert ours == theirs or explained(message, raw, judged_by, by_bridge, ours), (ours, message)

    judge()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_listed_difference_is_one(name):
    listed = DIFFERENCES[name]
    message, ours = json.loads(listed.example), isinstance(listed, Accepted)

    assert we_accept(listed.example, Version.NEXT, listed.by_bridge) is ours
    assert schemas_accept(message, Version.NEXT, listed.by_bridge) is not ours
    assert explained(message, listed.example, Version.NEXT, listed.by_bridge, ours)
    if isinstance(listed, Refused):
        assert listed.found(message, listed.example, listed.by_bridge)


def test_the_page_lists_these_differences():
    page = (Path(__file__).parents[2] / "docs" / "bridge.md").read_text()
    section = page.split("## Where we differ from the published schemas")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \| (take|refuse) \|", section, re.MULTILINE)
    assert rows == [(name, "take" if isinstance(each, Accepted) else "refuse") for name, each in DIFFERENCES.items()]


@pytest.mark.parametrize("receiver", VERSIONS, ids=lambda version: f"for_{version.value}")
@pytest.mark.parametrize(("type", "error", "version", "by_bridge"), [case for case in CASES if not case.values[3]])
def test_what_an_agent_sent_is_relayed_in_a_form_valid_for_its_receiver(type, error, version, by_bridge, receiver):
    @tried
    @given(generator(type, error, version, by_bridge))
    def relay(message):
        parsed = from_agent(json.dumps(message).encode(), version)
        if isinstance(parsed, Handshake):
            return
        try:
            relayed = stamped(parsed, "agent-A") if isinstance(parsed, Request) else answered(parsed)
        except Malformed:
            assert parsed.meta.source is None
            return
        sent = json.loads(encode(relayed, receiver))
        assert schemas_accept(sent, receiver, by_bridge=True), sent
        assert we_accept(json.dumps(sent).encode(), receiver, by_bridge=True)

    relay()


def answered(response: Any) -> Any:
    """As the bridge hands it on: with who answered, or who failed and how."""
    who = [DesktopAgentIdentifier(desktop_agent="agent-A")]
    if isinstance(response, ErrorResponse):
        return replace(response, meta=replace(response.meta, error_sources=who, error_details=[response.payload.error]))
    return replace(response, meta=replace(response.meta, sources=who))
