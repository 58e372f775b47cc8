from typing import Any

from django.core.management.base import BaseCommand, CommandError

from agents.sources import reencrypt_credentials
from apikeys.actors import command_line_actor
from audit.streams.services import reseal_secrets


class Command(BaseCommand):
    help = "Encrypt every stored credential with the newest of CONSOLE_CREDENTIAL_KEYS, so that older keys can go."

    def handle(self, *args: Any, **options: Any) -> None:
        done, unreadable = reencrypt_credentials(actor=command_line_actor())
        self.stdout.write(f"{done} credential{'s' if done != 1 else ''} encrypted with the newest key.")
        of_sinks, unreadable_sinks = reseal_secrets(actor=command_line_actor())
        if of_sinks:
            self.stdout.write(
                f"{of_sinks} secret{'s' if of_sinks != 1 else ''} of sinks encrypted with the newest key."
            )
        left = sorted({f"credentials of {error.source_name}" for error in unreadable})
        left += [f"the secret of the sink {name}" for name in unreadable_sinks]
        if left:
            raise CommandError(f"Left as they are, since no key decrypts them: {', '.join(left)}.")
