"""A disconnection's life, as data (design: section 5).

The one table `MOVES` drives the guard of every UPDATE (`DisconnectionQuerySet.able_to_become`), the buttons of the
pages, the table in docs/webconnect.md and a test that walks every pair. Nothing else decides what may follow what.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import models


class State(models.TextChoices):
    QUEUED = "queued", "Queued"
    SENDING = "sending", "Sending"
    ACCEPTED = "accepted", "Accepted"
    CONFIRMED = "confirmed", "Confirmed"
    ALREADY_GONE = "already_gone", "Already gone"
    STILL_CONNECTED = "still_connected", "Still connected"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"
    UNKNOWN = "unknown", "Unknown"
    CANCELLED = "cancelled", "Cancelled"


@dataclass(frozen=True)
class Move:
    source: State
    target: State
    when: str


MOVES = (
    Move(State.QUEUED, State.SENDING, "a worker claimed it, with a slot of the rate limit in hand"),
    Move(State.QUEUED, State.CANCELLED, "a person cancelled it before it was sent"),
    Move(State.QUEUED, State.ALREADY_GONE, "a reading begun after the request no longer lists the session"),
    Move(State.QUEUED, State.REFUSED, "known in advance, no call made: right lost, below 1.2.0, flag, scope"),
    Move(State.QUEUED, State.FAILED, "its latest time to be sent passed"),
    Move(
        State.SENDING,
        State.ACCEPTED,
        "2xx with an empty or JSON body; or the answer was lost and the list says closing",
    ),
    Move(State.SENDING, State.QUEUED, "proved not arrived: no connection, 429 or 401"),
    Move(
        State.SENDING, State.CONFIRMED, "answer lost, and a reading begun after the attempt no longer lists the session"
    ),
    Move(State.SENDING, State.ALREADY_GONE, "the remote said no, and a reading shows the session gone"),
    Move(State.SENDING, State.REFUSED, "the remote said no (400, 403, 405) and still lists the session"),
    Move(State.SENDING, State.FAILED, "three attempts spent"),
    Move(State.SENDING, State.UNKNOWN, "answer lost, and no reading in time"),
    Move(State.ACCEPTED, State.CONFIRMED, "a reading begun after the attempt no longer lists the session"),
    Move(State.ACCEPTED, State.STILL_CONNECTED, "the time to confirm passed, and the session is still listed"),
    Move(State.ACCEPTED, State.UNKNOWN, "the time to confirm passed, and the list could not be read"),
)
OPEN = frozenset({State.QUEUED, State.SENDING, State.ACCEPTED})
FINAL = frozenset(State) - OPEN


def sources_of(target: State) -> frozenset[State]:
    """The states from which `target` may follow."""
    return frozenset(move.source for move in MOVES if move.target == target)


def may_become(source: State, target: State) -> bool:
    return source in sources_of(target)


#: From best to worst, for an operation of many: its outcome is the worst of its rows'.
BY_SEVERITY = (
    State.CONFIRMED,
    State.ALREADY_GONE,
    State.CANCELLED,
    State.REFUSED,
    State.STILL_CONNECTED,
    State.FAILED,
    State.UNKNOWN,
)


def worst(states: Iterable[State]) -> State:
    """The worst of some final states; raises ValueError when there is none."""
    return max(states, key=BY_SEVERITY.index)
