"""The thread in each worker that sends this worker its heartbeat task (`console.heartbeats` says why).

Celery's application imports this module before Django is ready, hence the imports inside.
"""

import logging
import threading
from typing import Any

from celery.utils.nodenames import worker_direct
from celery.worker import state

logger = logging.getLogger(__name__)
_ending = threading.Event()


def start(sender: Any, **kwargs: Any) -> None:
    """Receives `worker_ready`; `sender` is the worker's consumer."""
    hostname, threads = sender.hostname, sender.controller.concurrency
    threading.Thread(target=_send_until_the_end, args=(hostname, threads), name="heartbeat", daemon=True).start()


def stop(**kwargs: Any) -> None:
    """Receives `worker_shutting_down`."""
    _ending.set()


def _send_until_the_end(hostname: str, threads: int) -> None:
    from django.conf import settings
    from django.db import DatabaseError, close_old_connections
    from kombu.exceptions import OperationalError

    while True:
        close_old_connections()
        try:
            send(hostname, threads)
        except (OperationalError, DatabaseError) as error:
            logger.debug("No heartbeat: %s", error)
        except Exception:
            logger.exception("No heartbeat")  # The thread must live as long as the worker.
        if _ending.wait(settings.CONSOLE_HEARTBEAT.total_seconds()):
            return


def send(hostname: str, threads: int) -> None:
    from django.conf import settings

    from console import heartbeats
    from console.tasks import worker_alive

    if len(state.active_requests) >= threads:
        # All its threads are at work, so the task would wait behind them: that is no silence.
        heartbeats.write(heartbeats.worker(hostname))
    else:
        expires = 2 * settings.CONSOLE_HEARTBEAT.total_seconds()
        worker_alive.apply_async(queue=worker_direct(hostname), expires=expires)
