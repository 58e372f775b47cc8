"""One agent's socket: whole messages in, whole messages out, bounded on both sides.

picows parses and unmasks frames, and notices silence. It hands over single frames as they come, and writes what it is
given at once and without a bound; so here is what it leaves to its user: joining fragments, refusing what is not text,
gathering what goes to one socket into one write, and letting go of a peer that does not read.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from bridge.protocol.effects import POLICY_VIOLATION
from bridge.protocol.pace import Pace
from bridge.server.settings import BridgeSettings

#: Close codes of RFC 6455, section 7.4.1.
OK, PROTOCOL_ERROR, UNSUPPORTED_DATA, INVALID_TEXT, MESSAGE_TOO_BIG = 1000, 1002, 1003, 1007, 1009

_TEXT, _PONG = 0x81, 0x8A
#: What is gathered for one socket is written at the latest when it is so much.
WRITE_AT = 256 * 1024
#: Frames a second that are no whole message, pings and fragments, and how many of them may come at once.
FRAME_RATE, FRAME_BURST = 1_000.0, 5_000.0
#: The longest reason that fits in a close frame.
_REASON_BYTES = 123


class Owner(Protocol):
    """Who is told what happens; nothing comes after `gone`."""

    def opened(self, agent: "AgentSocket") -> None: ...
    def received(self, agent: "AgentSocket", raw: bytes) -> None: ...
    def unsent(self, agent: "AgentSocket") -> None: ...
    def gone(self, agent: "AgentSocket", why: str) -> None: ...
    def turn(self) -> None: ...


def frame_of(data: bytes) -> bytes:
    """A message as the bytes that go over the wire, which are the same for every receiver."""
    return _header(_TEXT, len(data)) + data


def _header(first: int, size: int) -> bytes:
    if size < 126:
        return bytes((first, size))
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2)
    return bytes((first, 127)) + size.to_bytes(8)


class AgentSocket(WSListener):
    def __init__(self, conn: int, owner: Owner, settings: BridgeSettings) -> None:
        self.conn = conn
        self.is_open = False
        self.closing = False
        self._owner = owner
        self._settings = settings
        self._outbox: list[bytes] = []
        self._waiting = 0
        self._partial: bytearray | None = None
        self._pace = Pace(FRAME_RATE, FRAME_BURST)
        self._told = False
        self._abort: asyncio.TimerHandle | None = None

    @property
    def queued(self) -> int:
        """Bytes that wait here, beyond those in the buffers of the system."""
        return self._waiting + int(self._tcp.get_write_buffer_size())

    def send(self, frame: bytes) -> None:
        """Before the event loop turns it is on its way, unless the agent has fallen too far behind."""
        if self.closing:
            return
        if not self._outbox:
            self._owner.unsent(self)
        self._outbox.append(frame)
        self._waiting += len(frame)
        if self._waiting > WRITE_AT:
            self.flush()

    def flush(self) -> None:
        frames, self._outbox, self._waiting = self._outbox, [], 0
        if self.closing or not frames:
            return
        self._tcp.write(frames[0] if len(frames) == 1 else b"".join(frames))
        if self._congested and self._tcp.get_write_buffer_size() > self._settings.max_queue_bytes:
            self.close(POLICY_VIOLATION, "it does not read what it is sent")

    def close(self, code: int, reason: str) -> None:
        """With a close frame behind all that was sent; the other side has `close_within` seconds to answer it."""
        self.flush()
        if self.closing:
            return
        self._ws.send_close(code, reason.encode()[:_REASON_BYTES].decode(errors="ignore"))  # type: ignore[arg-type]
        self._ending(reason)

    def read_ended(self) -> None:
        """All frames of one read have been handled, or picows could not parse one and has sent a close frame."""
        if self._ws.is_close_frame_sent and not self.closing:
            # It would go on buffering.
            self._tcp.pause_reading()
            sent = self._ws.close_handshake.sent
            self._ending(sent.reason if sent else "a frame could not be read")
        self._owner.turn()

    def _ending(self, why: str) -> None:
        self.closing = True
        self._partial = None
        self._abort = asyncio.get_running_loop().call_later(self._settings.close_within, self._tcp.abort)
        self._tell(why)

    def _tell(self, why: str) -> None:
        if not self._told:
            self._told = True
            self._owner.gone(self, why)

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.is_open = True
        self._ws = transport
        self._tcp: Any = transport.underlying_transport
        self._congested = False
        self._owner.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if self.closing:
            if kind is WSMsgType.CLOSE:
                self._tcp.close()
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            self.close(PROTOCOL_ERROR, "no extension was agreed on")
        elif kind is WSMsgType.TEXT and frame.fin and self._partial is None:
            self._whole(frame.get_payload_as_bytes())
        elif not self._pace.allows(time.monotonic()):
            self.close(POLICY_VIOLATION, "too many frames that are no whole message")
        elif kind is WSMsgType.TEXT or kind is WSMsgType.CONTINUATION:
            self._fragment(kind, frame)
        elif kind is WSMsgType.PING:
            payload = frame.get_payload_as_bytes()
            self.send(_header(_PONG, len(payload)) + payload)
        elif kind is WSMsgType.BINARY:
            self.close(UNSUPPORTED_DATA, "text messages only")
        elif kind is WSMsgType.CLOSE:
            self._tell("it closed its connection")
            self.close(OK, "")
            self._tcp.close()

    def _fragment(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind is WSMsgType.TEXT) is (self._partial is not None):
            self.close(PROTOCOL_ERROR, "fragments of two messages are mixed")
        elif len(self._partial or b"") + frame.payload_size > self._settings.max_message_bytes:
            self.close(MESSAGE_TOO_BIG, f"more than {self._settings.max_message_bytes} bytes")
        else:
            self._partial = self._partial or bytearray()
            self._partial += frame.get_payload_as_memoryview()
            if frame.fin:
                whole, self._partial = bytes(self._partial), None
                self._whole(whole)

    def _whole(self, raw: bytes) -> None:
        if raw.isascii() or _is_utf8(raw):
            self._owner.received(self, raw)
        else:
            # Passed on it would cost the receiver its connection.
            self.close(INVALID_TEXT, "not UTF-8")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closing = True
        if self._abort:
            self._abort.cancel()
        sent = transport.close_handshake and transport.close_handshake.sent
        self._tell(sent.reason if sent else "its connection was lost")

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


class Gate:
    """The TCP connections, upgraded or not: a peer that says nothing holds one too."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.transports: set[asyncio.Transport] = set()

    @property
    def is_full(self) -> bool:
        return len(self.transports) >= self._limit

    def abort_all(self) -> None:
        for transport in self.transports:
            transport.abort()


