"""What goes out: the sender's name on it, and in the words of the receiver's version."""

import json

import pytest

from bridge.protocol import messages
from bridge.protocol.messages import Malformed, Version, encode, from_agent, from_bridge, stamped
from bridge.tests import samples
from bridge.tests.samples import AGENT_A, AGENT_B, NEWS, request, response


def parsed(message, version=Version.V2_2):
    return from_agent(json.dumps(message).encode(), version)


def told(message, receiver):
    return json.loads(encode(message, receiver))


@pytest.mark.parametrize("type", samples.REQUESTS)
def test_r35_the_name_of_the_connection_overwrites_what_an_agent_claims(type):
    forged = request(type, source={"appId": "Chat", "instanceId": "chat-1", "desktopAgent": "agent-B"})

    out = told(stamped(parsed(forged), "agent-A"), Version.V2_2)

    assert out["meta"]["source"] == {"appId": "Chat", "instanceId": "chat-1", "desktopAgent": "agent-A"}
    assert out["meta"].get("destination") == forged["meta"].get("destination")
    assert out["payload"] == forged["payload"]


@pytest.mark.parametrize("type", ["findIntentRequest", "findInstancesRequest", "getAppMetadataRequest"])
def test_r36_a_request_without_source_gets_one_that_names_the_agent(type):
    out = told(stamped(parsed(request(type, source=None)), "agent-A"), Version.V2_2)
    assert out["meta"]["source"] == {"desktopAgent": "agent-A"}


@pytest.mark.parametrize(
    "type", ["findIntentsByContextRequest", *(type for type in samples.REQUESTS if type.startswith("PrivateChannel."))]
)
def test_a_request_that_has_to_name_an_app_is_malformed_without(type):
    with pytest.raises(Malformed) as wrong:
        stamped(parsed(request(type, source=None)), "agent-A")
    assert (wrong.value.type, wrong.value.request_uuid) == (type, samples.REQUEST)


@pytest.mark.parametrize(
    ("receiver", "words"),
    [
        (Version.V2_1, ["onAddContextListener", "onUnsubscribe", "onDisconnect"]),
        (Version.V2_2, ["addContextListener", "unsubscribe", "disconnect"]),
        (Version.NEXT, ["addContextListener", "unsubscribe", "disconnect"]),
    ],
)
def test_listener_types_are_in_the_receivers_words(receiver, words):
    for type in ("PrivateChannel.eventListenerAdded", "PrivateChannel.eventListenerRemoved"):
        out = [
            told(parsed(request(type, {"listenerType": each.value})), receiver)["payload"]["listenerType"]
            for each in messages.ListenerType
        ]
        assert out == words


def test_a_broadcast_carries_metadata_where_the_receiver_requires_it_and_nowhere_else():
    plain = parsed(request("broadcastRequest"))
    rich = parsed(samples.for_next(request("broadcastRequest")), Version.NEXT)

    assert told(plain, Version.NEXT)["payload"]["metadata"] == {}
    assert told(rich, Version.NEXT)["payload"]["metadata"]["traceId"] == "t"
    for receiver in (Version.V2_1, Version.V2_2):
        assert told(plain, receiver) == told(rich, receiver) == request("broadcastRequest")


def test_a_result_carries_metadata_only_where_the_receiver_knows_it():
    message = response("raiseIntentResultResponse")
    message["payload"]["resultMetadata"] = {"source": NEWS, "timestamp": samples.AT, "traceId": "t"}
    result = parsed(message, Version.NEXT)

    assert told(result, Version.NEXT) == message
    assert told(result, Version.V2_2) == response("raiseIntentResultResponse")


def test_the_roster_states_the_features_that_the_receivers_version_has():
    older = from_bridge(json.dumps(samples.update()).encode(), Version.V2_2)
    later = from_bridge(json.dumps(samples.for_next(samples.update())).encode(), Version.NEXT)

    def features(update, receiver):
        return told(update, receiver)["payload"]["allAgents"][0]["optionalFeatures"]

    assert features(older, Version.V2_2) == samples.FEATURES
    assert features(older, Version.NEXT) == features(later, Version.NEXT)
    assert "OriginatingAppMetadata" not in features(older, Version.NEXT)
    assert features(later, Version.V2_2) == features(later, Version.V2_1)
    assert features(later, Version.V2_2) == {**samples.FEATURES, "OriginatingAppMetadata": False}


@pytest.mark.parametrize(
    ("error", "receiver", "word"),
    [
        ("InvalidArguments", Version.NEXT, "InvalidArguments"),
        ("InvalidArguments", Version.V2_2, "MalformedMessage"),
        ("IntentListenerConflict", Version.V2_2, "IntentDeliveryFailed"),
        ("ApiTimeout", Version.V2_2, "ApiTimeout"),
        ("ApiTimeout", Version.V2_1, "ResponseToBridgeTimedOut"),
        ("NoAppsFound", Version.V2_1, "NoAppsFound"),
    ],
)
def test_an_error_that_the_receiver_does_not_know_is_told_as_the_nearest_that_it_does(error, receiver, word):
    failed = from_bridge(json.dumps(samples.failed("findIntentResponse", error)).encode(), Version.NEXT)
    collated = response("findIntentResponse", sources=[AGENT_A], errorSources=[AGENT_B], errorDetails=[error])

    out = told(failed, receiver)

    assert out["payload"]["error"] == word and out["meta"]["errorDetails"][0] == word
    partly = from_bridge(json.dumps(collated).encode(), Version.NEXT)
    assert told(partly, receiver)["meta"]["errorDetails"] == [word]


def test_2_1_gets_what_it_requires_and_not_what_it_forbids():
    intent = {"intent": {"name": "ViewNews"}, "apps": []}
    found = parsed(response("findIntentResponse", {"appIntent": intent}))
    found_all = parsed(response("findIntentsByContextResponse", {"appIntents": [intent]}))
    whole = {"name": "ViewNews", "displayName": "ViewNews"}

    assert told(found, Version.V2_1)["payload"]["appIntent"]["intent"] == whole
    assert told(found_all, Version.V2_1)["payload"]["appIntents"][0]["intent"] == whole
    assert told(found, Version.V2_2)["payload"]["appIntent"] == intent
    for type in ("findIntentRequest", "findIntentsByContextRequest"):
        assert "resultType" not in told(parsed(request(type)), Version.V2_1)["payload"]
        assert "resultType" in told(parsed(request(type)), Version.V2_2)["payload"]


def test_the_version_in_an_intent_resolution_is_known_to_2_1_alone():
    resolution = {"intent": "ViewNews", "source": NEWS, "version": "1"}
    message = response("raiseIntentResponse", {"intentResolution": resolution})
    resolved = parsed(message, Version.V2_1)

    assert told(resolved, Version.V2_1) == message
    assert "version" not in told(resolved, Version.V2_2)["payload"]["intentResolution"]
    with pytest.raises(Malformed):
        parsed(message)


def test_optional_keys_that_are_not_there_are_left_out():
    answer = response("openResponse", sources=None, errorSources=None)
    assert told(from_bridge(json.dumps(answer).encode(), Version.V2_2), Version.V2_2) == response("openResponse")
