from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.actors import command_line
from audit.checkpoints import NothingToSign, make_checkpoint
from audit.clock import database_now
from audit.leaving import send_all
from audit.lines import line


class Command(BaseCommand):
    help = "Sign where the chain of the audit log stands now; prints the checkpoint, which belongs on another machine."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            checkpoint = make_checkpoint(actor=command_line())
        except NothingToSign:
            raise CommandError("There is no event yet.") from None
        send_all(database_now())
        self.stdout.write(line("checkpoint", checkpoint.facts).decode(), ending="")
