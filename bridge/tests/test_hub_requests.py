"""Where requests go, whose names they carry, and what becomes of the answers."""

import pytest

from bridge.tests.wire import TIMESTAMP, Wire, app, context


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def agents(wire):
    return [wire.agent(f"agent-{letter}") for letter in "ABC"]


def found(*apps, intent="ViewQuote"):
    return {"appIntent": {"intent": {"name": intent}, "apps": [{"appId": each} for each in apps]}}


def instances(*apps):
    return {"appIdentifiers": [{"appId": each, "instanceId": "1"} for each in apps]}


ERROR = {"error": "NoAppsFound"}
QUOTES = {"appId": "quotes", "desktopAgent": "agent-B"}


def find(agent, **more):
    return agent.send("findIntentRequest", {"intent": "ViewQuote"}, **more)


def raise_intent(agent, to=QUOTES):
    payload = {"intent": "ViewQuote", "context": context(), "app": to}
    return agent.send("raiseIntentRequest", payload, source=app("blotter"), to=to)


def resolved(source="quotes"):
    return {"intentResolution": {"intent": "ViewQuote", "source": app(source, instance="7")}}


def open_quotes(agent, to=QUOTES, destination="agent-B"):
    to = {**to, "desktopAgent": destination}
    return agent.send("openRequest", {"app": to}, source=app("blotter"), to={"desktopAgent": destination})


def named(*names):
    return [{"desktopAgent": name} for name in names]


# Envelope and identity


def test_r32_what_is_no_json_object_of_three_parts_is_dropped(wire, agents):
    a, b, _ = agents

    for raw in (b"", b"\xff", b"[]", b"7", b'{"type":1}', b"{" * 1000, b'{"type":"findIntentRequest","payload":{}}'):
        a.send_raw(raw)

    assert a.inbox == b.inbox == []
    assert wire.snapshot().agents[0].traffic.malformed == 7


def test_r34_every_uuid_of_the_bridge_comes_from_where_the_server_says(wire):
    a = wire.agent("agent-A")

    find(a)

    assert a.last["meta"]["responseUuid"].startswith("bridge-")


@pytest.mark.parametrize("claimed", [None, "agent-C", "nobody"])
def test_r35_the_source_is_the_connection_whatever_it_claims(agents, claimed):
    a, b, _ = agents

    a.send("broadcastRequest", {"channelId": "red", "context": context()}, source=app("blotter", claimed))

    assert b.last["meta"]["source"] == app("blotter", "agent-A")


@pytest.mark.parametrize(
    ("type", "payload"),
    [("findIntentRequest", {"intent": "x"}), ("findInstancesRequest", {"app": {"appId": "x"}})],
)
def test_r36_a_request_without_source_gets_one(agents, type, payload):
    a, b, _ = agents

    a.send(type, payload)

    assert b.last["meta"]["source"] == {"desktopAgent": "agent-A"}


def test_r36_a_kind_whose_source_has_to_be_an_app_is_refused_without_one(agents):
    a, b, _ = agents

    a.send("findIntentsByContextRequest", {"context": context()})

    assert a.last["payload"]["error"] == "MalformedMessage"
    assert b.inbox == []


@pytest.mark.parametrize(
    ("request_type", "payload", "response_type", "answer", "paths"),
    [
        ("findIntentRequest", {"intent": "x"}, "findIntentResponse", found("q", "r"), ["appIntent.apps"]),
        (
            "findIntentsByContextRequest",
            {"context": context()},
            "findIntentsByContextResponse",
            {"appIntents": [found("q")["appIntent"], found("r", intent="Other")["appIntent"]]},
            ["appIntents.0.apps", "appIntents.1.apps"],
        ),
        (
            "findInstancesRequest",
            {"app": {"appId": "q"}},
            "findInstancesResponse",
            instances("q", "q"),
            ["appIdentifiers"],
        ),
        ("getAppMetadataRequest", {"app": QUOTES}, "getAppMetadataResponse", {"appMetadata": {"appId": "q"}}, []),
        ("openRequest", {"app": QUOTES}, "openResponse", {"appIdentifier": app("q")}, []),
    ],
)
def test_r39_every_app_in_an_answer_gets_the_name_of_its_host(
    wire, request_type, payload, response_type, answer, paths
):
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    uuid = a.send(request_type, payload, source=app("blotter"))

    b.answer(uuid, response_type, answer)

    apps = [each for path in paths for each in at(a.last["payload"], path)]
    apps += [a.last["payload"][key] for key in ("appMetadata", "appIdentifier") if key in a.last["payload"]]
    assert apps and all(each["desktopAgent"] == "agent-B" for each in apps)


