"""Waking a worker: quick, and where Redis is away nothing is lost, since each worker's own sweep finds the rows."""

import logging
from typing import Any

from celery import current_app
from kombu import pools

logger = logging.getLogger(__name__)
#: Redis may be there and hang; a click waits for it no longer than for one that is away.
_SECONDS = 0.2


def nudge(task: Any, what: str, **kwargs: str) -> None:
    """Send `task`, which is a wake-up and nothing else; `what` is what the log calls it where that fails."""
    try:
        with _producer().acquire(block=True) as producer:
            task.apply_async(kwargs=kwargs, producer=producer)
    except task.OperationalError as error:
        logger.warning("Redis is away (%s): a worker's sweep will find %s", error, what)


def _producer() -> Any:
    """A pool of producers that wait for Redis no longer than a click may: a worker's own wait is longer."""
    quick = {"socket_connect_timeout": _SECONDS, "socket_timeout": _SECONDS}
    return pools.producers[current_app.connection_for_write(transport_options=quick)]
