"""What the commands about sources share."""

import sys
from pathlib import Path

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from agents.credentials import Secret
from agents.models import Source
from agents.sources import clean_secret

WRONG_USE = 2


def source_named(name: str) -> Source:
    """Raises CommandError where there is none."""
    source = Source.objects.filter(name=name).first()
    if source is None:
        raise CommandError(f"There is no source named {name}.", returncode=WRONG_USE)
    return source


def secret_in(path: str) -> Secret:
    """The key in a file, or in the next line of standard input for `-`. Raises CommandError."""
    try:
        text = sys.stdin.readline() if path == "-" else Path(path).read_text()
        return clean_secret(text)
    except OSError as error:
        raise CommandError(f"The key file {path} can't be read: {error.strerror}.", returncode=WRONG_USE) from None
    except (ValidationError, UnicodeDecodeError) as error:
        why = error.messages[0] if isinstance(error, ValidationError) else "it is not text"
        raise CommandError(f"The key in {path} can't be used: {why}", returncode=WRONG_USE) from None


def wrong_use(error: ValidationError) -> CommandError:
    """A sentence for each field that is wrong."""
    if not hasattr(error, "error_dict"):
        return CommandError("\n".join(error.messages), returncode=WRONG_USE)
    fields = error.message_dict.items()
    sentences = [f"{name.replace('_', ' ')}: {text}" for name, texts in fields for text in texts]
    return CommandError("\n".join(sentences), returncode=WRONG_USE)
