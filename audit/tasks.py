"""Celery's tasks: a wake-up. What is to be done is in the database, so a task that comes twice does no harm."""

from celery import shared_task

from audit import sweeper


@shared_task(name="audit.look")
def look() -> None:
    sweeper.wake()
