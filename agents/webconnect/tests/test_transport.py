"""One call on real sockets: whether it left, whether its answer is whole, and that it ends."""

import json
import logging
import socket
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.credentials import Secret
from agents.webconnect import transport
from agents.webconnect.transport import Limits, Lost, NeverLeft
from audit.tests.scripted import Scripted, always, answer, make_certificate

KEY = "k3y-never-to-be-seen-0123456789"
LIMITS = Limits(connect=1, read=5, whole=5)
#: For what must end at the limit of the whole call: each single byte comes well within `read`.
SHORT = Limits(connect=5, read=5, whole=0.4)


def call(url, *, method="POST", limits=LIMITS, **kwargs):
    body = {"sessionId": "s1", "endpoint": "e"} if method == "POST" else None
    return transport.call(method, f"{url}/agent", secret=Secret(KEY), limits=limits, json=body, **kwargs)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_it_brings_status_headers_and_body():
    with Scripted(always(answer(201, b'{"a": 1}', X_Test="yes"))) as server:
        response = call(server.url)

    assert (response.status, response.body, response.headers["x-test"]) == (201, b'{"a": 1}', "yes")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/v2/agent HTTP/1.1") and json.loads(body)["sessionId"] == "s1"
    assert f"Authorization: Bearer {KEY}".encode() in head and b"Accept-Encoding: identity" in head


def test_a_connection_is_used_again():
    with Scripted(always(answer())) as server:
        for _ in range(3):
            call(server.url)

    assert (server.connections, len(server.requests)) == (1, 3)


# --- It never left ------------------------------------------------------------------------------------------------


def test_a_refused_connection_never_left():
    with pytest.raises(NeverLeft, match="refused"):
        call(f"http://127.0.0.1:{free_port()}")


