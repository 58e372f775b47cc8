from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from apikeys.models import ApiKey


class Command(BaseCommand):
    help = "List API keys, one on each line with tabs between: ID, state, name, owner, scopes, last used, good until."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="revoked ones too")

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        keys = ApiKey.objects.all() if options["all"] else ApiKey.objects.live()
        for key in keys.select_related("owner").order_by("name", "pk").iterator():
            used = f"{key.last_used_at:%Y-%m-%dT%H:%M:%SZ}" if key.last_used_at else "never"
            owner = key.owner.get_username() if key.owner else "the console"
            end = f"{key.expires_at:%Y-%m-%dT%H:%M:%SZ}"
            words = [str(key.pk), key.state(at), key.name, owner, ",".join(key.scopes), used, end]
            self.stdout.write("\t".join(words))
