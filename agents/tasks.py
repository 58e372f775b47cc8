"""Celery's tasks: a wake-up each. What is to be done is in the database, so a task that comes twice does no harm."""

from uuid import UUID

from celery import shared_task

from agents import readings, sending, sweeper
from agents.clock import database_now


@shared_task(name="agents.send_operation")
def send_operation(*, operation_id: str) -> None:
    sending.send_operation(UUID(operation_id))
    sweeper.wake()


@shared_task(name="agents.sweep")
def sweep() -> None:
    """Beat's reminder; each worker sweeps by itself too."""
    sweeper.wake()


@shared_task(name="agents.prune_readings")
def prune_readings() -> None:
    readings.prune(database_now())
