"""Who gets a socket: what a browser, a rebound name or a confused client asks for, and how it is answered."""

import pytest

from bridge.tests.sockets import PATIENCE, Agent, Socket, in_a_loop, running, until

SITE = "https://app.example"


@in_a_loop
async def test_r7_it_lets_a_desktop_agent_in_and_says_hello_first():
    async with running() as server:
        agent = await Socket.open(server.port)

        assert (await agent.message())["type"] == "hello"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:4475", "127.0.0.1:9", "[::1]:4475", "[::1]"])
def test_it_knows_itself_by_each_loopback_name(host):
    @in_a_loop
    async def scenario():
        async with running() as server:
            await Socket.open(server.port, headers={"Host": host})

    scenario()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://127.0.0.1:4475"}, 403),
        ({"origin": SITE + ".evil.example"}, 403),
        ({"Origin": SITE + "/"}, 403),
        ({"Host": "evil.example:4475"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost\r\nHost: evil.example"}, 403),
        ({"Host": None}, 403),
        ({"Host": ""}, 403),
        ({"Sec-WebSocket-Version": "8", "Sec-WebSocket-Origin": "https://evil.example"}, 426),
        ({"Sec-WebSocket-Version": None}, 426),
        ({"Sec-WebSocket-Key": None}, 400),
        ({"Sec-WebSocket-Key": "short"}, 400),
        ({"Sec-WebSocket-Key": "\udcff\udcff"}, 400),
        ({"Upgrade": None}, 400),
        ({"Upgrade": "h2c"}, 400),
        ({"Connection": "close"}, 400),
        ({"Content-Length": "5"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
        ({"bad name": "x"}, 400),
        ({"X": "\x00"}, 400),
    ],
)
def test_it_refuses_a_bad_upgrade(headers, status):
    @in_a_loop
    async def scenario():
        async with running(allowed_origins=frozenset({SITE})) as server:
            opened = await Socket.connect(server.port)
            answer, _ = await opened.upgrade(server.port, headers)

            assert answer == status
            await Agent.join(server.port)

    scenario()


def test_a_page_that_tries_again_and_again_does_not_fill_the_log(monkeypatch, caplog):
    monkeypatch.setattr("bridge.server.server.REFUSED_BURST", 5.0)
    monkeypatch.setattr("bridge.server.server.REFUSED_RATE", 0.001)

    @in_a_loop
    async def scenario():
        async with running() as server:
            for _ in range(20):
                assert (await (await Socket.connect(server.port)).upgrade(server.port, {"Origin": SITE}))[0] == 403

    scenario()

    assert caplog.text.count("A connection was refused") == 5


@in_a_loop
async def test_a_page_connects_where_its_origin_is_allowed():
    async with running(allowed_origins=frozenset({SITE})) as server:
        # As Firefox sends it.
        headers = {"Origin": SITE, "Connection": "keep-alive, Upgrade"}
        await Socket.open(server.port, headers=headers)

        with pytest.raises(ConnectionRefusedError):
            await Socket.open(server.port, headers={**headers, "Origin": f"{SITE}\r\nOrigin: https://evil.example"})


@in_a_loop
async def test_it_agrees_on_no_extension_and_no_subprotocol():
    async with running() as server:
        opened = await Socket.connect(server.port)
        offers = {"Sec-WebSocket-Extensions": "permessage-deflate", "Sec-WebSocket-Protocol": "fdc3"}
        opened.request(server.port, offers)
        head = await opened.reader.readuntil(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 101") and b"deflate" not in head and b"rotocol:" not in head


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\n\xff\xfe: \xff\r\n\r\n",
        b"GET /" + b"x" * 100_000,
        b"\x81\x85\x00\x00\x00\x00hello\r\n\r\n",
    ],
)
def test_it_ends_what_is_no_upgrade_request(request_bytes):
    @in_a_loop
    async def scenario():
        async with running() as server:
            opened = await Socket.connect(server.port)
            opened.raw(request_bytes)

            assert not (await _rest(opened)).startswith(b"HTTP/1.1 101")
            await Agent.join(server.port)

    scenario()


@in_a_loop
async def test_it_ends_a_connection_that_says_nothing():
    async with running(upgrade_within=0.1) as server:
        silent = [await Socket.connect(server.port) for _ in range(5)]
        silent[0].raw(b"GET / HTTP/1.1\r\n")

        for each in silent:
            await _rest(each)
        await until(lambda: server.snapshot().open_sockets == 0)


@in_a_loop
async def test_it_takes_so_many_connections_and_no_more():
    async with running(max_sockets=3, upgrade_within=10 * PATIENCE) as server:
        agents = [await Agent.join(server.port, name) for name in "ABC"]

        fourth = await Socket.connect(server.port)
        assert await _rest(fourth) == b""

        agents[0].abort()
        await agents[1].until("connectedAgentsUpdate")
        await until(lambda: server.snapshot().open_sockets == 2)
        await Agent.join(server.port, "D")


@in_a_loop
async def test_it_lets_only_so_many_wait_before_their_handshake():
    async with running(max_joining=2) as server:
        await Agent.join(server.port)
        waiting = [await Socket.open(server.port) for _ in range(2)]

        with pytest.raises(ConnectionRefusedError, match="503"):
            await Socket.open(server.port)

        waiting[0].abort()
        await until(lambda: server.snapshot().open_sockets == 2)
        await Agent.join(server.port, "B")


@in_a_loop
async def test_it_ends_a_socket_without_a_handshake():
    async with running(hub={"handshake_timeout": 0.1}) as server:
        opened = await Socket.open(server.port)

        assert (await opened.ended()).code == 1008
        await until(lambda: server.snapshot().open_sockets == 0)


async def _rest(opened):
    """All that comes until the bridge closes the connection, as it must."""
    try:
        return await opened.reader.read()
    except ConnectionError:
        return b""
