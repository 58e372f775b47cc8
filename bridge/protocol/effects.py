"""What the hub wants done: the server does it, in the order of the list, and decides nothing."""

from enum import Enum

from msgspec import Struct

#: Close codes of RFC 6455, section 7.4.1.
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013


class Send(Struct, frozen=True, gc=False):
    """One whole text message for one socket; the same bytes object may go to many."""

    conn: int
    data: bytes


class Verify(Struct, frozen=True, gc=False):
    """Ask whose token this is, and tell the hub by `Hub.verified`; until then the agent waits."""

    conn: int
    token: str

    def __repr__(self) -> str:
        return f"Verify(conn={self.conn}, token=…)"


class Close(Struct, frozen=True, gc=False):
    """End the socket once everything before this has been sent. To the hub the agent is gone already."""

    conn: int
    code: int
    reason: str


class Event(Enum):
    """What a note is about."""

    JOINED = "joined"
    LEFT = "left"
    REFUSED = "refused"
    DROPPED = "dropped"
    MALFORMED = "malformed"
    TIMED_OUT = "timed out"
    APP_DISCONNECTED = "app disconnected"


class Note(Struct, frozen=True):
    """Something for the log and the console; never a context, a token or another part of a payload."""

    event: Event
    text: str
    session_id: str | None = None
    agent: str | None = None


type Effect = Send | Verify | Close | Note
