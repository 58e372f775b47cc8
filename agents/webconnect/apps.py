from django.apps import AppConfig


class WebConnectConfig(AppConfig):
    name = "agents.webconnect"
    label = "webconnect"
    verbose_name = "HULFT-WebConnect"
