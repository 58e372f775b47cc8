from typing import Any

from django.core.management.base import BaseCommand

from audit.keys import trusted_pem


class Command(BaseCommand):
    help = "Print the public keys with which what the audit log signed can be checked, the present one first (PEM)."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(trusted_pem(), ending="")
