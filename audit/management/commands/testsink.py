from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.management.sinks import manager, sink_named
from audit.streams.services import test_sink


class Command(BaseCommand):
    help = "Send a sink one event that is none, numbered 0. Exit 0 where it took it, 1 where not."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        sink = sink_named(options["name"])
        if wrong := test_sink(sink=sink, actor=manager()):
            raise CommandError(f"{sink.name} did not take the test: {wrong}.")
        self.stdout.write(f"{sink.name} took the test.")
