from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.sources import reencrypt_credentials
from apikeys.actors import command_line_actor


class Command(BaseCommand):
    help = "Encrypt every stored credential with the newest of CONSOLE_CREDENTIAL_KEYS, so that older keys can go."

    def handle(self, *args: Any, **options: Any) -> None:
        done, unreadable = reencrypt_credentials(actor=command_line_actor())
        self.stdout.write(f"{done} credential{'s' if done != 1 else ''} encrypted with the newest key.")
        if unreadable:
            sources = ", ".join(sorted({error.source_name for error in unreadable}))
            raise CommandError(f"Left as they are, since no key decrypts them: credentials of {sources}.")
