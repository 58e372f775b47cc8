"""Bytes that are no message: none of them may crash a reader, hold it up, or reach another agent."""

import json

import pytest

from bridge.protocol.damage import DEEPEST, too_deep
from bridge.protocol.messages import Malformed, Unparseable, Version, encode, from_agent
from bridge.protocol.parts import LONGEST_NAME
from bridge.tests.samples import REQUEST, request


def with_bytes(value: bytes, key: str = "context") -> bytes:
    message = request("PrivateChannel.broadcast", {"context": {"type": "x", "here": "HERE"}})
    return json.dumps(message).encode().replace(b'"HERE"', value)


def refused(raw):
    with pytest.raises(Malformed) as wrong:
        from_agent(raw, Version.V2_2)
    return wrong.value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"\x00",
        b"{",
        b'{"type"',
        b"hello",
        b"{} {}",
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf" + with_bytes(b"1"),
        with_bytes(b"1")[:-1],
        with_bytes(b"1") + b",",
    ],
)
def test_what_is_no_json_tells_nothing(raw):
    wrong = refused(raw)
    assert (wrong.type, wrong.request_uuid, wrong.response_uuid) == (None, None, None)


@pytest.mark.parametrize(
    "value",
    [
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"01",
        b"1.",
        b"'x'",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\ud800\\u0041"',
    ]
    + [b'"a\nb"', b'"\\x"', b"[1,]", b'{"a":1,}', b"// no\n1", b"tru", b"True"],
)
def test_what_no_strict_reader_takes_is_unparseable_even_inside_a_context(value):
    assert isinstance(refused(with_bytes(value)), Unparseable)


def test_a_mistake_of_kind_before_broken_json_is_still_broken_json():
    assert isinstance(refused(b'{"type": 1, "payload": '), Unparseable)


@pytest.mark.parametrize("value", [b"1e999", b"-1e999", b"9" * 5000, b"0.1e-999", b'"\\u0000"', b'"\\ud83d\\ude00"'])
def test_odd_but_lawful_values_in_a_context_pass_untouched(value):
    assert value in encode(from_agent(with_bytes(value), Version.V2_2), Version.V2_2)


def test_of_a_key_that_comes_twice_each_is_judged_and_one_is_handed_on():
    raw = with_bytes(b"1")
    twice = raw.replace(b'"meta": {', b'"meta": {"source": {"appId": "Forged"}, ')

    assert b"Forged" not in encode(from_agent(twice, Version.V2_2), Version.V2_2)
    refused(raw.replace(b'"meta": {', b'"meta": {"source": 1, '))


def levels(count: int) -> bytes:
    """A context below which arrays nest, `count` levels in the whole message."""
    return with_bytes(b"[" * (count - 3) + b"]" * (count - 3))


def test_it_takes_as_many_levels_as_allowed_and_no_more():
    from_agent(levels(DEEPEST), Version.V2_2)

    wrong = refused(levels(DEEPEST + 1))

    assert (wrong.type, wrong.request_uuid) == ("PrivateChannel.broadcast", REQUEST)
    assert "deeper" in wrong.why


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_megabyte_of_openings_is_refused(opening):
    refused(opening * (1_000_000 // len(opening)))
    refused(with_bytes(opening * (1_000_000 // len(opening))))


def test_brackets_in_strings_are_no_levels_and_hide_none():
    from_agent(with_bytes(b'"' + b"[{" * 1000 + b'"'), Version.V2_2)
    from_agent(with_bytes(b'"\\"' + b"[{" * 1000 + b'\\\\"'), Version.V2_2)
    refused(with_bytes(b'["]]]]]]]]", ' * 100 + b"1" + b', "[[[["]' * 100))


def test_many_shallow_values_are_not_deep():
    assert not too_deep(b"[" + b'{"a": []},' * 100_000 + b"0]")
    from_agent(with_bytes(b"[" + b'{"a": [{}]},' * 10_000 + b"0]"), Version.V2_2)


@pytest.mark.parametrize("key", ["requestUuid", "channelId", "appId"])
def test_it_refuses_names_too_long_to_be_kept(key):
    def with_name(name):
        message = request("PrivateChannel.onDisconnect")
        message["meta"]["requestUuid" if key == "requestUuid" else "source"] = (
            name if key == "requestUuid" else {"appId": name if key == "appId" else "x"}
        )
        message["payload"]["channelId"] = name if key == "channelId" else "x"
        return json.dumps(message).encode()

    from_agent(with_name("n" * LONGEST_NAME), Version.V2_2)
    refused(with_name("n" * (LONGEST_NAME + 1)))


@pytest.mark.parametrize("cut", range(0, 100, 7))
def test_no_piece_of_a_message_is_a_message(cut):
    raw = json.dumps(request("raiseIntentRequest")).encode()
    refused(raw[: len(raw) * cut // 100])


def test_what_is_told_of_a_malformed_message_is_short():
    long = "x" * 100_000
    wrong = refused(json.dumps({"type": long, "payload": {}, "meta": {"requestUuid": long}}).encode())
    assert (wrong.type, wrong.request_uuid) == (None, None)
    assert len(wrong.why) == len(str(wrong)) < 250

    message = request("PrivateChannel.eventListenerAdded", {"listenerType": long})
    assert len(refused(json.dumps(message).encode()).why) < 250
