"""What is a message and what is not, kind by kind, and what is still read of one that is none."""

import json

import pytest
from msgspec import UNSET

from bridge.protocol import errors, messages
from bridge.protocol.messages import Malformed, Version, from_agent, from_bridge, version_of
from bridge.tests import samples
from bridge.tests.samples import request, response

BOTH = (Version.V2_2, Version.NEXT)


def sent(message, version=Version.V2_2):
    return from_agent(json.dumps(message).encode(), version)


def got(message, version=Version.V2_2):
    return from_bridge(json.dumps(message).encode(), version)


def refused(message, read=sent, version=Version.V2_2):
    with pytest.raises(Malformed) as wrong:
        read(message, version)
    return wrong.value


def changed(message, *path, to):
    here = message
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = to
    return message


def name_of(message):
    return message["type"] + ".error" * ("error" in message["payload"])


def in_version(message, version):
    return samples.for_next(message) if version is Version.NEXT else message


@pytest.mark.parametrize("version", BOTH, ids=lambda version: version.value)
@pytest.mark.parametrize("message", samples.by_agents(), ids=name_of)
def test_it_reads_and_writes_what_agents_send(message, version):
    message = in_version(message, version)

    parsed = sent(message, version)

    assert parsed.type == message["type"]
    assert json.loads(messages.encode(parsed, version)) == message


@pytest.mark.parametrize("version", BOTH, ids=lambda version: version.value)
@pytest.mark.parametrize("message", samples.by_bridge(), ids=name_of)
def test_it_reads_and_writes_what_bridges_send(message, version):
    message = in_version(message, version)

    parsed = got(message, version)

    assert parsed.type == message["type"]
    assert json.loads(messages.encode(parsed, version)) == message


@pytest.mark.parametrize("missing", ["type", "payload", "meta"])
def test_r32_it_refuses_a_message_without_one_of_its_three_parts(missing):
    message = request("broadcastRequest")
    del message[missing]
    refused(message)


@pytest.mark.parametrize("path", [(), ("payload",), ("meta",)], ids=["top", "payload", "meta"])
def test_r32_it_refuses_keys_that_nobody_defined(path):
    for message in samples.by_agents():
        refused(changed(message, *path, "unknown", to=1))
    for message in samples.by_bridge():
        refused(changed(message, *path, "unknown", to=1), got)


def test_it_refuses_in_one_direction_what_only_goes_in_the_other():
    refused(samples.hello())
    refused(samples.update())
    refused(samples.authentication_failed())
    refused(samples.handshake(), got)
    refused(samples.failed("broadcastRequest", "MalformedMessage"))


def test_keys_unknown_in_a_source_or_destination_are_taken_and_not_relayed():
    message = request("PrivateChannel.onDisconnect")
    message["meta"]["source"]["colour"] = message["meta"]["destination"]["colour"] = "red"

    assert json.loads(messages.encode(sent(message), Version.V2_2)) == request("PrivateChannel.onDisconnect")


def test_a_null_for_an_absent_key_is_read_as_absent():
    message = request("findIntentRequest", {"context": None, "resultType": None}, responseUuid=None, destination=None)
    message["meta"]["source"]["instanceId"] = None

    parsed = sent(message)

    assert parsed.payload.context is UNSET and parsed.meta.source.instance_id is None
    assert b"null" not in messages.encode(parsed, Version.V2_2)


def test_a_null_is_no_substitute_for_a_key_that_is_required():
    refused(changed(request("broadcastRequest"), "payload", "channelId", to=None))
    refused(changed(request("broadcastRequest"), "payload", "context", to=None))
    refused(changed(response("raiseIntentResultResponse"), "payload", "intentResult", to=None))


def test_the_type_of_context_that_a_listener_is_for_may_be_null_but_not_absent():
    message = request("PrivateChannel.onUnsubscribe", {"contextType": None})
    assert sent(message).payload.context_type is None
    assert json.loads(messages.encode(sent(message), Version.V2_2))["payload"]["contextType"] is None

    del message["payload"]["contextType"]
    refused(message)


@pytest.mark.parametrize(
    "context",
    [None, [], "fdc3.nothing", {}, {"type": 1}, {"type": None}, {"type": "x", "name": 1}, {"type": "x", "id": "1"}],
    ids=repr,
)
def test_it_refuses_a_context_that_is_none_wherever_one_stands(context):
    for type in ("broadcastRequest", "PrivateChannel.broadcast", "raiseIntentRequest", "findIntentsByContextRequest"):
        refused(request(type, {"context": context}))
    refused(samples.handshake(channelsState={"c": [samples.INSTRUMENT, context]}))
    refused(samples.update(channelsState={"c": [context]}), got)
    if context is not None:
        refused(request("openRequest", {"context": context}))
        refused(request("findIntentRequest", {"context": context}))
        refused(response("raiseIntentResultResponse", {"intentResult": {"context": context}}))


