"""The agent's end of a WebSocket: whole text messages in and out, bounded."""

from typing import Protocol

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

LOOPBACK = "127.0.0.1"
MAX_MESSAGE = 16 * 1024 * 1024
#: What may wait to be sent to a bridge that does not read.
MAX_UNSENT = 16 * 1024 * 1024
PING_AFTER = 20.0
PONG_WITHIN = 10.0


class Owner(Protocol):
    def socket_opened(self, socket: "BridgeSocket") -> None: ...
    def socket_received(self, socket: "BridgeSocket", raw: bytes) -> None: ...
    def socket_closed(self, socket: "BridgeSocket", why: str) -> None:
        """It closed, or never opened; told once."""


class BridgeSocket(WSListener):
    def __init__(self, attempt: int, owner: Owner) -> None:
        self.attempt = attempt
        self._owner = owner
        self._transport: WSTransport | None = None
        self._partial: bytearray | None = None
        self._is_told = False

    async def connect(self, port: int) -> None:
        """Returns when the socket is open or can't be; either is told to the owner."""
        try:
            await ws_connect(
                lambda: self,
                f"ws://{LOOPBACK}:{port}/",
                max_frame_size=MAX_MESSAGE,
                max_redirects=0,
                enable_auto_ping=True,
                auto_ping_idle_timeout=PING_AFTER,
                auto_ping_reply_timeout=PONG_WITHIN,
            )
        except (OSError, WSError, TimeoutError) as error:
            self._tell_closed(str(error) or type(error).__name__)

    def send(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_disconnected:
            return
        self._transport.send(WSMsgType.TEXT, data)
        if self._transport.underlying_transport.get_write_buffer_size() > MAX_UNSENT:
            self.close("the bridge does not read")

    def close(self, why: str) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close()
            self._transport.disconnect()
        self._tell_closed(why)

    async def wait_closed(self) -> None:
        if self._transport is not None:
            await self._transport.wait_disconnected()

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._is_told:
            self.close("too late")
        else:
            self._owner.socket_opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.CONTINUATION:
                self._text(frame)
            case WSMsgType.BINARY:
                self.close("the bridge sent what is no text")
            case WSMsgType.CLOSE:
                reason = frame.get_close_message()
                self.close(reason.decode(errors="replace") if reason else "the bridge closed the connection")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._tell_closed("the connection was lost")

    def _text(self, frame: WSFrame) -> None:
        if self._partial is None and frame.fin:
            self._received(frame.get_payload_as_bytes())
            return
        self._partial = self._partial or bytearray()
        self._partial += frame.get_payload_as_memoryview()
        if len(self._partial) > MAX_MESSAGE:
            self.close("the bridge sent too long a message")
        elif frame.fin:
            whole, self._partial = bytes(self._partial), None
            self._received(whole)

    def _received(self, raw: bytes) -> None:
        if not self._is_told:
            self._owner.socket_received(self, raw)

    def _tell_closed(self, why: str) -> None:
        if not self._is_told:
            self._is_told = True
            self._owner.socket_closed(self, why)
