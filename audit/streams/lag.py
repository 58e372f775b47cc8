"""How far a sink is behind, as its page and the overview show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from audit.models import Event, Head
from audit.streams.models import Sink


@dataclass(frozen=True)
class Lag:
    """`events` newer than what the sink has, of which its search may leave some out; `since`: the oldest one's time."""

    sink: Sink
    events: int
    since: datetime | None

    @property
    def state(self) -> str:
        """One of the states that the style sheet knows."""
        if self.sink.paused_at:
            return "paused"
        if self.sink.failing_since:
            return "unreachable"
        return "sending" if self.events else "ok"

    @property
    def words(self) -> str:
        return _WORDS[self.state]

    def seconds(self, at: datetime) -> int:
        return max(int((at - self.since).total_seconds()), 0) if self.since else 0


_WORDS = {"paused": "Paused", "unreachable": "Takes no events", "sending": "Sending", "ok": "Up to date"}


def lags_of(sinks: Iterable[Sink]) -> list[Lag]:
    sinks = list(sinks)
    head = Head.objects.values_list("sequence", flat=True).get()
    wanted = [sink.cursor + 1 for sink in sinks]
    times = dict(Event.objects.filter(sequence__in=wanted).values_list("sequence", "at"))
    return [Lag(sink, max(head - sink.cursor, 0), times.get(sink.cursor + 1)) for sink in sinks]
