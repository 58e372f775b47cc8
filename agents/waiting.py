"""Requests that wait for an outcome: a few at once, so that they never hold all threads of the web."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from django.conf import settings

from agents.models import Disconnection
from agents.states import FINAL

#: A quarter of the web threads of this process; with fewer than four, nobody waits.
_places = threading.BoundedSemaphore(settings.CONSOLE_WEB_THREADS // 4)
_SHORTEST, _LONGEST = 0.1, 1.0


@contextmanager
def a_place() -> Iterator[bool]:
    """Whether there was a place to wait in; it is held until the block ends."""
    held = _places.acquire(blocking=False)
    try:
        yield held
    finally:
        if held:
            _places.release()


def wait_for(disconnection: UUID, *, seconds: float) -> Disconnection:
    """The disconnection once it is final, or as it is when the time is up."""
    deadline, pause = time.monotonic() + seconds, _SHORTEST
    while True:
        row = Disconnection.objects.get(pk=disconnection)
        left = deadline - time.monotonic()
        if row.state in FINAL or left <= 0:
            return row
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST)
