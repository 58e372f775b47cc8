"""Secrets that the console makes for itself where the environment gives none: one file each, mode 0600."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def random_text() -> str:
    return secrets.token_urlsafe(48)


def kept_secret(folder: Path, name: str, make: Callable[[], str] = random_text) -> str:
    """The secret in `folder/name`, made on the first call.

    Several processes may start at once: each writes a file of its own and links it to the name, and the link of
    only one succeeds, so that all read the same secret and none reads half of one.
    """
    path = folder / name
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
