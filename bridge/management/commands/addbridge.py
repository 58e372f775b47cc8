from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from agents.management.sources import wrong_use
from apikeys.actors import command_line_actor
from bridge.adding import add_bridge
from bridge.models import FIRST_PORT, LAST_PORT, BridgeSource


class Command(BaseCommand):
    help = "Add an FDC3 bridge as a source; manage.py runbridge --name NAME runs it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--port", type=int, help="this port alone (default: the first free one of 4475 to 4575)")
        parser.add_argument(
            "--authentication",
            choices=BridgeSource.Authentication.values,
            default=BridgeSource.Authentication.OFF.value,
            help="what desktop agents have to show (default %(default)s)",
        )
        parser.add_argument("--public-keys", default="", metavar="PATH", help="of those who sign JWTs")
        parser.add_argument("--allow-origin", action="append", default=[], metavar="ORIGIN", help="may be repeated")

    def handle(self, *args: Any, **options: Any) -> None:
        own = BridgeSource(
            first_port=options["port"] or FIRST_PORT,
            last_port=options["port"] or LAST_PORT,
            authentication=options["authentication"],
            public_keys=options["public_keys"],
            allowed_origins="\n".join(options["allow_origin"]),
        )
        try:
            source = add_bridge(options["name"], own, actor=command_line_actor())
        except ValidationError as error:
            raise wrong_use(error) from None
        self.stdout.write(f"Bridge {source.name} added; manage.py runbridge --name {source.name} runs it.")
