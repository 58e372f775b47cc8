"""What is sent at once, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from audit.models import Event
from audit.streams.models import Sink

#: Events and bytes of one batch at the most; a single event may be larger.
MOST_EVENTS, MOST_BYTES = 200, 1_000_000


@dataclass(frozen=True)
class Batch:
    """Events in their order, each with its line in the sink's format. The last one's number is the new cursor."""

    sink: Sink
    events: list[tuple[Event, bytes]]
    is_test: bool = False

    @property
    def name(self) -> str:
        """The same for the same events, whenever they are sent again."""
        first, last = self.events[0][0].sequence, self.events[-1][0].sequence
        return f"{self.sink.pk}-{first}-{last}"


class NotTaken(Exception):
    """The sink did not take the batch, or nobody can say; the message is fit for an administrator."""

    def __init__(self, message: str, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


#: Whether the lease is still ours, asked right before the first byte leaves.
type StillOurs = Callable[[], bool]