def at(value, path):
    for step in path.split("."):
        value = value[int(step) if step.isdigit() else step]
    return value


def test_r39_a_host_that_an_agent_invents_is_overwritten(wire):
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    uuid = raise_intent(a)

    source = app("quotes", "agent-A", instance="7")
    b.answer(uuid, "raiseIntentResponse", {"intentResolution": {"intent": "ViewQuote", "source": source}})

    assert a.last["payload"]["intentResolution"]["source"]["desktopAgent"] == "agent-B"


def test_r40_answers_find_their_requester_until_the_last_one(agents):
    a, b, c = agents
    first, second = raise_intent(a), raise_intent(c)

    b.answer(second, "raiseIntentResponse", resolved())
    b.answer(first, "raiseIntentResponse", resolved())
    b.answer(second, "raiseIntentResultResponse", {"intentResult": {}})
    b.answer(second, "raiseIntentResultResponse", {"intentResult": {}})

    assert a.types == ["raiseIntentResponse"]
    assert c.types == ["raiseIntentResponse", "raiseIntentResultResponse"]
    assert {message["meta"]["requestUuid"] for message in c.inbox} == {second}


@pytest.mark.parametrize("missing", ["requestUuid", "responseUuid"])
def test_r41_what_lacks_a_uuid_is_discarded(agents, missing):
    a, b, _ = agents
    uuid = find(a)
    meta = {"requestUuid": uuid, "responseUuid": "x", "timestamp": TIMESTAMP}
    del meta[missing]
    b.clear()

    b.post({"type": "findIntentResponse", "payload": found("q"), "meta": meta})
    b.post({"type": "findIntentRequest", "payload": {"intent": "x"}, "meta": {"timestamp": TIMESTAMP}})

    assert a.inbox == []


# Routing


def test_r42_nothing_goes_back_to_its_sender(agents):
    a, b, c = agents

    find(a)
    a.send("broadcastRequest", {"channelId": "red", "context": context()}, source=app("blotter"))

    assert a.inbox == []
    assert b.types == c.types == ["findIntentRequest", "broadcastRequest"]


def test_r42_an_agent_that_asks_itself_gets_an_error_and_no_question(wire):
    a = wire.agent("agent-A")

    open_quotes(a, destination="agent-A")

    assert a.types == ["openResponse"]
    assert a.last["payload"]["error"] == "DesktopAgentNotFound"


def test_r43_a_destination_gets_it_alone_and_nobody_else_is_waited_for(agents):
    a, b, c = agents
    uuid = a.send("findInstancesRequest", {"app": {"appId": "q"}}, to={"desktopAgent": "agent-B"})

    b.answer(uuid, "findInstancesResponse", instances("q"))

    assert c.inbox == []
    assert a.last["meta"]["sources"] == named("agent-B")


@pytest.mark.parametrize("type", ["openRequest", "getAppMetadataRequest", "findInstancesRequest"])
def test_r43_without_destination_the_app_says_which_agent(agents, type):
    a, b, c = agents

    a.send(type, {"app": QUOTES}, source=app("blotter"))

    assert b.types == [type]
    assert c.inbox == []


def test_r44_answers_that_nobody_waits_for_are_dropped(agents):
    a, b, c = agents
    uuid = open_quotes(a)

    c.answer(uuid, "openResponse", {"appIdentifier": app("forged")})
    c.answer("unheard-of", "openResponse", {"appIdentifier": app("forged")})
    b.answer(uuid, "openResponse", {"appIdentifier": app("quotes")})
    b.answer(uuid, "openResponse", {"appIdentifier": app("twice")})

    assert [message["payload"]["appIdentifier"]["appId"] for message in a.inbox] == ["quotes"]
    assert c.inbox == []


