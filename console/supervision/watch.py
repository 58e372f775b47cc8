"""How long a part has been silent, on a clock that stands still while the machine sleeps."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from console.supervision.child import Look


@dataclass(frozen=True)
class Watch:
    """All in seconds. `grace` is added after a start, and after a time in which nothing could be told."""

    every: float
    silence: float
    grace: float

    def until_silent(self, look: Callable[[], Look], goes_on: Callable[[], bool]) -> None:
        """Returns when every look for `silence` seconds was a fair one and saw nothing, or it is over anyway."""
        heard_at = time.monotonic() + self.grace
        while goes_on():
            match look():
                case Look.BEATING:
                    heard_at = time.monotonic()
                case Look.UNFAIR:
                    heard_at = time.monotonic() + self.grace
                case Look.SILENT if time.monotonic() - heard_at >= self.silence:
                    return
            time.sleep(self.every)
