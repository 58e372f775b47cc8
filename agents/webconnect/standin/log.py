import time
from collections import deque
from dataclasses import dataclass

KEPT = 50_000
LONGEST_BODY = 4096


@dataclass(slots=True)
class Arrival:
    """One request to the API, noted when it was complete and before anything was done about it."""

    number: int
    received: float
    monotonic: float
    clock: float
    method: str
    path: str
    query: str
    endpoint: str
    key: str
    body: bytes
    status: int | None = None
    """None while, or because, no whole answer was sent."""
    fault: str = ""
    applied: bool = False
    """Whether the service acted on it, whatever was answered."""

    def as_dict(self) -> dict[str, object]:
        return {
            "number": self.number,
            "received": self.received,
            "monotonic": self.monotonic,
            "clock": self.clock,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "endpoint": self.endpoint,
            "key": self.key,
            "body": self.body.decode("utf-8", "replace"),
            "status": self.status,
            "fault": self.fault,
            "applied": self.applied,
        }


class RequestLog:
    def __init__(self) -> None:
        self._arrivals: deque[Arrival] = deque(maxlen=KEPT)
        self.total = 0

    def note(
        self, *, clock: float, method: str, path: str, query: str, endpoint: str, key: str, body: bytes
    ) -> Arrival:
        self.total += 1
        arrival = Arrival(
            self.total,
            time.time(),
            time.monotonic(),
            clock,
            method,
            path,
            query,
            endpoint,
            key,
            body[:LONGEST_BODY],
        )
        self._arrivals.append(arrival)
        return arrival

    def newest(self, count: int) -> list[Arrival]:
        return [arrival for arrival, _ in zip(reversed(self._arrivals), range(count), strict=False)]

    def find(self, *, after: int = 0, path: str = "", session: str = "", limit: int = KEPT) -> list[Arrival]:
        """The newest that match, oldest first. `path` is a part of it; `session` must be in the body."""
        wanted = session.encode("utf-8", "replace")
        found: list[Arrival] = []
        for arrival in reversed(self._arrivals):
            if arrival.number <= after or len(found) == limit:
                break
            if path in arrival.path and wanted in arrival.body:
                found.append(arrival)
        return found[::-1]
