from typing import Any

from django.core.management.base import BaseCommand

from audit.search import index


class Command(BaseCommand):
    help = "Make the index of the audit log's search anew from the events. The console may run meanwhile."

    def handle(self, *args: Any, **options: Any) -> None:
        index.clear()
        while index.catch_up(least=1):
            if options["verbosity"] > 1:
                self.stdout.write(f"up to event {index.indexed()}")
        self.stdout.write(f"The index goes up to event {index.indexed()}.")
