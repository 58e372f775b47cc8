from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.models.signals import post_migrate


def make_cache_table(using: str, **kwargs: Any) -> None:
    """So that `migrate` makes every table that the console needs."""
    call_command("createcachetable", database=using, verbosity=0)


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Agent Console"

    def ready(self) -> None:
        from console import checks  # noqa: F401

        post_migrate.connect(make_cache_table, sender=self)