# Collation


def test_r45_many_answers_become_one_of_the_bridge(agents):
    a, b, c = agents
    uuid = find(a)

    own = [b.answer(uuid, "findIntentResponse", found("q")), c.answer(uuid, "findIntentResponse", found("r", "s"))]

    assert len(a.inbox) == 1
    assert a.last["meta"]["sources"] == named("agent-B", "agent-C")
    assert a.last["meta"]["responseUuid"] not in own
    assert "errorSources" not in a.last["meta"]
    assert [each["appId"] for each in a.last["payload"]["appIntent"]["apps"]] == ["q", "r", "s"]


def test_r45_intents_by_context_are_grouped_by_name(agents):
    a, b, c = agents
    uuid = a.send("findIntentsByContextRequest", {"context": context()}, source=app("blotter"))

    b.answer(uuid, "findIntentsByContextResponse", {"appIntents": [found("q")["appIntent"]]})
    both = {"appIntents": [found("s", intent="Other")["appIntent"], found("r")["appIntent"]]}
    c.answer(uuid, "findIntentsByContextResponse", both)

    intents = {
        each["intent"]["name"]: [app["appId"] for app in each["apps"]] for each in a.last["payload"]["appIntents"]
    }
    assert intents == {"ViewQuote": ["q", "r"], "Other": ["s"]}


def test_r45_instances_of_all_agents_are_joined(agents):
    a, b, c = agents
    uuid = a.send("findInstancesRequest", {"app": {"appId": "q"}})

    b.answer(uuid, "findInstancesResponse", instances("q", "q"))
    c.answer(uuid, "findInstancesResponse", instances())

    assert len(a.last["payload"]["appIdentifiers"]) == 2
    assert a.last["meta"]["sources"] == named("agent-B", "agent-C")


def test_r45_r46_one_success_is_a_success_and_names_those_that_failed(agents):
    a, b, c = agents
    uuid = find(a)

    b.answer(uuid, "findIntentResponse", ERROR)
    c.answer(uuid, "findIntentResponse", found("r"))

    assert "error" not in a.last["payload"]
    assert a.last["meta"]["sources"] == named("agent-C")
    assert a.last["meta"]["errorSources"] == named("agent-B")
    assert a.last["meta"]["errorDetails"] == ["NoAppsFound"]


def test_r46_no_success_is_an_error_with_the_most_telling_of_them(wire):
    a, *others = [wire.agent(f"agent-{letter}") for letter in "ABCDE"]
    uuid = find(a)

    for agent, error in zip(others[1:], ["ResolverTimeout", "NoAppsFound", "NoAppsFound"], strict=True):
        agent.answer(uuid, "findIntentResponse", {"error": error})
    wire.pass_time(2)

    assert a.last["payload"] == {"error": "NoAppsFound"}
    assert a.last["meta"]["errorSources"] == named("agent-C", "agent-D", "agent-E", "agent-B")
    assert a.last["meta"]["errorDetails"] == [
        "ResolverTimeout",
        "NoAppsFound",
        "NoAppsFound",
        "ResponseToBridgeTimedOut",
    ]


def test_r46_a_single_telling_error_goes_before_any_number_of_time_outs(wire, agents):
    a, b, _ = agents
    wire.agent("agent-D")
    uuid = find(a)

    wire.agent("agent-E")  # Came too late to be asked.
    b.answer(uuid, "findIntentResponse", {"error": "ResolverTimeout"})
    wire.pass_time(2)

    assert a.last["payload"] == {"error": "ResolverTimeout"}
    assert a.last["meta"]["errorDetails"].count("ResponseToBridgeTimedOut") == 2


