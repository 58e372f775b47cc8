from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandParser

from agents.management.sources import secret_in, wrong_use
from agents.models import Credential, Source
from agents.sources import add_source
from agents.webconnect.kind import WEBCONNECT
from agents.webconnect.models import OFFERED_BASE_URL, WebConnectSource
from apikeys.actors import command_line_actor

Purpose = Credential.Purpose


class Command(BaseCommand):
    help = "Add a WebConnect source. Keys are read from files or standard input, never from the command line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--base-url", default=OFFERED_BASE_URL)
        parser.add_argument("--time-zone", default="UTC")
        parser.add_argument("--contract", default="", help="what the remote counts requests by; the name by default")
        parser.add_argument("--requests-per-minute", type=int, default=100, help="0: no limit")
        parser.add_argument("--polling", type=float, default=10, help="seconds between two readings")
        parser.add_argument("--settle", type=float, default=5, help="seconds to wait after a lost answer")
        parser.add_argument("--confirm-within", type=float, default=120, help="seconds to confirm an outcome in")
        parser.add_argument("--proxy", default="")
        parser.add_argument("--ca-bundle", default="")
        parser.add_argument("--read-key-file", required=True, help="the key with Agent: Get; -: standard input")
        parser.add_argument(
            "--disconnect-key-file",
            help="the key with Agent: Disconnect (the reading one by default); -: standard input",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reading = secret_in(options["read_key_file"])
        disconnecting = secret_in(options["disconnect_key_file"]) if options["disconnect_key_file"] else reading
        source = Source(
            name=options["name"],
            kind=WEBCONNECT.name,
            polling_seconds=options["polling"],
            settle_seconds=options["settle"],
            confirm_seconds=options["confirm_within"],
        )
        own = WebConnectSource(
            base_url=options["base_url"].rstrip("/"),
            time_zone=options["time_zone"],
            proxy=options["proxy"],
            ca_bundle=options["ca_bundle"],
        )
        try:
            add_source(
                source=source,
                own=own,
                contract=options["contract"],
                requests_per_minute=options["requests_per_minute"],
                secrets={Purpose.READING: reading, Purpose.DISCONNECTING: disconnecting},
                actor=command_line_actor(),
            )
        except ValidationError as error:
            raise wrong_use(error) from None
        self.stdout.write(f"Source {source.name} added; it is read as soon as a worker runs.")
