from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from apikeys.actors import command_line_actor
from apikeys.models import ApiKey
from apikeys.services import KeyEnded, revoke_key


class Command(BaseCommand):
    help = "Revoke the API key of this name, at once and for good."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        key = ApiKey.objects.live().filter(name=options["name"]).first()
        if key is None:
            raise CommandError(f"There is no live API key named {options['name']}.", returncode=2)
        try:
            revoke_key(key=key, actor=command_line_actor(), at=timezone.now())
        except KeyEnded as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"{key.name} is revoked.")
