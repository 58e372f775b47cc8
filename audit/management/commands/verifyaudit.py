from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.chain import verify
from audit.triggers import triggers_missing


class Command(BaseCommand):
    help = "Prove that no event of the audit log was changed, removed or added. Exit 0 where the chain holds, else 1."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="start", type=int, metavar="N", help="begin with event N")

    def handle(self, *args: Any, start: int | None, **options: Any) -> None:
        if start is not None and start < 1:
            raise CommandError("--from takes the number of an event, 1 or more.", returncode=2)
        verdict = verify(from_sequence=start)
        if verdict.flaw:
            raise CommandError(
                f"The audit log does not hold. {verdict.flaw.message}"
                f" ({verdict.flaw.kind}; {verdict.count} events before it hold)"
            )
        self.stdout.write(f"The audit log holds: {verdict.count} events, head {verdict.sequence} {verdict.hash}")
        if missing := triggers_missing():
            self.stderr.write(f"But the database does not guard it: {', '.join(missing)}. Run `manage.py migrate`.")