def test_the_bytes_of_a_context_are_handed_on_as_they_came():
    context = b'{ "type":"x" , "n": 1.50e+400, "big": 123456789012345678901234567890, "a":1,"a": 2, "u":"\\u00e9" }'
    raw = json.dumps(request("PrivateChannel.broadcast", {"context": "HERE"})).encode().replace(b'"HERE"', context)

    parsed = from_agent(raw, Version.V2_2)

    assert context in messages.encode(parsed, Version.NEXT)
    assert messages.context_type(parsed.payload.context) == "x"


def test_a_result_is_a_context_or_a_channel_or_nothing_and_not_two_of_them():
    def result(value):
        return response("raiseIntentResultResponse", {"intentResult": value})

    assert sent(result({})).payload.intent_result == messages.IntentResult()
    assert sent(result({"channel": samples.CHANNEL})).payload.intent_result.channel.id == "private-1"
    refused(result({"channel": samples.CHANNEL, "context": samples.INSTRUMENT}))
    refused(response("raiseIntentResultResponse", {"context": samples.INSTRUMENT}))


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-21T20:00:00Z",
        "2026-11-21T20:00:00.123456789Z",
        "2026-11-21t20:00:00z",
        "2026-11-21T20:00:00+05:30",
        "2024-02-29T00:00:00-00:00",
    ],
)
def test_it_takes_a_timestamp_and_keeps_its_words(timestamp):
    parsed = sent(request("PrivateChannel.onDisconnect", timestamp=timestamp))
    assert json.loads(messages.encode(parsed, Version.V2_2))["meta"]["timestamp"] == timestamp


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "2020-03-...",
        "2026-11-21",
        "2026-11-21T20:00Z",
        "2026-11-21T20:00:00",
        "2026-11-21 20:00:00Z",
        "2026-11-21T20:00:00+0530",
        "2026-11-21T24:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "0000-01-01T00:00:00Z",
        1764000000,
    ],
)
def test_it_refuses_a_timestamp_that_is_none(timestamp):
    refused(request("PrivateChannel.onDisconnect", timestamp=timestamp))


@pytest.mark.parametrize("type", samples.RESPONSES)
@pytest.mark.parametrize("version", BOTH, ids=lambda version: version.value)
def test_r56_each_response_takes_the_errors_of_its_own_call(type, version):
    every = sorted(errors.known(version))
    taken = {each for each in every if _takes(samples.error(type, each), sent, version)}

    assert taken == errors.allowed(type, version) and "AccessDenied" not in taken
    assert ("AppNotFound" in taken) is (type == "openResponse")
    assert ("NoResultReturned" in taken) is (type == "raiseIntentResultResponse")
    assert ("InvalidArguments" in taken) is (version is Version.NEXT and type != "raiseIntentResultResponse")
    assert not _takes(samples.error(type, "TargettedAppUnavailable"), sent, version)


def _takes(message, read, version):
    try:
        read(message, version)
    except Malformed:
        return False
    return True


def test_the_details_of_a_collated_answer_may_be_any_error():
    assert len(errors.known(Version.V2_2)) == 22 and len(errors.known(Version.NEXT)) == 24
    for detail in errors.known(Version.V2_2):
        got(response("openResponse", sources=[samples.AGENT_A], errorSources=[samples.AGENT_B], errorDetails=[detail]))
    refused(response("openResponse", errorSources=[samples.AGENT_B], errorDetails=["InvalidArguments"]), got)


@pytest.mark.parametrize("key", ["sources", "errorSources"])
@pytest.mark.parametrize(
    "wrong", [samples.NEWS["appId"], {"nonsense": 1}, {"appId": "x"}, {"desktopAgent": 1}], ids=str
)
def test_it_looks_at_every_source_and_not_at_the_first_alone(key, wrong):
    got(response("openResponse", **{key: [samples.AGENT_A, samples.AGENT_B]}))
    refused(response("openResponse", **{key: [samples.AGENT_A, wrong]}), got)


def test_r38_it_refuses_an_agents_answer_that_names_sources():
    for type in samples.RESPONSES:
        refused(response(type, source=samples.CHAT))
        refused(response(type, destination=samples.CHAT))
        refused(samples.collated(type))
        refused(samples.failed(type))


def test_an_error_of_a_bridge_says_whose_it_is():
    refused(samples.error("openResponse"), got)
    refused(samples.error("openResponse", errorSources=[samples.AGENT_A]), got)


@pytest.mark.parametrize("type", samples.REQUESTS)
def test_a_request_that_a_bridge_handed_on_names_the_agent_it_came_from(type):
    got(request(type))
    refused(request(type, source={"appId": "Chat"}), got)
    refused(request(type, source=None), got)


@pytest.mark.parametrize("type", ["broadcastRequest", "openRequest", "raiseIntentRequest"])
def test_it_refuses_a_request_that_needs_a_source_and_has_none(type):
    refused(request(type, source=None))
    refused(request(type, source=samples.AGENT_A))


