"""The Celery application: the queue is only a wake-up, the database holds what is to be done."""

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_init, setup_logging

from console.environment import stop_if_wrong

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def keep_django_logging(**kwargs: Any) -> None:
    """With a receiver here Celery leaves the logging as Django's LOGGING has set it."""


@celeryd_init.connect
@beat_init.connect
def refuse_wrong_settings(**kwargs: Any) -> None:
    stop_if_wrong()
