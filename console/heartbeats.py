"""Rows that say "I am at work", written by what has to work: a worker's by a task that this worker has carried out.

A worker can be connected and yet consume nothing (celery/celery#10302); its process, its connection and its answers to
Celery's own ping are all there then. So each worker sends itself a small task over a queue of its own
(`console.worker_pulse`), and only carrying it out writes the row. Beat's row is written by a task that only beat sends.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console.models import Heartbeat
from console.presence import note_loss, note_silence

BEAT = "beat"
WORKER = "worker "
#: A worker that was stopped for good, or that had another host name, is forgotten.
FORGET_AFTER = timedelta(days=1)


def worker(hostname: str) -> str:
    """The name of a worker's row; `hostname` is what Celery calls the worker."""
    return f"{WORKER}{hostname}"


def write(name: str) -> None:
    """Also puts on record that it was silent, where it was for long."""
    at = timezone.now()
    with transaction.atomic():
        before = Heartbeat.objects.select_for_update().filter(name=name).first()
        row = Heartbeat(name=name, at=at)
        Heartbeat.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=["at"])
        if before and at - before.at > settings.CONSOLE_HEARTBEAT_SILENCE:
            note_silence(name, since=before.at, until=at)


def last(name: str) -> datetime | None:
    return Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()


def any_worker_since(moment: datetime) -> bool:
    return Heartbeat.objects.filter(name__startswith=WORKER, at__gte=moment).exists()


def of_workers() -> list[tuple[str, datetime]]:
    return list(Heartbeat.objects.filter(name__startswith=WORKER).order_by("name").values_list("name", "at"))


@transaction.atomic
def forget_old() -> None:
    """Those that have not come back; beat is not among them, which calls this."""
    for lost in Heartbeat.objects.select_for_update().filter(at__lt=timezone.now() - FORGET_AFTER).order_by("name"):
        note_loss(lost.name, since=lost.at)
        lost.delete()
