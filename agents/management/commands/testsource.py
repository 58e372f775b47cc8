from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.management.sources import source_named
from agents.sources import test_source
from apikeys.actors import command_line_actor


class Command(BaseCommand):
    help = "Make one call with each credential of a source, and say what came back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        source = source_named(options["name"])
        try:
            findings = test_source(source=source, actor=command_line_actor())
        except ValidationError as error:
            raise CommandError(error.messages[0]) from None
        for finding in findings:
            self.stdout.write(f"{finding.purpose}: {finding.explanation}")
        if not all(finding.works for finding in findings):
            raise CommandError(f"{source.name} does not work with every credential.")
