import time

LONGEST_ADVANCE = 30 * 24 * 3600.0

# The one that never steps back, and that goes on while the machine sleeps, where there is such a one.
STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock:
    """Epoch seconds that never step back, and that a test may set forward."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.clock_gettime(STEADY)
        self.ahead = 0.0

    def now(self) -> float:
        return self._epoch + time.clock_gettime(STEADY) + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds
