"""The sweep: a worker looks for what is due by itself, so that neither Redis nor beat is needed for correctness."""

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

logger = logging.getLogger(__name__)


class Sweeper(threading.Thread):
    """One thread a worker process: sweeps, then sleeps until the next thing is due, `every` at the most.

    `hands` is how many things are done at once beside Celery's own threads; setting `woken` ends the sleep. `every` is
    `CONSOLE_SWEEP_SECONDS` unless given.
    """

    def __init__(self, name: str, *, hands: int, woken: threading.Event, every: timedelta | None = None) -> None:
        super().__init__(name=name, daemon=True)
        self._woken, self._every = woken, every or settings.CONSOLE_SWEEP
        self._stopped = threading.Event()
        self._hands = ThreadPoolExecutor(hands, thread_name_prefix=name)
        self._busy: set[tuple[str, Any]] = set()
        self._lock = threading.Lock()
        self._away = False

    def stop(self) -> None:
        self._stopped.set()
        self._woken.set()
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
            self._woken.wait(max(pause, 0.02))
            self._woken.clear()

    def _note_database(self, error: DatabaseError | None) -> None:
        """One line when it goes away, one when it is back."""
        if error and not self._away:
            logger.warning("The database does not answer; the sweep goes on trying: %s", error)
        elif self._away and not error:
            logger.warning("The database answers again")
        self._away = error is not None

    def sweep(self) -> float:
        """Do or hand over all that is due; returns the seconds until the next thing will be."""
        raise NotImplementedError

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
            # Something new may be due. Not after work that found nothing to do: it would be due at once again.
            self._woken.set()
