import time

LONGEST_ADVANCE = 30 * 24 * 3600.0


class Clock:
    """Epoch seconds that never step back, and that a test may set forward."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()
        self.ahead = 0.0

    def now(self) -> float:
        return self._epoch + time.monotonic() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += seconds
