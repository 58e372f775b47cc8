import json

import pytest

from agents.webconnect.standin.service import BASE, Request
from agents.webconnect.standin.tests.cast import (
    FULL_KEY,
    NOON,
    connect,
    get,
    listed,
    make_service,
    post,
    problem,
)


def closing(service, session_id="s1"):
    rows = json.loads(get(service).body)["status"]
    return {row["sessionId"]: row["willBeClosed"] for row in rows}.get(session_id)


def test_it_marks_the_session_and_ends_it_after_the_delay():
    service = make_service(closing_delay="3")
    connect(service)
    assert closing(service) is False

    answer = post(service)

    assert (answer.status, answer.body) == (200, b"")
    assert closing(service) is True
    assert listed(service, at=NOON + 2.9) == ["s1"]
    assert listed(service, at=NOON + 3) == []


def test_without_a_delay_the_session_is_gone_with_the_answer():
    service = make_service(closing_delay="0")
    connect(service)

    post(service)

    assert listed(service) == []


def test_it_may_never_end():
    service = make_service(closing="never")
    connect(service)

    post(service)

    assert listed(service, at=NOON + 1e6) == ["s1"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"sessionId": "nobody"}, "E930001"),
        ({"endpoint": "elsewhere.webconnect.hulft.com"}, "E930003"),
        ({"sessionId": ""}, "E920002"),
        ({"sessionId": 5}, "E920002"),
        ({"endpoint": None}, "E920002"),
    ],
)
def test_it_refuses_what_does_not_name_a_session(body, code):
    service = make_service()
    connect(service)

    assert problem(post(service, **body)) == (400, code)
    assert closing(service) is False


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_it_refuses_a_body_that_is_no_order(body):
    order = Request("POST", f"{BASE}/agent/disconnection", "", f"Bearer {FULL_KEY}", body)

    assert problem(make_service().answer(order, NOON)) == (400, "E920002")


def test_an_unknown_session_is_switched():
    assert problem(post(make_service(unknown_session="404"))) == (404, "E930001")
    assert post(make_service(unknown_session="200")).status == 200


def test_an_ended_session_is_switched():
    service = make_service(closing_delay="0", ended_session="404")
    connect(service)
    post(service)

    assert problem(post(service)) == (404, "E930002")


@pytest.mark.parametrize(
    ("value", "status", "ends"), [("404", 404, False), ("ignored", 200, False), ("closes", 200, True)]
)
def test_a_wrong_endpoint_is_switched(value, status, ends):
    service = make_service(wrong_endpoint=value)
    connect(service)

    assert post(service, endpoint="elsewhere.webconnect.hulft.com").status == status
    assert closing(service) is ends


@pytest.mark.parametrize(
    ("value", "status", "ends"),
    [
        ("400", 400, False),
        ("403", 403, False),
        ("405", 405, False),
        ("ignored", 200, False),
        ("closes", 200, True),
    ],
)
def test_an_agent_that_does_not_support_it_is_switched(value, status, ends):
    service = make_service(unsupported_agent=value)
    connect(service, version="1.1.0", supports_disconnection=False)

    assert post(service).status == status
    assert closing(service) is ends


def test_a_second_request_is_switched_and_never_prolongs_the_first():
    service = make_service(closing_delay="10")
    connect(service)
    post(service)

    assert post(service, at=NOON + 5).status == 200
    service.switches.set_all({"second-request": "400"})
    assert problem(post(service, at=NOON + 6)) == (400, "E930005")
    assert listed(service, at=NOON + 10) == []


def returned(service, at):
    return json.loads(get(service, at=at).body)["status"]


def test_the_agent_stays_away():
    service = make_service()
    connect(service)
    post(service)

    assert returned(service, NOON + 1e6) == []


def test_the_agent_returns_with_a_new_session():
    service = make_service(after_disconnection="new-session", closing_delay="3", return_delay="30")
    connect(service)
    post(service)

    assert returned(service, NOON + 32.9) == []
    (row,) = returned(service, NOON + 33)
    assert row["agentId"] == "agent-s1"
    assert row["sessionId"] != "s1"
    assert len(row["sessionId"]) == 40


def test_the_agent_returns_under_the_same_session_id_with_a_later_start():
    service = make_service(after_disconnection="same-session", closing_delay="3", return_delay="30")
    connect(service)
    (before,) = returned(service, NOON)
    post(service)

    (after,) = returned(service, NOON + 33)

    assert after["sessionId"] == "s1"
    assert after["startConnection"] > before["startConnection"]
    assert after["willBeClosed"] is False


def test_the_agent_returns_while_its_old_session_is_closing():
    service = make_service(after_disconnection="while-closing", closing_delay="10")
    connect(service)
    post(service)

    rows = returned(service, NOON + 6)

    assert [row["agentId"] for row in rows] == ["agent-s1", "agent-s1"]
    assert [row["willBeClosed"] for row in rows] == [True, False]
    assert [row["sessionId"] for row in returned(service, NOON + 10)] == [rows[1]["sessionId"]]


def test_closing_an_old_session_leaves_one_that_uses_its_id_again():
    service = make_service(closing_delay="10")
    old = connect(service)
    post(service)
    service.connections.end(old, NOON + 1)
    connect(service, at=NOON + 2)

    assert listed(service, at=NOON + 60) == ["s1"]


def test_the_answer_may_wait_for_the_end_and_may_have_a_body():
    service = make_service(answer_when="closed", closing_delay="4", success_status="202", success_body="json")
    connect(service)

    answer = post(service)

    assert (answer.status, answer.body, answer.hold) == (202, b"{}", 4)


def test_an_unknown_property_is_ignored_or_refused():
    service = make_service()
    connect(service)
    assert post(service, reason="tidy").status == 200

    strict = make_service(unknown_property="400")
    connect(strict)
    assert problem(post(strict, reason="tidy")) == (400, "E920002")


def logs(service, at):
    return json.loads(get(service, "/relay/log", at=at).body)["logs"]


@pytest.mark.parametrize(("value", "expected"), [("2", ["2"]), ("1", ["1"]), ("absent", [])])
def test_a_transfer_that_is_cut_is_logged_as_switched(value, expected):
    service = make_service(cut_transfer_status=value)
    sender, receiver = connect(service), connect(service, "r1", direction="receive")
    service.connections.relay_log.begin(sender, receiver, NOON)
    post(service)

    assert logs(service, NOON) == []
    assert [row["status"] for row in logs(service, NOON + 3)] == expected


def test_the_relay_log_filters_and_is_newest_first():
    service = make_service()
    sender, receiver = connect(service), connect(service, "r1", direction="receive")
    relay_log = service.connections.relay_log
    for number in range(3):
        relay_log.finish(relay_log.begin(sender, receiver, NOON + number), NOON + 60 + number)

    rows = logs(service, NOON + 90)

    assert [row["startTime"] for row in rows] == sorted((row["startTime"] for row in rows), reverse=True)
    assert all(isinstance(value, str) for row in rows for value in row.values())
    (one,) = json.loads(get(service, f"/relay/log/{rows[1]['processingId']}").body)["logs"]
    assert one == rows[1]
    by_file = json.loads(get(service, "/relay/log", f"fileId={rows[0]['fileId']}").body)["logs"]
    assert rows[0] in by_file
    assert {row["fileId"] for row in by_file} == {rows[0]["fileId"]}
