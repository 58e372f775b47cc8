"""What the sweep of sources looks for: it ends leases and deadlines, reads the sources that are due, and sends what
nobody was woken for. The process of a source that has a worker of its own runs one for that source alone.
"""

import threading
from datetime import datetime, timedelta
from functools import partial

from django.db import close_old_connections

from agents import outcomes, readings, sending
from agents.clock import database_now
from agents.models import Source
from agents.portions import SHARED, Portion
from audit import sweeping

_woken = threading.Event()
#: At work at once beside Celery's own threads: readings, and operations that no task came for.
_HANDS = 8


def wake() -> None:
    """Have this process's sweep look again now."""
    _woken.set()


class Sweeper(sweeping.Sweeper):
    def __init__(self, portion: Portion = SHARED, *, every: timedelta | None = None) -> None:
        super().__init__("sweeper", hands=_HANDS, woken=_woken, every=every)
        self._portion = portion

    def stop(self) -> None:
        sending.stopping.set()
        super().stop()

    def sweep(self) -> float:
        close_old_connections()
        at = database_now()
        outcomes.expire(at)
        if self._portion == SHARED:
            readings.notice_silence(at)
        for source_id in readings.due(at, self._portion):
            self._hand_over("reading", source_id, readings.read_source)
        for operation_id in sending.due_operations(at, self._portion):
            self._hand_over("operation", operation_id, partial(sending.send_operation, portion=self._portion))
        return self._until_next(at)

    def _until_next(self, at: datetime) -> float:
        upcoming = Source.objects.filter(self._portion.within(), paused_at=None, next_reading_at__gt=at)
        upcoming = upcoming.order_by("next_reading_at")
        next_at = upcoming.values_list("next_reading_at", flat=True).first()
        return (next_at - at).total_seconds() if next_at else self._every.total_seconds()
