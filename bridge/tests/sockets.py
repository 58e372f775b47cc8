"""A bridge on a real port, and agents on sockets of their own that may break every rule of RFC 6455.

Each test runs in a thread of its own: a browser test may have left its event loop running in this one.
"""

import asyncio
import functools
import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from uuid import uuid4

from bridge.protocol.settings import HubSettings
from bridge.server.server import BridgeServer
from bridge.server.settings import BridgeSettings

PATIENCE = 20.0
NOW = "2026-11-21T21:00:00.000Z"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FEATURES = {"OriginatingAppMetadata": True, "UserChannelMembershipAPIs": True, "DesktopAgentBridging": True}

#: Waits as short as they can be where a test waits for them to be over.
SHORT = {"close_within": 0.2, "ping_after": 0.3, "pong_within": 0.3, "upgrade_within": 0.2}


_opened = []


def in_a_loop(test):
    """For a test that is a coroutine; it fails where it takes too long."""

    @functools.wraps(test)
    def run(*args, **kwargs):
        async def bounded():
            failures = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
            try:
                async with asyncio.timeout(PATIENCE):
                    await test(*args, **kwargs)
            finally:
                _abort_all()
                await asyncio.sleep(0)
            assert failures == []

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, bounded()).result()

    return run


@asynccontextmanager
async def running(*, hub=None, verify=None, own_token=None, on_note=lambda note: None, **settings):
    """A bridge on a port that the system chose."""
    settings = BridgeSettings(**{"first_port": 0, "last_port": 0, **settings})
    server = BridgeServer(settings, HubSettings(**(hub or {})), verify=verify, own_token=own_token, on_note=on_note)
    await server.start()
    try:
        yield server
    finally:
        _abort_all()
        await server.close()


def _abort_all():
    while _opened:
        _opened.pop().abort()


class Ended(Exception):
    """The socket was closed; with which code (None: without a close frame) and reason."""

    def __init__(self, code, reason):
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Socket:
    """A client that sends what a test says, frame by frame or byte by byte."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        _opened.append(self)

    @classmethod
    async def connect(cls, port):
        """Not upgraded."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    @classmethod
    async def open(cls, port, *, headers=None, receive_buffer=None):
        """Upgraded, with these headers too."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        except OSError:
            sock.close()
            raise
        opened = cls(*await asyncio.open_connection(sock=sock, limit=receive_buffer or 2**16))
        status, body = await opened.upgrade(port, headers or {})
        if status != 101:
            opened.abort()
            raise ConnectionRefusedError(status, body)
        return opened

    def request(self, port, headers):
        self.raw(upgrade_request(port, headers))

    async def upgrade(self, port, headers):
        """The status of the answer, and its body where it is no upgrade."""
        self.request(port, headers)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status = int(head.split()[1])
        return status, "" if status == 101 else (await self.reader.read()).decode()

    def raw(self, data):
        self.writer.write(data)

    def frame(self, opcode, payload=b"", *, fin=True, rsv=0, masked=True, size=None):
        """`size` where the header is to lie about it."""
        size = len(payload) if size is None else size
        head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
        bit = 0x80 if masked else 0
        if size < 126:
            head += bytes([bit | size])
        elif size < 65536:
            head += bytes([bit | 126]) + size.to_bytes(2)
        else:
            head += bytes([bit | 127]) + size.to_bytes(8)
        if masked:
            mask = os.urandom(4)
            key = int.from_bytes((mask * (len(payload) // 4 + 1))[: len(payload)])
            payload = mask + (int.from_bytes(payload) ^ key).to_bytes(len(payload))
        self.raw(head + payload)

    def send(self, message):
        self.frame(TEXT, message if isinstance(message, bytes) else json.dumps(message).encode())

    async def receive(self):
        """The next frame: its opcode and payload; raises `Ended`."""
        try:
            first, second = await self.reader.readexactly(2)
            assert first & 0x70 == 0 and second & 0x80 == 0
            size = second
            if size >= 126:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
            payload = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise Ended(None, "") from None
        if first & 0x0F == CLOSE:
            self.frame(CLOSE, payload[:2])
            raise Ended(int.from_bytes(payload[:2]), payload[2:].decode())
        return first & 0x0F, payload

    async def message(self):
        """The next text message, read; pings before it are answered."""
        while True:
            opcode, payload = await self.receive()
            if opcode == TEXT:
                return json.loads(payload)
            if opcode == PING:
                self.frame(PONG, payload)

    async def until(self, wanted):
        """The next message of that type; what comes before it is dropped."""
        while (message := await self.message())["type"] != wanted:
            pass
        return message

    async def ended(self):
        """How the bridge ends it, whatever comes before."""
        try:
            while True:
                await self.message()
        except Ended as ended:
            return ended

    def abort(self):
        self.writer.transport.abort()


def upgrade_request(port, headers):
    """`headers` go over those that belong to an upgrade; None leaves one away."""
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"GET / HTTP/1.1\r\n{lines}\r\n".encode(errors="surrogateescape")


class Agent(Socket):
    """A socket whose agent has joined under its name."""

    name = ""

    @classmethod
    async def join(cls, port, name="A", *, receive_buffer=None, **said):
        agent = await cls.open(port, receive_buffer=receive_buffer)
        await agent.until("hello")
        agent.send(handshake(name, **said))
        update = await agent.until("connectedAgentsUpdate")
        agent.name = update["payload"]["addAgent"]
        return agent

    def source(self, app="app"):
        return {"appId": app, "instanceId": f"{app}-1", "desktopAgent": self.name}


def handshake(name="A", *, version="2.2", channels=None, token=None, **metadata):
    implementation = {"fdc3Version": version, "provider": "test", "optionalFeatures": FEATURES, **metadata}
    payload = {"implementationMetadata": implementation, "requestedName": name, "channelsState": channels or {}}
    if token is not None:
        payload["authToken"] = token
    return {"type": "handshake", "payload": payload, "meta": {"requestUuid": str(uuid4()), "timestamp": NOW}}


def broadcast(agent, number, *, channel="fdc3.channel.1", note=""):
    """A `broadcastRequest` whose context says its number."""
    context = {"type": "test.number", "id": {"number": str(number)}, "note": note}
    meta = {"requestUuid": str(uuid4()), "timestamp": NOW, "source": agent.source()}
    return {"type": "broadcastRequest", "payload": {"channelId": channel, "context": context}, "meta": meta}


def private_broadcast(agent, to, number, *, channel="private-1", note=""):
    message = broadcast(agent, number, channel=channel, note=note)
    message["meta"]["destination"] = {"appId": "other", "instanceId": "other-1", "desktopAgent": to}
    return {**message, "type": "PrivateChannel.broadcast"}


def number_of(message):
    return int(message["payload"]["context"]["id"]["number"])


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
