from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from agents.management.sources import source_named
from agents.sources import resume_source
from apikeys.actors import command_line_actor


class Command(BaseCommand):
    help = "Go on reading a source and sending to it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        source = source_named(options["name"])
        changed = resume_source(source=source, actor=command_line_actor())
        self.stdout.write(f"{source.name} {'goes on' if changed else 'was not paused'}.")
