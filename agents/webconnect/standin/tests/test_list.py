import json

import pytest

from agents.webconnect.standin.tests.cast import NOON, TOKYO, connect, get, listed, make_service, problem


def test_it_lists_a_session_in_the_documented_properties():
    service = make_service()
    connect(service, at=1_467_296_520.942, connection_ids=("id1", "id22"), version="2.0.0")

    answer = get(service)

    assert answer.status == 200
    assert json.loads(answer.body) == {
        "totalSize": 1,
        "fetchSize": 1,
        "startIndex": 0,
        "maxResults": 30,
        "status": [
            {
                "agentId": "agent-s1",
                "direction": "send",
                "connectionId": ["id1", "id22"],
                "endpoint": TOKYO,
                "startConnection": "2016-06-30 14:22:00.942",
                "sessionId": "s1",
                "agentVersion": "2.0.0",
                "willBeClosed": False,
                "supportingDisconnectApi": True,
            }
        ],
    }


def test_it_pages():
    service = make_service()
    for number in range(45):
        connect(service, f"s{number}")

    first, second = json.loads(get(service).body), json.loads(get(service, query="startIndex=30").body)

    assert (first["totalSize"], first["fetchSize"], first["maxResults"]) == (45, 30, 30)
    assert (second["totalSize"], second["fetchSize"], second["startIndex"]) == (45, 15, 30)
    ids = [row["sessionId"] for row in first["status"] + second["status"]]
    assert ids == [f"s{number}" for number in range(45)]


@pytest.mark.parametrize(
    "query",
    [
        "startIndex=-1",
        "startIndex=10001",
        "startIndex=x",
        "startIndex=%EF%BC%91",
        "maxResults=0",
        "maxResults=1001",
        "maxResults=1e2",
        "timezone=Mars/Phobos",
        "timezone=../../etc/passwd",
        "timezone=America",
        "from=2026-01-01",
        "to=20260230",
    ],
)
def test_it_refuses_a_bad_parameter_or_takes_the_default_as_switched(query):
    assert problem(get(make_service(), query=query)) == (400, "E920001")

    lenient = make_service(invalid_parameter="fallback")
    connect(lenient)
    assert json.loads(get(lenient, query=query).body)["maxResults"] == 30


@pytest.mark.parametrize("query", ["startIndex=10000", "maxResults=1000", "maxResults=", "timezone=UTC", "other=1"])
def test_it_accepts_the_ends_of_the_ranges_blanks_and_what_it_does_not_know(query):
    assert get(make_service(), query=query).status == 200


def test_it_lists_one_direction():
    service = make_service()
    connect(service, "s1", direction="send")
    connect(service, "r1", direction="receive")

    assert listed(service, path="/agent/status/send") == ["s1"]
    assert listed(service, path="/agent/status/receive") == ["r1"]
    assert listed(service, path="/agent/status/") == ["s1", "r1"]


def test_an_unknown_direction_is_switched():
    service = make_service()
    connect(service)

    assert get(service, "/agent/status/sideways").status == 400
    service.switches.set_all({"invalid-direction": "all"})
    assert listed(service, path="/agent/status/sideways") == ["s1"]
    service.switches.set_all({"invalid-direction": "empty"})
    assert listed(service, path="/agent/status/sideways") == []


def test_the_case_of_the_direction_is_switched():
    service = make_service()
    connect(service)

    assert get(service, "/agent/status/SEND").status == 400
    service.switches.set_all({"direction-case": "insensitive"})
    assert listed(service, path="/agent/status/SEND") == ["s1"]


def test_an_empty_list_is_200_or_204():
    empty = get(make_service())
    assert (empty.status, json.loads(empty.body)["status"]) == (200, [])

    nothing = get(make_service(empty_list="204"))
    assert (nothing.status, nothing.body) == (204, b"")


def test_the_timezone_changes_times_or_not():
    service = make_service()
    connect(service, at=1_467_296_520.942)

    def start() -> str:
        return json.loads(get(service, query="timezone=Asia/Tokyo").body)["status"][0]["startConnection"]

    assert start() == "2016-06-30 23:22:00.942"
    service.switches.set_all({"timezone": "ignored"})
    assert start() == "2016-06-30 14:22:00.942"


def test_the_period_filters_or_not():
    service = make_service()
    connect(service, at=1_467_296_520.942)

    assert listed(service, "from=20160701") == ["s1"]
    service.switches.set_all({"period": "honoured"})
    assert listed(service, "from=20160701") == []
    assert listed(service, "from=20160630&to=20160630") == ["s1"]


def test_the_order_is_switched():
    service = make_service()
    for number in range(50):
        connect(service, f"s{number}", at=NOON + number)
    everything = "maxResults=1000"
    stable = listed(service, everything)

    assert listed(service, everything) == stable
    service.switches.set_all({"order": "newest-first"})
    assert listed(service, everything) == stable[::-1]
    service.switches.set_all({"order": "shuffled"})
    assert listed(service, everything) != listed(service, everything)
    assert sorted(listed(service, everything)) == sorted(stable)


def test_moving_rows_make_a_client_that_pages_miss_some():
    service = make_service(paging="moving")
    for number in range(40):
        connect(service, f"s{number}")

    seen = listed(service, "maxResults=20") + listed(service, "maxResults=20&startIndex=20")

    assert len(seen) == 40
    assert len(set(seen)) < 40
    assert len(set(listed(service, "maxResults=1000"))) == 40


def test_a_parameter_sent_twice_is_switched():
    service = make_service()

    def most() -> int:
        return json.loads(get(service, query="maxResults=5&maxResults=6").body)["maxResults"]

    assert most() == 6
    service.switches.set_all({"duplicate-parameter": "first"})
    assert most() == 5
    service.switches.set_all({"duplicate-parameter": "400"})
    assert get(service, query="maxResults=5&maxResults=6").status == 400


def test_a_list_answers_with_the_content_type_that_is_switched():
    assert get(make_service()).content_type == "application/json"
    assert get(make_service(content_type="text/plain")).content_type == "text/plain"
    assert get(make_service(content_type="absent")).content_type == ""


def test_it_gives_the_service_status():
    body = json.loads(get(make_service(), "/service/status").body)

    assert body["totalStatus"] == "0"
    assert body["totalSize"] == len(body["serviceStatus"]) + len(body["dataTransferSiteStatus"])
    assert body["serviceStatus"][0].keys() == {"region", "endpoint", "status"}
