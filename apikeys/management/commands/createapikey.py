import re
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apikeys.actors import command_line_actor
from apikeys.forms import OFFERED, end_of
from apikeys.scopes import all_scopes
from apikeys.services import Terms, issue_key, longest


class Command(BaseCommand):
    help = "Make an API key and print it, alone and once, on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        known = ", ".join(scope.name for scope in all_scopes())
        parser.add_argument("name")
        parser.add_argument("--scope", action="append", default=[], metavar="SCOPE", help=f"one of {known}; repeatable")
        parser.add_argument("--owner", default="", help="a person; without it the key is the console's own")
        parser.add_argument("--expires", default="", help="a day (2026-12-31) or a time from now (90d); default: 90d")
        parser.add_argument("--source", action="append", default=[], help="a source it may touch; default: all")
        parser.add_argument("--address", action="append", default=[], help="a network it may come from; default: any")
        parser.add_argument("--requests-per-minute", type=int, default=600)
        parser.add_argument("--note", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        terms = Terms(
            name=options["name"],
            note=options["note"],
            owner=_owner(options["owner"]),
            scopes=frozenset(options["scope"]),
            all_sources=not options["source"],
            sources=frozenset(options["source"]),
            addresses=tuple(options["address"]),
            requests_per_minute=options["requests_per_minute"],
            expires_at=_end(options["expires"], at),
        )
        try:
            _, token = issue_key(terms=terms, actor=command_line_actor(), at=at)
        except ValidationError as error:
            said = (f"{name.replace('_', ' ')}: {text}" for name, texts in error.message_dict.items() for text in texts)
            raise CommandError("\n".join(said), returncode=2) from None
        self.stdout.write(token.text)


def _owner(username: str) -> Any:
    if not username:
        return None
    owner = get_user_model().objects.filter(username__iexact=username).first()
    if owner is None:
        raise CommandError(f"There is no person named {username}.", returncode=2)
    return owner


def _end(text: str, at: datetime) -> datetime:
    if not text:
        return at + min(OFFERED, longest())
    days = re.fullmatch(r"(\d{1,5})d", text)
    if days:
        return at + timedelta(days=int(days[1]))
    try:
        return end_of(datetime.strptime(text, "%Y-%m-%d").date())
    except ValueError:
        raise CommandError(f"--expires {text}: give a day like 2026-12-31 or days like 90d.", returncode=2) from None
