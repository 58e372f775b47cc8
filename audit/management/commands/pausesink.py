from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.management.sinks import manager, sink_named
from audit.streams.services import pause_sink


class Command(BaseCommand):
    help = "Send nothing more to a sink until it is resumed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        sink = sink_named(options["name"])
        done = pause_sink(sink=sink, actor=manager())
        self.stdout.write(f"{sink.name} is paused." if done else f"{sink.name} was paused already.")
