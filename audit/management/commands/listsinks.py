from typing import Any

from django.core.management.base import BaseCommand

from audit.clock import database_now
from audit.streams.lag import lags_of
from audit.streams.models import Sink


class Command(BaseCommand):
    help = "List the sinks of the audit log and how far each is behind."

    def handle(self, *args: Any, **options: Any) -> None:
        at = database_now()
        for lag in lags_of(Sink.objects.order_by("name")):
            sink = lag.sink
            words = [sink.name, sink.kind, sink.format, sink.address, lag.words]
            words.append(f"{lag.events} events, {lag.seconds(at)} s behind")
            self.stdout.write("\t".join([*words, sink.last_error]).rstrip())
