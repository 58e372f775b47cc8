"""Our messages against the published schemas: the same verdict on random valid messages and on damaged ones.

FUZZ_EXAMPLES=2000 tries so many of each kind, version and direction.
"""

import copy
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.protocol.messages import (
    DesktopAgentIdentifier,
    ErrorResponse,
    Malformed,
    Request,
    Response,
    Version,
    encode,
    from_agent,
    from_bridge,
    stamped,
)
from bridge.tests import random_messages, reference, samples
from bridge.tests.differences import (
    DIFFERENCES,
    OPAQUE,
    Accepted,
    Refused,
    explained,
    in_version,
    parts_of,
    schemas_accept,
    we_accept,
)
from bridge.tests.random_messages import JSON

pytestmark = reference.needed

VERSIONS = (Version.V2_2, Version.NEXT)
tried = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "5")),
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


def verdicts_agree(message: Any, version: Version, by_bridge: bool) -> bool:
    raw = json.dumps(message).encode()
    judged_by = in_version(message, version)
    ours = we_accept(raw, version, by_bridge)
    theirs = schemas_accept(message, judged_by, by_bridge)
    return ours == theirs or explained(message, raw, judged_by, by_bridge, ours)


def put(message: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    part_at(message, path[:-1])[path[-1]] = value
    return message


def drop(message: Any, path: tuple[Any, ...]) -> Any:
    del part_at(message, path[:-1])[path[-1]]
    return message


def part_at(message: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        message = message[step]
    return message


WRONG: list[Any] = [None, True, 0, 1.5, "", [], {}, [None], [{}]]
WRONG += ["onUnsubscribe", "ApiTimeout", "AccessDenied", "InvalidArguments", "private", "2.2", "3.0"]
WRONG += ["2026-11-21", "2026-02-30T00:00:00Z", "2026-11-21T20:00:00", "2026-11-21t20:00:00z", "2026-11-21 20:00:00Z"]
WRONG += ["2026-11-21T20:00:00+0100", "2026-11-21T20:00:00-01:00", "2026-11-21T23:59:60Z", "0000-01-01T00:00:00Z"]
WRONG += [{"desktopAgent": "x"}, {"appId": "x"}, {"appId": 1, "desktopAgent": "x"}]
WRONG += [{"type": "x"}, {"error": "ApiTimeout"}]
EXTRA = ["unknown", "error", "metadata", "source", "destination", "sources", "errorSources", "errorDetails", "context"]
EXTRA += ["responseUuid", "resultMetadata", "channel", "app", "instanceId", "desktopAgent", "appId", "version", "id"]
wrong = st.sampled_from(WRONG).map(copy.deepcopy)


@st.composite
def damaged(draw: st.DrawFn, messages: st.SearchStrategy[JSON]) -> Any:
    message = copy.deepcopy(draw(messages))
    for _ in range(draw(st.integers(1, 2))):
        path, value = draw(st.sampled_from(list(parts_of(message))))
        deed = draw(st.sampled_from(("replace", "drop", "add")))
        if deed == "add" and isinstance(value, dict):
            value[draw(st.sampled_from(EXTRA))] = draw(wrong)
        elif deed == "add" and isinstance(value, list):
            value.append(draw(wrong))
        elif deed == "drop" and path:
            drop(message, path)
        else:
            message = put(message, path, draw(wrong))
    return message


def damaged_part_by_part(message: JSON) -> Iterator[Any]:
    """Every part that matters left out, of another kind, or with something more in it; one at a time."""
    for path, value in parts_of(message):
        if any(key in OPAQUE for key in path[:-1]) and path[-1] not in ("type", "name", "id"):
            continue
        if path:
            yield drop(copy.deepcopy(message), path)
        for instead in (None, {} if isinstance(value, str) else "x", *_instead(path, value)):
            yield put(copy.deepcopy(message), path, instead)
        if isinstance(value, dict | list):
            more = copy.deepcopy(message)
            there = part_at(more, path)
            there.append({}) if isinstance(there, list) else there.update(unknown=1)
            yield more


def _instead(path: tuple[Any, ...], value: Any) -> list[Any]:
    if path[-1:] == ("timestamp",):
        return [each for each in WRONG if isinstance(each, str) and "2026" in each]
    if "error" in path or "errorDetails" in path:
        return ["AccessDenied", "InvalidArguments", "NoResultReturned", "AppNotFound", "NoAppsFound"]
    return [{"desktopAgent": "x"}, {"appId": "x"}, {"type": "x"}] if isinstance(value, dict) else []


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
        assert verdicts_agree(message, version, by_bridge)

    judge()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: f"in_{version.value}")
@pytest.mark.parametrize(
    ("message", "by_bridge"),
    [
        pytest.param(each, by_bridge, id=f"{each['type']}{'.error' * ('error' in each['payload'])}-{side}")
        for by_bridge, side in ((False, "from_agent"), (True, "from_bridge"))
        for each in (samples.by_bridge() if by_bridge else samples.by_agents())
    ],
)
def test_damage_to_any_part_gets_the_same_verdict_from_both(message, by_bridge, version):
    later = samples.for_next(message)
    sound = later if version is Version.NEXT else message

    assert we_accept(json.dumps(sound).encode(), version, by_bridge) and schemas_accept(sound, version, by_bridge)
    for each in (message, later, *damaged_part_by_part(sound)):
        assert verdicts_agree(each, version, by_bridge), each


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
@pytest.mark.parametrize(
    ("type", "error", "version", "by_bridge"),
    [
        case
        for case in CASES
        if not case.values[3] and case.values[0] != "handshake" or case.values[0] == "connectedAgentsUpdate"
    ],
)
def test_what_was_sent_goes_on_in_a_form_valid_for_its_receiver(type, error, version, by_bridge, receiver):
    @tried
    @given(generator(type, error, version, by_bridge))
    def relay(message):
        parsed = (from_bridge if by_bridge else from_agent)(json.dumps(message).encode(), version)
        try:
            relayed = stamped(parsed, "agent-A") if isinstance(parsed, Request) else answered(parsed)
        except Malformed:
            assert parsed.meta.source is None
            return
        sent = encode(relayed, receiver)
        assert schemas_accept(json.loads(sent), receiver, by_bridge=True), sent
        assert we_accept(sent, receiver, by_bridge=True)

    relay()


def answered(message: Any) -> Any:
    """An answer as the bridge hands it on: with who answered, or who failed and how."""
    who = [DesktopAgentIdentifier(desktop_agent="agent-A")]
    if isinstance(message, ErrorResponse):
        return replace(message, meta=replace(message.meta, error_sources=who, error_details=[message.payload.error]))
    if isinstance(message, Response):
        return replace(message, meta=replace(message.meta, sources=who))
    return message
