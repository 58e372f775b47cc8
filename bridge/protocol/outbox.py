"""What goes out during one input to the hub."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bridge.protocol.effects import Close, Effect, Event, Note, Send, Verify
from bridge.protocol.messages import (
    RESPONSE_TO,
    DesktopAgentIdentifier,
    ErrorPayload,
    ErrorResponse,
    Message,
    ResponseMeta,
    encode,
)
from bridge.protocol.peers import Peer
from bridge.protocol.versions import Version


class Outbox:
    """The effects of one input, in order; the time of that input; and where new uuids come from (R34)."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self.new_id = new_id
        self.at = 0.0
        self.effects: list[Effect] = []

    def begin(self, at: float) -> None:
        self.at = at
        self.effects = []

    def timestamp(self) -> str:
        return datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def send(self, peer: Peer, message: Message) -> int:
        """Returns how many bytes it became."""
        data = encode(message, peer.version)
        self._send(peer, data)
        return len(data)

    def send_all(self, peers: Iterable[Peer], message: Message) -> None:
        """Encoded once for each version, however many speak it."""
        encoded: dict[Version, bytes] = {}
        for peer in peers:
            data = encoded.get(peer.version)
            if data is None:
                data = encoded[peer.version] = encode(message, peer.version)
            self._send(peer, data)

    def _send(self, peer: Peer, data: bytes) -> None:
        peer.traffic.sent += 1
        peer.traffic.sent_bytes += len(data)
        self.effects.append(Send(peer.conn, data))

    def answer_error(self, peer: Peer, type: str, request_uuid: str, error: str, sources: Iterable[str]) -> None:
        """An error in the response form of this type of message, or in the generic form where it has none (R54)."""
        names = [DesktopAgentIdentifier(desktop_agent=name) for name in sources]
        meta = ResponseMeta(
            request_uuid=request_uuid,
            response_uuid=self.new_id(),
            timestamp=self.timestamp(),
            error_sources=names,
            error_details=[error] * len(names),
        )
        self.send(peer, ErrorResponse(type=RESPONSE_TO.get(type, type), payload=ErrorPayload(error=error), meta=meta))

    def verify(self, peer: Peer, token: str) -> None:
        self.effects.append(Verify(peer.conn, token))

    def close(self, peer: Peer, code: int, reason: str) -> None:
        # A close frame has room for 123 bytes.
        self.effects.append(Close(peer.conn, code, reason.encode("ascii", "replace")[:120].decode()))

    def note(self, event: Event, text: str, peer: Peer | None = None) -> None:
        if peer is None:
            self.effects.append(Note(event, text))
        else:
            self.effects.append(Note(event, text, peer.session_id, peer.name or None))

    def drop(self, peer: Peer, why: str) -> None:
        peer.traffic.dropped += 1
        self.note_rarely(peer, Event.DROPPED, why, peer.traffic.dropped)

    def note_rarely(self, peer: Peer, event: Event, text: str, times: int) -> None:
        """The first time, the second, the fourth, the eighth …: a flood must not become one of the log."""
        if times & (times - 1) == 0:
            self.note(event, f"{text} (the {times}. of its kind)" if times > 1 else text, peer)