@pytest.mark.parametrize(
    ("type", "payload", "nothing"),
    [
        ("findIntentRequest", {"intent": "x"}, {"appIntent": {"intent": {"name": "x"}, "apps": []}}),
        ("findIntentsByContextRequest", {"context": context()}, {"appIntents": []}),
        ("findInstancesRequest", {"app": {"appId": "x"}}, {"appIdentifiers": []}),
    ],
)
def test_it_answers_with_nothing_where_there_is_nobody_to_ask(wire, type, payload, nothing):
    a = wire.agent("agent-A")

    a.send(type, payload, source=app("blotter"))

    assert a.last["payload"] == nothing
    assert "sources" not in a.last["meta"]


@pytest.mark.parametrize("type", ["findInstances", "getAppMetadata", "open"])
def test_r47_a_single_answer_keeps_its_uuid(wire, type):
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    answers = {
        "findInstances": instances("q"),
        "getAppMetadata": {"appMetadata": {"appId": "q"}},
        "open": {"appIdentifier": app("q")},
    }
    uuid = a.send(f"{type}Request", {"app": QUOTES}, source=app("blotter"), to={"desktopAgent": "agent-B"})

    own = b.answer(uuid, f"{type}Response", answers[type])

    assert a.last["meta"]["responseUuid"] == own
    assert a.last["meta"]["sources"] == named("agent-B")


def test_r47_a_single_error_keeps_its_uuid_too(wire):
    a, b = wire.agent("agent-A"), wire.agent("agent-B")
    uuid = open_quotes(a)

    own = b.answer(uuid, "openResponse", {"error": "AppNotFound"})

    assert a.last["meta"]["responseUuid"] == own
    assert a.last["meta"]["errorSources"] == named("agent-B")
    assert a.last["meta"]["errorDetails"] == ["AppNotFound"]


# Time


def test_r48_time_outs_are_settings_and_apps_have_longer_to_start():
    wire = Wire(find_timeout=0.5, launch_timeout=30)
    a, _ = wire.agent("agent-A"), wire.agent("agent-B")

    find(a)
    open_quotes(a)
    raise_intent(a)

    wire.pass_time(0.6)
    assert a.types == ["findIntentResponse"]
    wire.pass_time(29)
    assert len(a.inbox) == 1
    wire.pass_time(1)
    assert a.types == ["findIntentResponse", "openResponse", "raiseIntentResponse"]


def test_r48_the_default_for_finding_is_what_the_specification_recommends(wire, agents):
    a, _, _ = agents
    find(a)

    wire.pass_time(1.49)
    assert a.inbox == []
    wire.pass_time(0.02)

    assert a.last["payload"]["error"] == "ResponseToBridgeTimedOut"


def test_r50_who_was_silent_is_named_and_noted_and_too_late_afterwards(wire, agents):
    a, b, c = agents
    uuid = find(a)
    b.answer(uuid, "findIntentResponse", found("q"))

    wire.pass_time(2)
    c.answer(uuid, "findIntentResponse", found("r"))

    assert len(a.inbox) == 1
    assert a.last["meta"]["errorSources"] == named("agent-C")
    assert a.last["meta"]["errorDetails"] == ["ResponseToBridgeTimedOut"]
    assert [note.agent for note in wire.notes if note.event.value == "timed out"] == ["agent-C"]


def test_a_result_may_take_for_ever(wire, agents):
    a, b, _ = agents
    uuid = raise_intent(a)
    b.answer(uuid, "raiseIntentResponse", resolved())

    wire.pass_time(100_000)
    own = b.answer(uuid, "raiseIntentResultResponse", {"intentResult": {"context": context()}})

    assert a.types == ["raiseIntentResponse", "raiseIntentResultResponse"]
    assert a.last["meta"]["responseUuid"] == own
    assert a.last["meta"]["sources"] == named("agent-B")


def test_no_result_is_awaited_of_an_intent_that_failed(wire, agents):
    a, b, _ = agents
    uuid = raise_intent(a)

    b.answer(uuid, "raiseIntentResponse", {"error": "TargetAppUnavailable"})
    b.answer(uuid, "raiseIntentResultResponse", {"intentResult": {}})

    assert a.types == ["raiseIntentResponse"]
    assert wire.snapshot().requests_in_flight == 0


