from typing import Any

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        from celery.signals import celeryd_after_setup, worker_shutting_down

        # Not `worker_ready`, which waits for Redis: the sweep is what works without it.
        celeryd_after_setup.connect(_start_sweeper, weak=False)
        worker_shutting_down.connect(_stop_sweeper, weak=False)


_sweepers: list[Any] = []


def _start_sweeper(**kwargs: Any) -> None:
    from agents.sweeper import Sweeper

    sweeper = Sweeper()
    _sweepers.append(sweeper)
    sweeper.start()


def _stop_sweeper(**kwargs: Any) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
