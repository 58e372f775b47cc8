from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.management.sinks import manager, sink_named
from audit.streams.services import remove_sink


class Command(BaseCommand):
    help = "Forget a sink and where it stood in the audit log."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        sink = sink_named(options["name"])
        remove_sink(sink=sink, actor=manager())
        self.stdout.write(f"{sink.name} is removed.")
