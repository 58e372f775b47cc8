"""What the commands about sinks and exports share."""

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from audit.access import MANAGE, READ
from audit.actors import Actor, command_line
from audit.streams.models import Sink

WRONG_USE = 2


def manager() -> Actor:
    """Whoever may run `manage.py` holds the database and the secrets, and so these rights."""
    return command_line(frozenset({READ, MANAGE}))


def sink_named(name: str) -> Sink:
    """Raises CommandError where there is none."""
    sink = Sink.objects.filter(name=name).first()
    if sink is None:
        raise CommandError(f"There is no sink named {name}.", returncode=WRONG_USE)
    return sink


def wrong_use(error: ValidationError) -> CommandError:
    """A sentence for each option that is wrong."""
    if not hasattr(error, "error_dict"):
        return CommandError("\n".join(error.messages), returncode=WRONG_USE)
    fields = error.message_dict.items()
    sentences = [f"{name.replace('_', '-')}: {text}" for name, texts in fields for text in texts]
    return CommandError("\n".join(sentences), returncode=WRONG_USE)
