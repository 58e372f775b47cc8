import os
import socket
import time

import pytest
import requests


def order(standin, session_id):
    (row,) = [row for row in standin.sessions() if row["sessionId"] == session_id]
    return {"sessionId": session_id, "endpoint": row["endpoint"]}


def raw(standin, data):
    """Everything the stand-in says to these bytes before it closes."""
    with socket.create_connection(("127.0.0.1", standin.port), timeout=5) as connection:
        connection.sendall(data)
        answer = b""
        while received := connection.recv(65_536):
            answer += received
        return answer


def test_a_session_is_listed_disconnected_and_gone(standin, client):
    (session_id,) = standin.add_sessions(1, agentVersion="3.1.0")
    url = f"{standin.base_url}/agent/disconnection"

    answer = client.post(url, json=order(standin, session_id), timeout=5)

    assert (answer.status_code, answer.content) == (200, b"")
    (row,) = client.get(f"{standin.base_url}/agent/status", timeout=5).json()["status"]
    assert (row["sessionId"], row["willBeClosed"]) == (session_id, True)
    standin.advance(3)
    assert client.get(f"{standin.base_url}/agent/status", timeout=5).json()["status"] == []


def test_the_log_tells_which_posts_arrived_and_when(standin, client):
    first, second = standin.add_sessions(2, agentVersion="3.1.0")
    before = time.monotonic()
    client.post(f"{standin.base_url}/agent/disconnection", json=order(standin, first), timeout=5)

    (arrival,) = standin.disconnections(first)

    assert before < arrival["monotonic"] < time.monotonic()
    assert abs(arrival["received"] - time.time()) < 5
    assert (arrival["status"], arrival["key"], arrival["applied"]) == (200, "all", True)
    assert standin.disconnections(second) == []
    assert standin.requests(after=arrival["number"]) == []


def test_no_secret_is_in_the_log_the_state_or_the_page(standin, client):
    client.get(f"{standin.base_url}/agent/status", timeout=5)

    page = requests.get(f"http://127.0.0.1:{standin.port}/", timeout=5).text
    shown = repr((standin.requests(), standin.state(), page))

    for secret in (standin.read_key, standin.disconnect_key, standin.full_key):
        assert secret not in shown


def test_no_secret_is_in_the_process_list(standin):
    if not os.path.exists("/proc"):
        pytest.skip("no /proc here")
    with open(f"/proc/{standin.pid}/cmdline") as file:
        assert standin.full_key not in file.read()


def test_it_keeps_connections(standin):
    request = b"GET /api/v2/agent/status HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /api/v2/agent/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

    assert raw(standin, request + request + last).count(b"HTTP/1.1 401") == 3


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000, b"431"),
        (b"POST /api/v2/agent/disconnection HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n", b"413"),
        (b"POST /control/faults HTTP/1.1\r\nHost: x\r\nContent-Length: 20000001\r\n\r\n", b"413"),
    ],
)
def test_bad_http_gets_an_error_and_the_connection_ends(standin, data, status):
    answer = raw(standin, data)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b'"code":"E9' in answer


def test_a_body_that_grows_too_long_is_refused(standin):
    head = b"POST /api/v2/agent/disconnection HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

    answer = raw(standin, head + b"186a0\r\n" + b"x" * 100_000 + b"\r\n" + b"f4240\r\n" + b"x" * 1_000_000)

    assert answer.startswith(b"HTTP/1.1 413")


def test_head_has_no_body(standin):
    data = b"HEAD / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"

    head, _, body = raw(standin, data).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 405")
    assert body == b""


def test_it_is_steered_by_programs_on_this_machine_only(standin):
    url = f"http://127.0.0.1:{standin.port}"

    def status(path="/control/state", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(url + path, headers=headers, timeout=5).status_code

    assert status() == 200
    assert status(Host="localhost") == 200
    assert status(Origin=url, Sec_Fetch_Site="same-origin") == 200
    assert status(Sec_Fetch_Site="none", path="/") == 200
    assert status(Host="rebound.example") == 403
    assert status(Host="rebound.example", path="/") == 403
    assert status(Host="127.0.0.1.rebound.example") == 403
    assert status(Origin="https://elsewhere.example") == 403
    assert status(Origin="null") == 403
    assert status(Sec_Fetch_Site="cross-site") == 403
    assert status(Sec_Fetch_Site="same-site") == 403


def test_it_listens_on_loopback_only(standin):
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    others = addresses - {"127.0.0.1", "127.0.1.1"}
    if not others:
        pytest.skip("this machine has no other address")

    with pytest.raises(OSError):
        socket.create_connection((others.pop(), standin.port), timeout=2)
