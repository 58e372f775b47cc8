"""The formats of sinks, over every action of the catalogue: each has a meaning, and nothing of an event is lost."""

import json
import re
from datetime import UTC, datetime
from uuid import UUID

import pytest

from audit.actions import Action
from audit.lines import FIELDS
from audit.models import Event
from audit.streams.cef import cef
from audit.streams.formats import line_of
from audit.streams.meanings import MEANINGS, OTHER, Class, meaning_of
from audit.streams.models import Sink
from audit.streams.ocsf import VERSION, ocsf
from audit.streams.syslog import framed, message_of

HOSTILE = "a=b|c\\d\r\ne\u2028f\x85g\x0bh ]\"'"
OPERATION = UUID("1b4e28ba-2fa1-41d2-883f-0016d3cca427")
AT = datetime(2026, 11, 21, 14, 5, 0, 120, UTC)
#: What the classes demand, from the schema 1.6.0.
REQUIRED = {
    Class.ACCOUNT_CHANGE: ["user"],
    Class.AUTHENTICATION: ["user", "service"],
    Class.ENTITY_MANAGEMENT: ["entity"],
    Class.USER_ACCESS: ["user", "privileges"],
    Class.APPLICATION_LIFECYCLE: ["app"],
    Class.API_ACTIVITY: ["actor", "api", "src_endpoint"],
}
ACTIVITIES = {3001: {1, 2, 3, 4, 5, 99}, 3002: {1, 2}, 3004: {1, 2, 3, 4, 10, 11, 12, 13, 99}, 3005: {1}}
ACTIVITIES |= {6002: {3, 4}, 6003: {1, 2, 3, 4, 99}}


def make_event(action=Action.PERSON_ROLES_CHANGED, **overrides):
    values = {
        "sequence": 17,
        "at": AT,
        "action": action,
        "actor_kind": "person",
        "actor_id": "1",
        "actor_label": "alice",
        "target_kind": "person",
        "target_id": "2",
        "target_label": "bob",
        "operation": OPERATION,
        "request_id": "0123456789abcdef",
        "address": "192.0.2.7",
        "user_agent": "Firefox",
        "authentication": "session",
        "data": '{"after":["Auditor"],"reason":"upkeep"}',
        "previous_hash": "1" * 64,
        "hash": "2" * 64,
    }
    return Event(**(values | overrides))


def test_every_action_has_a_meaning():
    assert set(MEANINGS) == set(Action), "give a new action a meaning in audit/streams/meanings.py"


@pytest.mark.parametrize("action", Action)
def test_every_action_is_sound_ocsf(action):
    mapped = ocsf(make_event(action))
    meaning = MEANINGS[action]

    assert mapped["type_uid"] == mapped["class_uid"] * 100 + mapped["activity_id"]
    assert mapped["activity_id"] in ACTIVITIES[mapped["class_uid"]]
    assert mapped["category_uid"] == mapped["class_uid"] // 1000
    assert mapped["time"] == 1_795_269_900_000 and mapped["metadata"]["version"] == VERSION == "1.6.0"
    assert mapped["metadata"]["product"] and mapped["severity_id"] in range(1, 5)
    assert mapped["status_id"] in (0, 1, 2, 99)
    for name in REQUIRED[meaning.of]:
        assert mapped[name], f"{meaning.of.words} demands {name}"


@pytest.mark.parametrize("action", Action)
def test_nothing_of_an_event_is_lost_in_ocsf(action):
    event = make_event(action, data='{"deep":{"x":[1,2]}}')
    text = json.dumps(ocsf(event))

    for column in set(FIELDS) - {"at", "data"}:
        assert json.dumps(getattr(event, column), default=str) in text, column
    assert '"deep": {"x": [1, 2]}' in text and "2026-11-21T14:05:00.000120Z" in text


@pytest.mark.parametrize("action", Action)
def test_every_action_is_sound_cef(action):
    header, extension = split_cef(cef(make_event(action)))

    assert header[:3] == ["CEF:0", "Agent Console", "Agent Console"]
    assert header[4:6] == [action.value, action.label] and header[6] in "1368"
    assert extension["externalId"] == "17" and extension["rt"] == "1795269900000"
    assert extension["cs5"] == "2" * 64 and extension["cs4"] == str(OPERATION)


def split_cef(line):
    """As a receiver takes it apart: the header at pipes that are not escaped, the rest at ` key=`."""
    *header, extension = re.split(r"(?<!\\)\|", line, maxsplit=7)
    unescaped = [part.replace("\\|", "|").replace("\\\\", "\\") for part in header]
    keys = list(re.finditer(r"(?:^| )(\w+)=", re.sub(r"\\.", "__", extension)))
    values = [
        extension[key.end() : following.start() if following else len(extension)]
        for key, following in zip(keys, [*keys[1:], None], strict=True)
    ]
    plain = [re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value) for value in values]
    return unescaped, dict(zip((key[1] for key in keys), plain, strict=True))


def test_cef_escapes_what_would_end_a_field_or_a_line():
    event = make_event(actor_label=HOSTILE, target_label="x suser=mallory|0|", data=json.dumps({"reason": HOSTILE}))
    line = cef(event)
    header, extension = split_cef(line)

    assert len(line.splitlines()) == 1 and len(header) == 7
    assert extension["suser"] == "\n".join(HOSTILE.splitlines())
    assert extension["cs1"] == "x suser=mallory|0|"


def test_cef_tells_addresses_apart():
    assert "src=192.0.2.7 " in cef(make_event())
    assert "c6a2=2001:db8::1 " in cef(make_event(address="2001:db8::1"))
    assert "shost=unix " in cef(make_event(address="unix"))


@pytest.mark.parametrize("format", Sink.Format)
def test_a_line_is_one_line_whatever_is_in_it(format):
    event = make_event(actor_label=HOSTILE, target_label=HOSTILE, user_agent=HOSTILE, data=json.dumps({"x": HOSTILE}))

    line = line_of(event, format)

    assert b"\n" not in line and b"\r" not in line
    assert framed(message_of(event, line, "console.example"))[:-1].count(b"\n") == 0


def test_an_action_that_this_version_does_not_know_goes_out_all_the_same():
    event = make_event("made.by_a_newer_version")

    assert meaning_of(event.action) == OTHER
    assert ocsf(event)["type_uid"] == 600_399
    assert "|made.by_a_newer_version|" in cef(event)


def test_an_event_of_the_console_itself_has_no_address():
    event = make_event(Action.SOURCE_UNREACHABLE, actor_kind="console", actor_id="", address="", user_agent="")

    assert ocsf(event)["src_endpoint"] == {"name": "agent-console"}
    assert ocsf(event)["actor"]["user"] == {"name": "alice", "type": "console", "type_id": 3}


@pytest.mark.parametrize("action", Action)
def test_every_action_fits_a_syslog_header(action):
    message = message_of(make_event(action), b"text", "console example\u00e9")

    head, _, text = message.partition(b"] ")
    assert text == b"text" and head.split(b" ")[2] == b"console_example_"
    assert head.split(b" ")[5] == action.value.encode() and len(action.value) <= 32
    assert 13 * 8 <= int(head[1 : head.index(b">")]) <= 13 * 8 + 7


def test_the_number_of_a_syslog_message_begins_anew_at_its_end():
    assert b'sequenceId="1"' in message_of(make_event(sequence=2**31), b"", "h")
    assert b'sequenceId="2147483647"' in message_of(make_event(sequence=2**31 - 1), b"", "h")
