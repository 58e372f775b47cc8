import getpass
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apikeys import digests, scopes, tokens
from apikeys.models import ApiKeySecret


class Command(BaseCommand):
    help = "Read an API key from standard input and say what it is, without printing it. Changes and records nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        secret = self._secret(_read())
        key, at = secret.key, timezone.now()
        owner = key.owner.get_username() if key.owner else "the console itself"
        self.stdout.write(f"Name: {key.name}")
        self.stdout.write(f"Owner: {owner}{'' if key.owner is None or key.owner.is_active else ' (deactivated)'}")
        self.stdout.write(f"Scopes: {', '.join(scopes.labels_of(key.scopes))}")
        self.stdout.write(f"Good until: {key.expires_at:%Y-%m-%d %H:%M} UTC")
        if secret.ends_at:
            self.stdout.write(f"Replaced: this secret ends {secret.ends_at:%Y-%m-%d %H:%M} UTC")
        replaced = secret.ends_at is not None and secret.ends_at <= at
        deactivated = key.owner is not None and not key.owner.is_active
        state = "replaced" if replaced and not key.revoked_at else key.state(at)
        self.stdout.write(f"State: {state}")
        if deactivated or state not in ("active", "expiring"):
            raise CommandError("It opens nothing.")

    def _secret(self, text: str) -> ApiKeySecret:
        try:
            token = tokens.parse(text)
        except tokens.Malformed:
            raise CommandError("That has not the form of an API key of this console.", returncode=2) from None
        except tokens.Mistyped:
            raise CommandError("A character is wrong or missing: the checksum does not fit.", returncode=2) from None
        secret = ApiKeySecret.objects.select_related("key__owner").filter(public_part=token.public_part).first()
        if secret is None or not digests.matches(token, digest=secret.digest, wanted=secret.pepper_id):
            raise CommandError("It has the form of an API key, but this console did not issue it.", returncode=3)
        return secret


def _read() -> str:
    return (getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()
