from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        from celery.signals import celeryd_after_setup, worker_shutting_down

        from audit.triggers import install_after_migrate

        post_migrate.connect(install_after_migrate, sender=self, dispatch_uid="audit.triggers")
        # Not `worker_ready`, which waits for Redis: the sweep is what works without it.
        celeryd_after_setup.connect(_start_sweeper, weak=False)
        worker_shutting_down.connect(_stop_sweeper, weak=False)


_sweepers: list[Any] = []


def _start_sweeper(**kwargs: Any) -> None:
    from audit.sweeper import Sweeper

    sweeper = Sweeper()
    _sweepers.append(sweeper)
    sweeper.start()


def _stop_sweeper(**kwargs: Any) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
