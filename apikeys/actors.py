"""Who acts: the one way to make an `audit.actors.Actor` of a person, of the command line and of the console."""

from typing import TYPE_CHECKING

from apikeys.rights import Right, rights_of
from audit.actors import Actor, command_line

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser


def person_actor(person: "AbstractUser") -> Actor:
    return Actor("person", str(person.pk), person.get_username(), frozenset(rights_of(person)))


def command_line_actor() -> Actor:
    """Whoever may run `manage.py` holds the database and the secrets, and so every right."""
    return command_line(frozenset(Right))
