from django.apps import AppConfig


class WebConnectConfig(AppConfig):
    name = "agents.webconnect"
    label = "webconnect"
    verbose_name = "HULFT-WebConnect"

    def ready(self) -> None:
        from agents.webconnect.kind import register_kind

        register_kind()
