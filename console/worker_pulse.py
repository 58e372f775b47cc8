"""The thread in each worker that sends this worker its heartbeat task."""

import logging
import threading
from typing import Any

from celery.utils.nodenames import worker_direct
from celery.worker import state

logger = logging.getLogger(__name__)
_ending = threading.Event()


def start(sender: Any, **kwargs: Any) -> None:
    """`sender` is the worker's consumer."""
    threading.Thread(
        target=_send_for_ever, args=(sender.hostname, sender.controller.concurrency), name="heartbeat", daemon=True
    ).start()


def stop(**kwargs: Any) -> None:
    _ending.set()


def _send_for_ever(hostname: str, threads: int) -> None:
    from django.conf import settings
    from django.db import DatabaseError, close_old_connections
    from kombu.exceptions import OperationalError

    from console import heartbeats
    from console.tasks import worker_alive

    seconds = settings.CONSOLE_HEARTBEAT.total_seconds()
    own_queue = worker_direct(hostname)
    while True:
        close_old_connections()
        try:
            if len(state.active_requests) >= threads:
                # All its threads are at work, so the task would wait behind them: that is no silence.
                heartbeats.write(f"{heartbeats.WORKER}{hostname}")
            else:
                worker_alive.apply_async(queue=own_queue, expires=2 * seconds)
        except (OperationalError, DatabaseError) as error:
            logger.debug("No heartbeat: %s", error)
        except Exception:
            logger.exception("No heartbeat")  # The thread must live as long as the worker.
        if _ending.wait(seconds):
            return
