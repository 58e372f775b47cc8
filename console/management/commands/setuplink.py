from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.timezone import now

from apikeys.actors import command_line_actor
from console.people.links import AlreadySetUp, setup_link


class Command(BaseCommand):
    help = "Prints a fresh one-time link that makes the first Administrator. The link printed before it ends."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            url = setup_link(actor=command_line_actor(), at=now())
        except AlreadySetUp:
            raise CommandError(
                "There is an active Administrator already, who adds people at /people/. "
                "An Administrator who forgot the password gets a new one with: manage.py changepassword NAME",
                returncode=2,
            ) from None
        self.stdout.write(url)
