from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from audit.management.sinks import manager, wrong_use
from audit.streams.models import Sink
from audit.streams.services import add_sink


class Command(BaseCommand):
    help = "Send the audit log on; for HTTPS prints the secret that signs, alone and once, on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--kind", choices=Sink.Kind.values, required=True)
        parser.add_argument("--address", required=True, help="a URL, tls://host:port, tcp://host:port or a file name")
        parser.add_argument("--format", choices=Sink.Format.values, default=Sink.Format.JSON.value)
        parser.add_argument("--query", default="", help="only the events that this search finds; default: all")
        parser.add_argument("--proxy", default="")
        parser.add_argument("--ca-bundle", default="")
        parser.add_argument(
            "--from-beginning", action="store_true", help="begin with the oldest event; default: with the next one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        columns = ["name", "kind", "address", "format", "query", "proxy", "ca_bundle"]
        sink = Sink(**{name: options[name] for name in columns})
        try:
            secret = add_sink(sink=sink, from_beginning=options["from_beginning"], actor=manager())
        except ValidationError as error:
            raise wrong_use(error) from None
        if secret:
            self.stdout.write(secret.value)
