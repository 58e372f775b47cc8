from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.management.sinks import manager, sink_named
from audit.streams.services import resume_sink


class Command(BaseCommand):
    help = "Send to a paused sink again, from where it stood."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        sink = sink_named(options["name"])
        done = resume_sink(sink=sink, actor=manager())
        self.stdout.write(f"{sink.name} is resumed." if done else f"{sink.name} was not paused.")
