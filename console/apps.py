from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Agent Console"

    def ready(self) -> None:
        from console import checks  # noqa: F401
        from console.people.roles import make_groups

        post_migrate.connect(make_groups, sender=self, dispatch_uid="console.people.make_groups")
