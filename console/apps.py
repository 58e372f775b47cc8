from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
    verbose_name = "Agent Console"

    def ready(self) -> None:
        from console import checks  # noqa: F401
