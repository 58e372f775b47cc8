from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.models import Reading, Source
from agents.readings import read_source


class Command(BaseCommand):
    help = "Read a source's list once, now, and print what was found."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        source = Source.objects.filter(name=options["name"]).first()
        if source is None:
            raise CommandError(f"There is no source named {options['name']}.", returncode=2)
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
