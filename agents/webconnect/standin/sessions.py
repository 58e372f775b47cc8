from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from agents.webconnect.standin.problems import encode

DIRECTIONS = ("send", "receive")


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent process. The sender and the receiver of one machine are two, with one agent ID."""

    agent_id: str
    direction: str
    connection_ids: tuple[str, ...]
    endpoint: str
    version: str
    supports_disconnection: bool


@dataclass(slots=True, eq=False)
class Session:
    agent: Agent
    session_id: str
    started: float
    closing: bool = False
    overrides: Mapping[str, object] = field(default_factory=dict)
    """Properties to send as they are, whatever their type: the way to rows that no agent would make."""
    _encoded: tuple[tzinfo, bytes] | None = None

    def row(self, zone: tzinfo) -> dict[str, object]:
        agent = self.agent
        return {
            "agentId": agent.agent_id,
            "direction": agent.direction,
            "connectionId": agent.connection_ids,
            "endpoint": agent.endpoint,
            "startConnection": time_text(self.started, zone),
            "sessionId": self.session_id,
            "agentVersion": agent.version,
            "willBeClosed": self.closing,
            "supportingDisconnectApi": agent.supports_disconnection,
        } | dict(self.overrides)

    def encoded(self, zone: tzinfo) -> bytes:
        """Kept, because a page of 1,000 rows is made of them again and again."""
        if self._encoded is None or self._encoded[0] is not zone:
            self._encoded = (zone, encode(self.row(zone)))
        return self._encoded[1]

    def begin_closing(self) -> None:
        self.closing = True
        self._encoded = None


class SessionTable:
    """The sessions by ID, and the orders in which they are listed."""

    def __init__(self) -> None:
        self._by_id: dict[str, Session] = {}
        self._listings: dict[tuple[str | None, bool], list[Session]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, session_id: str) -> Session | None:
        return self._by_id.get(session_id)

    def has(self, session: Session) -> bool:
        """Whether this very session is there: its ID may have been used again."""
        return self._by_id.get(session.session_id) is session

    def add(self, session: Session) -> None:
        # A session that takes over an ID is a newcomer, so it goes to the end.
        self._by_id.pop(session.session_id, None)
        self._by_id[session.session_id] = session
        self._listings.clear()

    def remove(self, session: Session) -> None:
        del self._by_id[session.session_id]
        self._listings.clear()

    def listing(self, direction: str | None = None, *, newest_first: bool = False) -> Sequence[Session]:
        """Not to be changed by the caller."""
        wanted = (direction, newest_first)
        if wanted not in self._listings:
            rows = [row for row in self._by_id.values() if direction in (None, row.agent.direction)]
            if newest_first:
                rows.sort(key=lambda session: session.started, reverse=True)
            self._listings[wanted] = rows
        return self._listings[wanted]


def time_text(at: float, zone: tzinfo = UTC) -> str:
    """As the manual's examples show it: no zone, and milliseconds."""
    moment = datetime.fromtimestamp(at, zone)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"


def parse_time(text: str) -> float:
    """The other way, for UTC. Raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC).timestamp()
