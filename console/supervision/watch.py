"""How long a part has been silent, on a clock that stands still while the machine sleeps."""

import time
from collections.abc import Callable

from console.supervision.child import Look


class Watch:
    def __init__(self, look: Callable[[], Look], *, every: float, silence: float) -> None:
        self._look = look
        self._every = every
        self._silence = silence

    def until_silent(self, goes_on: Callable[[], bool]) -> None:
        """Returns when every look for `silence` seconds was a fair one and saw nothing, or it is over anyway."""
        heard_at = time.monotonic()
        while goes_on():
            if self._look() is not Look.SILENT:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at >= self._silence:
                return
            time.sleep(self._every)