def test_r52_an_agent_that_misses_three_rounds_in_a_row_is_disconnected(wire, agents):
    a, b, c = agents
    for _ in range(3):
        uuid = find(a)
        b.answer(uuid, "findIntentResponse", found("q"))
        wire.pass_time(2)

    assert c.closed == (1008, "no answer to 3 rounds of questions in a row")
    assert a.last["payload"]["removeAgent"] == "agent-C"
    assert b.closed is a.closed is None


def test_r52_many_questions_at_once_are_one_round(wire, agents):
    a, _, _ = agents
    for _ in range(20):
        find(a)

    wire.pass_time(2)

    assert [agent.silent_rounds for agent in wire.snapshot().agents] == [0, 1, 1]


def test_r52_an_answer_makes_good_for_the_rounds_before(wire, agents):
    a, b, c = agents
    for _ in range(4):
        for _ in range(2):
            find(a)
            wire.pass_time(2)
        uuid = find(a)
        for agent in (b, c):
            agent.answer(uuid, "findIntentResponse", ERROR)

    assert b.closed is c.closed is None


def test_r52_apps_that_do_not_start_are_not_held_against_their_agent(wire, agents):
    a, b, _ = agents
    for _ in range(5):
        open_quotes(a)
        wire.pass_time(60)

    assert b.closed is None


# Loss


def test_r51_a_collated_request_waits_for_the_rest(agents):
    a, b, c = agents
    uuid = find(a)

    b.hang_up()
    assert a.types == ["connectedAgentsUpdate"]
    c.answer(uuid, "findIntentResponse", found("r"))

    assert a.last["meta"]["sources"] == named("agent-C")
    assert a.last["meta"]["errorSources"] == named("agent-B")
    assert a.last["meta"]["errorDetails"] == ["AgentDisconnected"]


def test_r51_it_is_answered_when_nobody_is_left(agents):
    a, b, c = agents
    find(a)

    b.hang_up()
    c.hang_up()

    assert a.last["payload"] == {"error": "AgentDisconnected"}
    assert a.last["meta"]["errorDetails"] == ["AgentDisconnected"] * 2


@pytest.mark.parametrize("ask", [open_quotes, raise_intent])
def test_r51_a_targeted_request_ends_after_the_update(agents, ask):
    a, b, _ = agents
    ask(a)

    b.hang_up()

    assert a.types[0] == "connectedAgentsUpdate"
    assert a.last["payload"] == {"error": "AgentDisconnected"}


def test_r51_a_result_that_cannot_come_any_more_ends_too(agents):
    a, b, _ = agents
    uuid = raise_intent(a)
    b.answer(uuid, "raiseIntentResponse", resolved())

    b.hang_up()

    assert a.last["type"] == "raiseIntentResultResponse"
    assert a.last["payload"] == {"error": "AgentDisconnected"}


def test_r51_nobody_answers_a_requester_that_is_gone(wire, agents):
    a, b, c = agents
    uuid = find(a)
    a.hang_up()

    b.answer(uuid, "findIntentResponse", found("q"))
    wire.pass_time(5)

    assert b.types == c.types == ["findIntentRequest", "connectedAgentsUpdate"]
    assert wire.snapshot().requests_in_flight == 0


def test_r51_nor_brings_it_a_result(wire, agents):
    a, b, _ = agents
    uuid = raise_intent(a)
    b.answer(uuid, "raiseIntentResponse", resolved())
    a.hang_up()

    assert wire.snapshot().requests_in_flight == 0
    b.answer(uuid, "raiseIntentResultResponse", {"intentResult": {}})
    assert "raiseIntentResultResponse" not in wire.agent("agent-A").types


# Malformed


def test_r54_a_malformed_request_is_answered_and_goes_nowhere(agents):
    a, b, _ = agents

    uuid = a.send("findIntentRequest", {"intent": 7}, source=app("blotter"))

    assert b.inbox == []
    assert a.last["type"] == "findIntentResponse"
    assert a.last["payload"] == {"error": "MalformedMessage"}
    assert a.last["meta"]["requestUuid"] == uuid
    assert a.last["meta"]["errorSources"] == named("agent-A")


