from typing import Any

from django.apps import AppConfig


class AgentsConfig(AppConfig):
    name = "agents"

    def ready(self) -> None:
        from celery.signals import celeryd_after_setup, worker_shutting_down

        _register_scopes()

        # Not `worker_ready`, which waits for Redis: the sweep is what works without it.
        celeryd_after_setup.connect(_start_sweeper, weak=False)
        worker_shutting_down.connect(_stop_sweeper, weak=False)


def _register_scopes() -> None:
    """The first category and its choices are the manual's: what a WebConnect key knows, one of ours does too."""
    from agents.models import Source
    from apikeys.rights import Right
    from apikeys.scopes import Scope, register, register_sources

    register(
        Scope("Agent", "Get", "list agent sessions", Right.AGENT_GET, freely_given=True),
        Scope("Agent", "Disconnect", "disconnect agent sessions and cancel", Right.AGENT_DISCONNECT, freely_given=True),
        Scope("Operations", "Get", "read operations and the outcomes of disconnections", Right.OPERATION_GET),
        Scope("Sources", "Get", "list sources and how fresh they are, without their secrets", Right.SOURCE_GET),
    )
    register_sources(lambda: Source.objects.values_list("name", flat=True))


_sweepers: list[Any] = []


def _start_sweeper(**kwargs: Any) -> None:
    from agents.sweeper import Sweeper

    sweeper = Sweeper()
    _sweepers.append(sweeper)
    sweeper.start()


def _stop_sweeper(**kwargs: Any) -> None:
    for sweeper in _sweepers:
        sweeper.stop()