def test_an_unknown_host_never_left(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(NeverLeft, match="resolved"):
        call("http://nowhere.invalid")


def test_a_connection_that_nobody_accepts_never_left():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port, waiting = listening.getsockname()[1], []
        for _ in range(3):  # Fill the backlog, so that the kernel lets the next one wait.
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
            waiting.append(each)
        try:
            with pytest.raises(NeverLeft, match="no connection within 0.3 s"):
                call(f"http://127.0.0.1:{port}", limits=Limits(0.3, 5, 5))
        finally:
            for each in waiting:
                each.close()


def test_a_certificate_that_nobody_vouches_for_never_left(tmp_path):
    context, _ = make_certificate(tmp_path)
    with Scripted(always(answer()), tls=context) as server, pytest.raises(NeverLeft, match="TLS"):
        call(server.url)

    assert server.requests == []


def test_a_server_without_tls_never_left():
    with Scripted(always(answer())) as server, pytest.raises(NeverLeft):
        call(server.url.replace("http:", "https:"))


def test_a_trickled_handshake_ends_at_the_limit_and_never_left():
    trickled_before_it_left(b"\x16\x03\x03\x3f\xff" + b"\x02" * 400, tls=True)


def test_a_trickled_tunnel_of_a_proxy_ends_at_the_limit_and_never_left():
    trickled_before_it_left(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 400, tls=False)


def trickled_before_it_left(data, *, tls):
    sent = []

    def script(peer):
        peer.connection.recv(65536)
        for byte in data:
            peer.trickle(bytes([byte]))
            sent.append(byte)

    with Scripted(script) as server, pytest.raises(NeverLeft, match="no whole answer within"):
        url, proxy = (server.url.replace("http:", "https:"), "") if tls else ("https://127.0.0.1:1", server.url)
        call(url, limits=SHORT, proxy=proxy)

    assert len(sent) < 60, "it was ended, and did not only find out in the end"


def test_it_asks_right_before_the_first_byte_whether_it_still_may():
    asked = []
    with Scripted(always(answer())) as server:
        with pytest.raises(NeverLeft, match="over before it could be sent"):
            call(server.url, still_ours=lambda: bool(asked.append(server.connections)))
        assert call(server.url, still_ours=lambda: True).status == 200

    assert len(asked) == 1 and len(server.requests) == 1


# --- Its answer is lost -------------------------------------------------------------------------------------------


def lost(script, match=None, limits=LIMITS, **kwargs):
    with Scripted(script) as server, pytest.raises(Lost, match=match) as caught:
        call(server.url, limits=limits, **kwargs)
    assert len(server.requests) == 1, "an answer that is lost is asked for once"
    return str(caught.value)


def test_a_connection_cut_after_the_request_is_lost():
    lost(lambda peer: peer.request(), "broke")


def test_a_connection_reset_after_the_request_is_lost():
    lost(lambda peer: (peer.request(), peer.reset()), "broke")


def test_an_answer_shorter_than_it_said_is_lost():
    lost(lambda peer: (peer.request(), peer.send(answer(200, b"{}", length=False, Content_Length=500))), "broke")


def test_an_answer_cut_within_its_chunks_is_lost():
    begun = answer(200, b"5\r\n{\r", length=False, Transfer_Encoding="chunked")
    lost(lambda peer: (peer.request(), peer.send(begun)), "broke")


def test_what_is_not_http_is_lost():
    lost(lambda peer: (peer.request(), peer.send(b"\x00\xff SSH-2.0 hello\r\n\r\n")))


def test_silence_is_lost():
    lost(lambda peer: (peer.request(), time.sleep(3)), "no answer for 0.3 s", Limits(1, 0.3, 5))


def test_trickled_headers_end_at_the_limit():
    lost(lambda peer: (peer.request(), peer.trickle(answer(200, b"{}", X_Long="a" * 500))), "within 0.4 s", SHORT)


def test_a_trickled_body_ends_at_the_limit():
    lost(lambda peer: (peer.request(), peer.trickle(answer(200, b" " * 500))), "within 0.4 s", SHORT)


def test_a_trickled_body_without_a_length_is_not_taken_for_whole():
    """The end that the watchdog makes would look like the answer's own: 200 with an empty body."""

    def script(peer):
        peer.request()
        peer.send(answer(200, length=False))
        peer.trickle(b" " * 200)

    lost(script, "within 0.4 s", SHORT)


def test_a_trickled_answer_over_tls_ends_at_the_limit(tmp_path):
    context, trusted = make_certificate(tmp_path)

    def script(peer):
        peer.request()
        peer.trickle(answer(200, b" " * 500))

    with Scripted(script, tls=context) as server, pytest.raises(Lost, match="within 0.4 s"):
        call(server.url, limits=SHORT, ca_bundle=trusted)


def test_a_body_beyond_8_mb_is_lost():
    lost(lambda peer: (peer.request(), peer.send(answer(200, b"[" * 8_000_001))), "larger than 8 MB")


def test_a_body_of_8_mb_is_not():
    with Scripted(always(answer(200, b" " * 8_000_000))) as server:
        assert len(call(server.url).body) == 8_000_000


def test_a_compressed_answer_is_lost():
    lost(lambda peer: (peer.request(), peer.send(answer(200, b"\x1f\x8b", Content_Encoding="gzip"))), "compressed")


def test_a_connection_that_went_stale_is_made_anew():
    closed = threading.Event()

    def script(peer):
        peer.request()
        peer.send(answer())
        peer.connection.close()
        closed.set()

    with Scripted(script) as server:
        call(server.url)
        assert closed.wait(5)
        time.sleep(0.05)
        call(server.url)

    assert server.connections == 2


def test_after_a_lost_answer_the_next_call_is_whole():
    turns = iter([lambda peer: peer.trickle(b"HTTP/1.1 200 OK\r\n" * 9), lambda peer: peer.send(answer(200, b"{}"))])

    def script(peer):
        peer.request()
        next(turns)(peer)

    with Scripted(script) as server:
        with pytest.raises(Lost):
            call(server.url, limits=SHORT)
        assert call(server.url).body == b"{}"


# --- What it does not do ------------------------------------------------------------------------------------------


def test_it_follows_no_redirect():
    with Scripted(always(answer(200))) as elsewhere, Scripted(always(answer(302, Location=elsewhere.url))) as server:
        assert call(server.url).status == 302

    assert elsewhere.requests == []


def test_it_keeps_no_cookie():
    with Scripted(always(answer(200, Set_Cookie="session=1; Path=/"))) as server:
        call(server.url)
        call(server.url)

    assert not any(b"cookie" in each.lower() for each in server.requests)


def test_it_reads_neither_netrc_nor_the_environments_proxy(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login mallory password stolen\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with Scripted(always(answer(502))) as proxy, Scripted(always(answer())) as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        assert call(server.url).status == 200

    assert proxy.requests == []
    assert f"Bearer {KEY}".encode() in server.requests[0] and b"Basic" not in server.requests[0]


def test_a_sources_own_proxy_is_used():
    with Scripted(always(answer(200, b"{}"))) as proxy:
        response = call("http://127.0.0.1:1/api/v2", proxy=f"http://127.0.0.1:{proxy.port}")

    assert response.status == 200
    assert proxy.requests[0].startswith(b"POST http://127.0.0.1:1/api/v2/agent")


def test_a_proxy_that_refuses_a_tunnel_never_left():
    with Scripted(always(answer(403))) as proxy, pytest.raises(NeverLeft, match="proxy"):
        call("https://127.0.0.1:1/api/v2", proxy=f"http://127.0.0.1:{proxy.port}")

    assert proxy.requests[0].startswith(b"CONNECT") and KEY.encode() not in proxy.requests[0]


def test_a_sources_ca_bundle_is_trusted_also_against_the_environments(tmp_path, monkeypatch):
    context, trusted = make_certificate(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    with Scripted(always(answer(204)), tls=context) as server:
        assert call(server.url, ca_bundle=trusted).status == 204


@pytest.mark.parametrize(
    "script",
    [
        lambda peer: peer.request(),
        lambda peer: (peer.request(), peer.send(b"garbage\r\n\r\n")),
        lambda peer: (peer.request(), peer.trickle(answer(200, b" " * 500))),
        None,
    ],
)
def test_the_key_is_in_no_error_and_no_log(script, caplog):
    caplog.set_level(logging.DEBUG)
    with Scripted(script or always(answer())) as server:
        url = server.url if script else f"http://127.0.0.1:{free_port()}"
        with pytest.raises((Lost, NeverLeft)) as caught:
            call(url, limits=SHORT)

    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=False).format())
    assert caught.value.__cause__ is None and caught.value.__suppress_context__
    assert KEY not in told + repr(caught.value) + caplog.text
    assert KEY not in repr(Secret(KEY)) + str(Secret(KEY)) + f"{Secret(KEY)}"


def test_one_watchdog_ends_many_calls():
    def one(number):
        limits = Limits(5, 5, 0.2 + 0.02 * number)
        with pytest.raises(Lost, match="no whole answer"):
            call(server.url, limits=limits)
        return True

    def script(peer):
        peer.request()
        peer.trickle(answer(200, b" " * 5000))

    with Scripted(script) as server, ThreadPoolExecutor(16) as threads:
        assert all(threads.map(one, range(24)))
    assert len([each for each in threading.enumerate() if each.name == "call-watchdog"]) == 1
