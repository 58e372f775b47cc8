"""The Celery application: the queue is only a wake-up, the database holds what is to be done."""

import atexit
import os
import warnings
from typing import Any

from celery import Celery
from celery.platforms import SecurityWarning
from celery.signals import (
    beat_init,
    celeryd_after_setup,
    import_modules,
    setup_logging,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)

from console import worker_pulse
from console.environment import stop_if_wrong

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# It warns root of messages that run code when they are read (pickle); CELERY_ACCEPT_CONTENT allows JSON alone.
warnings.filterwarnings("ignore", category=SecurityWarning)

worker_ready.connect(worker_pulse.start)
worker_shutting_down.connect(worker_pulse.stop)


@celeryd_after_setup.connect
def worker_starts(sender: str, **kwargs: Any) -> None:
    from console.presence import note_start

    note_start(f"worker {sender}")


@worker_shutdown.connect
def worker_stops(sender: Any, **kwargs: Any) -> None:
    from console.presence import note_stop

    note_stop(f"worker {sender.hostname}")


@beat_init.connect
def beat_starts(**kwargs: Any) -> None:
    from console.presence import note_start, note_stop

    note_start("beat")
    atexit.register(note_stop, "beat")  # Celery has no signal for its end.


@setup_logging.connect
def keep_django_logging(**kwargs: Any) -> None:
    """With a receiver here Celery leaves the logging as Django's LOGGING has set it."""


@import_modules.connect  # The first thing that worker and beat do.
def refuse_wrong_settings(**kwargs: Any) -> None:
    stop_if_wrong()
