"""Django's command of this name, but on record, and with what a new password ends here."""

import getpass
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from apikeys.actors import command_line_actor
from console.models import User
from console.people.services import set_password

TRIES = 3


class Command(BaseCommand):
    help = "Set a person's password, which ends all their sign-ins."
    requires_migrations_checks = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", nargs="?", default=getpass.getuser())

    def handle(self, *, username: str, **options: Any) -> None:
        try:
            person = User.objects.get(username=username)
        except User.DoesNotExist:
            raise CommandError(f"There is no person named {username}.") from None
        for _ in range(TRIES):
            if password := self._asked(person):
                set_password(person=person, password=password, actor=command_line_actor())
                self.stdout.write(f"The password of {person} is changed.")
                return
        raise CommandError(f"Given up after {TRIES} tries: the password of {person} is as it was.")

    def _asked(self, person: User) -> str | None:
        """None, and why on standard error, where it can't be taken."""
        password = getpass.getpass("New password: ")
        if password != getpass.getpass("Once more: "):
            self.stderr.write("These are not the same.")
            return None
        try:
            validate_password(password, person)
        except ValidationError as error:
            self.stderr.write("\n".join(error.messages))
            return None
        return password