def test_only_some_requests_come_without_a_destination_and_one_always_does():
    refused(request("broadcastRequest", destination=samples.NEWS))
    refused(request("raiseIntentRequest", destination=None))
    refused(request("raiseIntentRequest", destination=samples.AGENT_B))
    refused(request("PrivateChannel.broadcast", destination=samples.AGENT_B))
    assert sent(request("PrivateChannel.broadcast", destination=None)).meta.destination is None


@pytest.mark.parametrize("type", ["getAppMetadataRequest", "openRequest", "raiseIntentRequest"])
def test_r65_it_refuses_a_targeted_request_whose_app_is_on_no_agent(type):
    refused(request(type, {"app": {"appId": "News"}}))


def test_the_names_that_2_1_gave_listener_types_mean_the_same():
    for version in Version:
        for old, new in (
            ("onAddContextListener", "addContextListener"),
            ("onUnsubscribe", "unsubscribe"),
            ("onDisconnect", "disconnect"),
        ):
            by_name = [
                sent(request("PrivateChannel.eventListenerAdded", {"listenerType": each})) for each in (old, new)
            ]
            assert by_name[0] == by_name[1]
        refused(request("PrivateChannel.eventListenerAdded", {"listenerType": "contextCleared"}), version=version)
        refused(request("PrivateChannel.eventListenerAdded", {"listenerType": None}), version=version)


def test_what_came_after_2_2_is_refused_from_who_speaks_2_2():
    broadcast = request("broadcastRequest", {"metadata": {"traceId": "t"}})
    result = response("raiseIntentResultResponse")
    result["payload"]["resultMetadata"] = {"source": samples.NEWS, "timestamp": samples.AT, "traceId": "t"}

    for message in (broadcast, result):
        sent(message, Version.NEXT)
        refused(message)
    refused(changed(result, "payload", "resultMetadata", "timestamp", to="yesterday"), version=Version.NEXT)


def test_a_broadcast_after_2_2_may_leave_its_metadata_out():
    assert sent(request("broadcastRequest"), Version.NEXT).payload.metadata is None


def test_a_handshake_is_judged_by_the_version_that_it_states():
    later = samples.for_next(samples.handshake())

    for version in Version:
        assert sent(later, version).payload.implementation_metadata.version is Version.NEXT
        assert sent(samples.handshake(), version).payload.implementation_metadata.version is Version.V2_2
    refused(changed(later, "payload", "implementationMetadata", "fdc3Version", to="2.2"))


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("2.1", Version.V2_1),
        ("2.1.0", Version.V2_1),
        ("2.2", Version.V2_2),
        ("2.2.3", Version.V2_2),
        ("2.10", Version.V2_2),
        ("3.0.0-alpha.2", Version.NEXT),
        ("3.0", Version.NEXT),
        ("17.4", Version.NEXT),
        ("2.0", None),
        ("1.2", None),
        ("", None),
        ("next", None),
        ("2", None),
        ("2.", None),
        ("v2.2", None),
        ("٢.٢", None),
        ("9" * 5000 + ".1", None),
    ],
)
def test_an_unknown_version_is_spoken_to_in_the_nearest_lower_one(said, version):
    assert version_of(said) is version


def test_r41_it_refuses_a_request_without_requestuuid_and_says_that_there_was_none():
    message = request("findIntentRequest")
    del message["meta"]["requestUuid"]

    wrong = refused(message)

    assert (wrong.type, wrong.request_uuid, wrong.response_uuid) == ("findIntentRequest", None, None)


def test_r54_it_reads_of_a_malformed_request_what_it_takes_to_answer():
    wrong = refused(request("openRequest", {"app": 1}))

    assert (wrong.type, wrong.request_uuid, wrong.response_uuid) == ("openRequest", samples.REQUEST, None)
    assert "$.payload.app" in wrong.why


def test_r55_it_reads_of_a_malformed_response_what_it_takes_to_answer():
    wrong = refused(samples.error("openResponse", "NoSuchError"))

    assert (wrong.type, wrong.request_uuid, wrong.response_uuid) == ("openResponse", samples.REQUEST, samples.RESPONSE)


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"type": "unheardOf", "payload": 1, "meta": {"requestUuid": "r"}}, ("unheardOf", "r", None)),
        ({"type": 1, "meta": {"requestUuid": "r", "responseUuid": 2}}, (None, "r", None)),
        ({"type": "x", "meta": {"requestUuid": {}, "responseUuid": "s"}}, ("x", None, "s")),
        ({"type": "x", "meta": None}, ("x", None, None)),
        ({"type": None}, (None, None, None)),
        ({}, (None, None, None)),
        ([], (None, None, None)),
        ("x", (None, None, None)),
        (None, (None, None, None)),
    ],
    ids=repr,
)
def test_it_reads_what_is_there_of_an_envelope(message, read):
    wrong = refused(message)
    assert (wrong.type, wrong.request_uuid, wrong.response_uuid) == read
