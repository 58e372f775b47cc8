"""Says when a Redis of somebody else's goes away and comes back; nothing else depends on it."""

import threading
import time
from collections.abc import Callable

from console import broker


class RedisWatch:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._away = False

    def start(self, *, every: float) -> None:
        threading.Thread(target=self._look_for_ever, args=(every,), name="redis watch", daemon=True).start()

    def _look_for_ever(self, every: float) -> None:
        while True:
            self.look()
            time.sleep(every)

    def look(self) -> None:
        trouble = broker.trouble()
        if trouble and not self._away:
            self._say(
                f"Redis at {broker.place()} (REDIS_URL) does not answer: {trouble} It is tried again and again; "
                "meanwhile workers find their work in the database, a little later."
            )
        elif self._away and not trouble:
            self._say(f"Redis at {broker.place()} answers again.")
        self._away = bool(trouble)
