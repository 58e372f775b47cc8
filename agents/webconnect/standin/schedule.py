import heapq
from collections.abc import Callable
from itertools import count

type Action = Callable[[float], None]


class Schedule:
    """Things that will happen, run in order by whoever next looks at the time: no timer, no thread."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Action]] = []
        self._numbers = count()

    def at(self, due: float, action: Action) -> None:
        # The number keeps two things due at the same instant in the order in which they were asked for.
        heapq.heappush(self._due, (due, next(self._numbers), action))

    def run_until(self, at: float) -> None:
        while self._due and self._due[0][0] <= at:
            due, _, action = heapq.heappop(self._due)
            action(due)
