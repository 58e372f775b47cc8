"""Says when a Redis of somebody else's goes away and comes back; nothing else depends on it."""

import threading
import time
from collections.abc import Callable

from console import broker


def say_when_redis_is_away(say: Callable[[str], None], *, every: float) -> None:
    threading.Thread(target=_watch, args=(say, every), name="redis watch", daemon=True).start()


def _watch(say: Callable[[str], None], every: float) -> None:
    away = False
    while True:
        trouble = broker.trouble()
        if trouble and not away:
            say(
                f"Redis at {broker.place()} (REDIS_URL) does not answer: {trouble}. It is tried again and again; "
                "meanwhile workers find their work in the database, a little later."
            )
        elif away and not trouble:
            say(f"Redis at {broker.place()} answers again.")
        away = bool(trouble)
        time.sleep(every)
