from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from agents.management.sources import WRONG_USE, secret_in, source_named, wrong_use
from agents.models import Credential, Source
from agents.sources import change_source
from agents.webconnect.kind import WEBCONNECT
from apikeys.actors import command_line_actor

Purpose = Credential.Purpose
#: Options and the columns that they change: of the source, and of what only WebConnect has.
_GENERAL = {"polling": "polling_seconds", "settle": "settle_seconds", "confirm_within": "confirm_seconds"}
_OWN = ("base_url", "time_zone", "proxy", "ca_bundle")


class Command(BaseCommand):
    help = "Change a WebConnect source, or replace its keys; what is not given stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--rename", metavar="NAME")
        parser.add_argument("--base-url")
        parser.add_argument("--time-zone")
        parser.add_argument("--contract")
        parser.add_argument("--requests-per-minute", type=int, help="0: no limit")
        parser.add_argument("--polling", type=float, help="seconds between two readings")
        parser.add_argument("--settle", type=float, help="seconds to wait after a lost answer")
        parser.add_argument("--confirm-within", type=float, help="seconds to confirm an outcome in")
        parser.add_argument("--proxy", help="empty: none")
        parser.add_argument("--ca-bundle", help="empty: the well-known authorities")
        parser.add_argument("--read-key-file", help="a new key with Agent: Get; -: standard input")
        parser.add_argument("--disconnect-key-file", help="a new key with Agent: Disconnect; -: standard input")

    def handle(self, *args: Any, **options: Any) -> None:
        source = source_named(options["name"])
        if source.kind != WEBCONNECT.name:
            raise CommandError(f"{source.name} is not a {WEBCONNECT.label} source.", returncode=WRONG_USE)
        contract, requests_per_minute = _change(source, options)
        files = {Purpose.READING: options["read_key_file"], Purpose.DISCONNECTING: options["disconnect_key_file"]}
        try:
            change_source(
                source=source,
                own=source.webconnect,
                contract=contract,
                requests_per_minute=requests_per_minute,
                secrets={purpose: secret_in(path) for purpose, path in files.items() if path},
                actor=command_line_actor(),
            )
        except ValidationError as error:
            raise wrong_use(error) from None
        self.stdout.write(f"Source {source.name} changed.")


def _change(source: Source, options: dict[str, Any]) -> tuple[str, int]:
    """Set what is given; returns the name of the contract and its allowance."""
    source.name = options["rename"] or source.name
    for option, column in _GENERAL.items():
        if options[option] is not None:
            setattr(source, column, options[option])
    for column in _OWN:
        if options[column] is not None:
            setattr(source.webconnect, column, options[column].rstrip("/") if column == "base_url" else options[column])
    contract = source.contract
    allowance = options["requests_per_minute"]
    if allowance is None:
        allowance = contract.requests_per_minute if contract else 100
    return options["contract"] or (contract.name if contract else ""), allowance
