"""Each fault as a client meets it: real sockets, a real process."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

STATUS = "agent-status"
POST = "agent-disconnection"


def disconnect(standin, client, timeout=5.0):
    (row,) = standin.sessions()
    order = {"sessionId": row["sessionId"], "endpoint": row["endpoint"]}
    return client.post(f"{standin.base_url}/agent/disconnection", json=order, timeout=timeout)


def read(standin, client, timeout=5.0, **options):
    return client.get(f"{standin.base_url}/agent/status", timeout=timeout, **options)


@pytest.fixture
def one(standin):
    standin.add_sessions(1, agentVersion="3.1.0")


def closing(standin):
    return [row["willBeClosed"] for row in standin.sessions()]


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize(("kind", "done"), [("cut-before", False), ("cut-after", True)])
def test_a_cut_loses_the_answer_and_the_log_knows_what_was_done(standin, client, kind, done):
    standin.fault(kind, POST)

    with pytest.raises(requests.ConnectionError):
        disconnect(standin, client)

    (arrival,) = standin.disconnections()
    assert (arrival["status"], arrival["applied"], arrival["fault"]) == (None, done, kind)
    assert closing(standin) == [done]
    assert disconnect(standin, client).status_code == 200


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("done", [True, False])
def test_a_hang_answers_nothing(standin, client, done):
    standin.fault("hang", POST, applies=done)

    with pytest.raises(requests.ReadTimeout):
        disconnect(standin, client, timeout=0.2)

    assert closing(standin) == [done]


@pytest.mark.usefixtures("one")
def test_what_a_fault_holds_is_let_go_when_faults_are_cleared(standin, client):
    standin.fault("hang", POST)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(disconnect, standin, client, 30)
        while not standin.disconnections():
            pass
        standin.clear_faults()

        with pytest.raises(requests.ConnectionError):
            waiting.result(5)


@pytest.mark.usefixtures("one")
def test_a_trickle_outlives_every_read_time_out(standin, client):
    standin.fault("trickle", POST, seconds=0.01)

    with disconnect_streaming(standin, client) as answer:
        assert answer.status_code == 200
        assert [answer.raw.read(1) for _ in range(20)] == [b" "] * 20
    assert closing(standin) == [False]


def disconnect_streaming(standin, client):
    (row,) = standin.sessions()
    order = {"sessionId": row["sessionId"], "endpoint": row["endpoint"]}
    url = f"{standin.base_url}/agent/disconnection"
    return client.post(url, json=order, timeout=1, stream=True)


@pytest.mark.usefixtures("one")
@pytest.mark.parametrize("kind", ["late", "latency"])
def test_latency_comes_before_the_deed_and_a_late_answer_after_it(standin, client, kind):
    standin.fault(kind, POST, seconds=30)

    with pytest.raises(requests.ReadTimeout):
        disconnect(standin, client, timeout=0.3)

    assert closing(standin) == [kind == "late"]


@pytest.mark.usefixtures("one")
def test_latency_delays_the_true_answer(standin, client):
    standin.fault("latency", POST, seconds=0.2)

    answer = disconnect(standin, client)

    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.2


@pytest.mark.usefixtures("one")
def test_a_status_of_any_kind(standin, client):
    standin.fault("status", POST, status=500, times=2)
    standin.fault("status", POST, status=429, retry_after="7", body='{"code":"X000001"}')
    standin.fault("status", POST, status=503, applies=True)

    assert [disconnect(standin, client).status_code for _ in range(2)] == [500, 500]
    refused = disconnect(standin, client)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert refused.json() == {"code": "X000001"}
    assert closing(standin) == [False]
    assert disconnect(standin, client).status_code == 503
    assert closing(standin) == [True]


@pytest.mark.usefixtures("one")
def test_bodies_that_are_not_json(standin, client):
    standin.fault("html", POST)
    standin.fault("not-json", POST)
    standin.fault("invalid-json", STATUS)

    html = disconnect(standin, client)
    assert (html.status_code, len(html.content)) == (200, 5_000_000)
    assert html.headers["Content-Type"].startswith("text/html")
    for answer in (disconnect(standin, client), read(standin, client)):
        assert answer.status_code == 200
        with pytest.raises(requests.JSONDecodeError):
            answer.json()
    assert closing(standin) == [False]


def test_garbage_and_a_wrong_length_break_the_protocol(standin, client):
    standin.fault("garbage", STATUS)
    standin.fault("wrong-length", STATUS)

    with pytest.raises(requests.ConnectionError):
        read(standin, client)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        read(standin, client)


def test_bodies_that_are_far_too_large(standin, client):
    standin.fault("huge-list", STATUS, rows=50_000)
    standin.fault("gzip-bomb", STATUS, bytes=20_000_000)

    assert len(read(standin, client).json()["status"]) == 50_000
    bomb = read(standin, client)
    assert int(bomb.headers["Content-Length"]) < 200_000
    assert len(bomb.content) == 20_000_000


def test_a_redirect(standin, client):
    standin.fault("redirect", STATUS, location="http://127.0.0.1:9/")

    answer = read(standin, client, allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/")


@pytest.mark.usefixtures("one")
def test_a_slow_body_is_whole_in_the_end(standin, client):
    standin.fault("slow-body", STATUS, seconds=0.1)

    assert read(standin, client).json()["fetchSize"] == 1


def raw_request(standin, method="GET", path="/agent/status", body=""):
    connection = socket.create_connection(("127.0.0.1", standin.port), timeout=5)
    head = f"{method} /api/v2{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {standin.full_key}\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    return connection


def test_headers_that_never_end(standin):
    standin.fault("trickle-headers", STATUS, seconds=0.001)

    with raw_request(standin) as connection:
        received = b""
        while len(received) < 100:
            received += connection.recv(100)

    assert received.startswith(b"HTTP/1.1 200 OK\r\nX-Slow: xxx")
    assert b"\r\n\r\n" not in received


@pytest.mark.usefixtures("one")
def test_a_cut_within_the_body_or_without_one_within_the_headers(standin, client):
    standin.fault("cut-midway", times=2)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        read(standin, client)

    (row,) = standin.sessions()
    order = json.dumps({"sessionId": row["sessionId"], "endpoint": row["endpoint"]})
    with raw_request(standin, "POST", "/agent/disconnection", order) as connection:
        received = connection.makefile("rb").read()
    assert received.startswith(b"HTTP/1.1 200") and b"\r\n\r\n" not in received
    assert closing(standin) == [True]


@pytest.mark.usefixtures("one")
def test_hostile_rows_travel_as_json(standin, client):
    standin.fault("hostile-rows", STATUS)

    rows = read(standin, client).json()["status"]

    assert len(rows) > 40
    assert read(standin, client).json()["fetchSize"] == 1


@pytest.mark.usefixtures("one")
def test_a_session_may_end_by_itself_just_before_the_call(standin, client):
    standin.fault("ends-first", POST)

    answer = disconnect(standin, client)

    assert (answer.status_code, answer.json()["code"]) == (400, "E930002")
    assert standin.sessions() == []
