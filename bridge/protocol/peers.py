"""Where each connection stands.

A socket opens, and the bridge says hello (step 2 of the connection protocol). From then on the connection is GREETED:
only a handshake counts, and it has to come in time (step 3). Where tokens are asked for, somebody outside has to look
at it first, and the connection is VERIFYING; what comes meanwhile is dropped, since nobody may speak before having
been told a name. With the name, which everybody learns in the same update (steps 4 to 6), it is CONNECTED and stays
so, under that name, until it is GONE: closed by the agent, by the network, or by us. The hub forgets a connection the
moment it is GONE, even while the socket takes its time to close, so nothing that arrives late can do anything.

`MOVES` says what may follow what and `HEARD` which kind of message counts where. Nothing else decides it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from bridge.protocol.messages import DesktopAgentImplementationMetadata, Handshake
from bridge.protocol.pace import Pace
from bridge.protocol.versions import Version

if TYPE_CHECKING:
    from bridge.protocol.collation import Pending


class State(Enum):
    GREETED = "greeted"
    VERIFYING = "verifying"
    CONNECTED = "connected"
    GONE = "gone"


class Kind(Enum):
    HANDSHAKE = "handshake"
    REQUEST = "request"
    RESPONSE = "response"


MOVES = {
    State.GREETED: frozenset({State.VERIFYING, State.CONNECTED, State.GONE}),
    State.VERIFYING: frozenset({State.CONNECTED, State.GONE}),
    State.CONNECTED: frozenset({State.GONE}),
    State.GONE: frozenset[State](),
}
#: Messages before the handshake and a second handshake are ignored (Q24).
HEARD = {
    State.GREETED: frozenset({Kind.HANDSHAKE}),
    State.VERIFYING: frozenset[Kind](),
    State.CONNECTED: frozenset({Kind.REQUEST, Kind.RESPONSE}),
    State.GONE: frozenset[Kind](),
}


class IllegalMove(Exception):
    """The hub took a step that the table does not have."""


@dataclass(slots=True)
class Traffic:
    """What crossed one socket, and what was wrong with it."""

    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    dropped: int = 0
    malformed: int = 0
    timed_out: int = 0


@dataclass(slots=True, eq=False)
class Peer:
    """One connection, from the opening of its socket until it is gone."""

    conn: int
    session_id: str
    opened_at: float
    pace: Pace
    state: State = State.GREETED
    hears: frozenset[Kind] = HEARD[State.GREETED]
    version: Version = Version.NEXT
    handshake: Handshake | None = None

    # From here on only while it is CONNECTED.
    name: str = ""
    requested_name: str = ""
    entry: DesktopAgentImplementationMetadata | None = None
    connected_at: float = 0.0
    #: Who the token belongs to, where tokens are asked for.
    principal: str | None = None
    #: The user and app channels that it told of or broadcast on.
    channels: dict[str, None] = field(default_factory=dict)
    #: Requests of its own, results that its intents are still to bring, and what others wait for it to answer.
    asked: dict[str, Pending] = field(default_factory=dict)
    results: dict[str, Pending] = field(default_factory=dict)
    owed: dict[str, Pending] = field(default_factory=dict)
    #: Rounds of questions missed in a row, and when the last one was.
    silent_rounds: int = 0
    silent_at: float = 0.0
    traffic: Traffic = field(default_factory=Traffic)

    def become(self, state: State) -> None:
        if state not in MOVES[self.state]:
            raise IllegalMove(f"{self.state.value} to {state.value}")
        self.state = state
        self.hears = HEARD[state]