@pytest.mark.parametrize("type", ["broadcastRequest", "PrivateChannel.onDisconnect", "whatever.comes"])
def test_r54_a_kind_without_response_gets_the_generic_form(agents, type):
    a, b, _ = agents

    a.send(type, {"unheard": "of"}, source=app("blotter"))

    assert b.inbox == []
    assert a.last["type"] == type
    assert a.last["payload"] == {"error": "MalformedMessage"}


def test_r55_a_malformed_response_counts_as_that_error_and_is_told_to_its_sender(agents):
    a, b, c = agents
    uuid = find(a)
    b.clear()

    b.answer(uuid, "findIntentResponse", {"appIntent": "what?"})
    c.answer(uuid, "findIntentResponse", found("r"))

    assert b.last["payload"] == {"error": "MalformedMessage"}
    assert a.last["meta"]["errorSources"] == named("agent-B")
    assert a.last["meta"]["errorDetails"] == ["MalformedMessage"]


def test_r55_an_answer_of_another_kind_is_malformed(agents):
    a, b, _ = agents
    uuid = open_quotes(a)

    b.answer(uuid, "findIntentResponse", found("q"))

    assert a.last["type"] == "openResponse"
    assert a.last["payload"] == {"error": "MalformedMessage"}


def test_r55_a_malformed_response_to_anothers_question_changes_nothing(agents):
    a, b, c = agents
    uuid = open_quotes(a)

    c.answer(uuid, "openResponse", {"appIdentifier": 1})
    b.answer(uuid, "openResponse", {"appIdentifier": app("quotes")})

    assert "error" not in a.last["payload"]
    assert c.inbox == []


@pytest.mark.parametrize("ask", [open_quotes, raise_intent])
def test_r57_an_agent_that_is_not_there_is_not_found(wire, ask):
    a = wire.agent("agent-A")

    uuid = ask(a)

    assert a.last["payload"] == {"error": "DesktopAgentNotFound"}
    assert a.last["meta"]["requestUuid"] == uuid
    assert a.last["meta"]["errorSources"] == named("agent-B")


# The same uuid twice


def test_a_request_uuid_in_flight_is_not_asked_again(agents):
    a, b, _ = agents
    uuid = open_quotes(a)

    a.send("openRequest", {"app": QUOTES}, source=app("other"), to={"desktopAgent": "agent-B"}, uuid=uuid)
    b.answer(uuid, "openResponse", {"appIdentifier": app("quotes")})

    assert b.types == ["openRequest"]
    assert a.types == ["openResponse"]


def test_the_request_uuid_of_another_is_refused(agents):
    a, b, c = agents
    uuid = open_quotes(a)

    c.send("openRequest", {"app": QUOTES}, source=app("other"), to={"desktopAgent": "agent-B"}, uuid=uuid)
    b.answer(uuid, "openResponse", {"appIdentifier": app("quotes")})

    assert c.last["payload"] == {"error": "MalformedMessage"}
    assert "error" not in a.last["payload"]


# Versions


def test_metadata_of_a_broadcast_reaches_only_those_that_know_it(wire):
    old, new, newer = (wire.agent(f"agent-{version}", fdc3_version=version) for version in ("2.2", "3.0", "3.0"))
    payload = {"channelId": "red", "context": context(), "metadata": {"traceId": "t"}}

    new.send("broadcastRequest", payload, source=app("blotter"))
    old.send("broadcastRequest", {"channelId": "red", "context": context()}, source=app("blotter"))

    assert "metadata" not in old.last["payload"]
    assert [message["payload"]["metadata"] for message in newer.inbox] == [{"traceId": "t"}, {}]


def test_an_error_that_an_older_agent_does_not_know_is_said_in_its_words(wire):
    a, b = wire.agent("agent-A", fdc3_version="2.2"), wire.agent("agent-B", fdc3_version="3.0")
    uuid = find(a)

    b.answer(uuid, "findIntentResponse", {"error": "InvalidArguments"})

    assert a.last["payload"] == {"error": "MalformedMessage"}
