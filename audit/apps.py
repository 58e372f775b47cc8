from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AuditConfig(AppConfig):
    name = "audit"

    def ready(self) -> None:
        from audit.triggers import install_after_migrate

        post_migrate.connect(install_after_migrate, sender=self, dispatch_uid="audit.triggers")
