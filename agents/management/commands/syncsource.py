from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.kinds import kind_of
from agents.management.sources import source_named
from agents.models import Reading
from agents.readings import read_source


class Command(BaseCommand):
    help = "Read a source's list once, now, and print what was found."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        source = source_named(options["name"])
        if kind_of(source).own_worker:
            raise CommandError(f"{source.name} is read by its own process.")
        reading = read_source(source.pk)
        if reading is None:
            why = "it is paused" if source.paused_at else "it is being read at this moment"
            raise CommandError(f"{source.name} was not read: {why}.")
        if reading.outcome not in (Reading.Outcome.COMPLETE, Reading.Outcome.INCOMPLETE):
            raise CommandError(reading.note)
        self.stdout.write(
            f"{source.name}: {reading.listed} listed, {reading.new} new, {reading.changed} changed, "
            f"{reading.gone} ended ({reading.calls} call{'s' if reading.calls != 1 else ''})"
        )
        if reading.note:
            self.stdout.write(f"Incomplete: {reading.note}")