class Wire(WSProtocol):  # type: ignore[misc]
    """What picows has no call for: counting connections not yet upgraded, and knowing that its parser gave up.

    `ws_create_server` makes the class below this one, by the same arguments.
    """

    def __init__(self, gate: Gate, admit: Callable[[WSUpgradeRequest], Any], settings: BridgeSettings, logger: Any):
        super().__init__(
            host_port=None,
            ws_path=None,
            is_client_side=False,
            ws_listener_factory=admit,
            logger=logger,
            disconnect_on_exception=True,
            websocket_handshake_timeout=settings.upgrade_within,
            enable_auto_ping=True,
            auto_ping_idle_timeout=settings.ping_after,
            auto_ping_reply_timeout=settings.pong_within,
            auto_ping_strategy=WSAutoPingStrategy.PING_WHEN_IDLE,
            # It would write pongs without a bound.
            enable_auto_pong=False,
            max_frame_size=settings.max_message_bytes,
            extra_headers=None,
            read_buffer_init_size=16 * 1024,
        )
        self._gate = gate
        self._tcp: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        if self._gate.is_full:
            # Not at once: the transport is about to add its reader.
            asyncio.get_running_loop().call_soon(transport.abort)
            return
        self._gate.transports.add(transport)
        self._tcp = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._tcp is not None:
            self._gate.transports.discard(self._tcp)
            super().connection_lost(error)

    def buffer_updated(self, count: int) -> None:
        super().buffer_updated(count)
        # There is a listener before its upgrade is known to be a good one.
        if self.listener is not None and self.listener.is_open:
            self.listener.read_ended()
