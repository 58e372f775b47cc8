"""The sweep: each worker looks for what is due by itself, so that neither Redis nor beat is needed for correctness.

One thread a worker process. It ends leases and deadlines, reads the sources that are due, and sends what nobody was
woken for, then sleeps until the next thing is due, `CONSOLE_SWEEP_SECONDS` at the most. The process of a source that
has a worker of its own runs one for that source alone.
"""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from agents import outcomes, readings, sending
from agents.clock import database_now
from agents.models import Source
from agents.portions import SHARED, Portion

logger = logging.getLogger(__name__)

_woken = threading.Event()
#: At work at once beside Celery's own threads: readings, and operations that no task came for.
_HANDS = 8


def wake() -> None:
    """Have this process's sweep look again now."""
    _woken.set()


class Sweeper(threading.Thread):
    def __init__(self, portion: Portion = SHARED, *, every: timedelta | None = None) -> None:
        super().__init__(name="sweeper", daemon=True)
        self._portion, self._every = portion, every or settings.CONSOLE_SWEEP
        self._stopped = threading.Event()
        self._hands = ThreadPoolExecutor(_HANDS, thread_name_prefix="sweep")
        self._busy: set[tuple[str, Any]] = set()
        self._lock = threading.Lock()
        self._away = False

    def stop(self) -> None:
        self._stopped.set()
        sending.stopping.set()
        wake()
        self._hands.shutdown(wait=False, cancel_futures=True)

    def run(self) -> None:
        while not self._stopped.is_set():
            pause = self._every.total_seconds()
            try:
                pause = min(pause, self.sweep())
                self._note_database(None)
            except DatabaseError as error:
                self._note_database(error)
                connection.close()
            except Exception:
                # It must survive whatever happens: a database that is away now is back in a while.
                logger.exception("A sweep failed; the next one follows")
                connection.close()
            _woken.wait(max(pause, 0.02))
            _woken.clear()

    def _note_database(self, error: DatabaseError | None) -> None:
        """One line when it goes away, one when it is back."""
        if error and not self._away:
            logger.warning("The database does not answer; the sweep goes on trying: %s", error)
        elif self._away and not error:
            logger.warning("The database answers again")
        self._away = error is not None

    def sweep(self) -> float:
        """Do or hand over all that is due; returns the seconds until the next thing will be."""
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

    def _hand_over(self, kind: str, key: Any, work: Any) -> None:
        with self._lock:
            if (kind, key) in self._busy or self._stopped.is_set():
                return
            self._busy.add((kind, key))
        self._hands.submit(self._do, kind, key, work)

    def _do(self, kind: str, key: Any, work: Any) -> None:
        worked = None
        try:
            close_old_connections()
            worked = work(key)
        except Exception:
            logger.exception("The %s %s failed; the next sweep finds it again", kind, key)
            connection.close()
        finally:
            with self._lock:
                self._busy.discard((kind, key))
        if worked:
            wake()  # Something new may be due. Not after work that found nothing to do: it would be due at once again.
