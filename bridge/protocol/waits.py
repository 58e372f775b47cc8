"""Time-outs as data: who waits for what until when."""

from collections.abc import Hashable, Iterator


class Waits[Key: Hashable]:
    """Waits of one and the same length.

    Time never goes back, so they end in the order in which they began, and a dict is queue and index in one.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends: dict[Key, float] = {}

    def begin(self, key: Key, at: float) -> None:
        self._ends[key] = at + self._seconds

    def end(self, key: Key) -> None:
        self._ends.pop(key, None)

    def next_end(self) -> float | None:
        return next(iter(self._ends.values()), None)

    def over(self, at: float) -> Iterator[Key]:
        """Take each wait that is over, one by one: what is done about one may end others."""
        while (end := self.next_end()) is not None and end <= at:
            key = next(iter(self._ends))
            del self._ends[key]
            yield key
