from typing import Any

from celery import shared_task
from django.core.management import call_command

from console import heartbeats


@shared_task(bind=True, name="console.worker_alive")
def worker_alive(self: Any) -> None:
    heartbeats.write(heartbeats.worker(self.request.hostname))


@shared_task(name="console.beat_alive")
def beat_alive() -> None:
    heartbeats.write(heartbeats.BEAT)
    heartbeats.forget_old()


@shared_task(name="console.clear_sign_ins")
def clear_sign_ins() -> None:
    """Sign-ins that have ended, out of the database."""
    call_command("clearsessions")
