"""API keys and their scopes. Only digests are kept; the log and the page know a key by its name."""

import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.webconnect.standin.wanted import BadInput

SCOPES = ("agent:get", "agent:disconnect", "service-status:get", "relay-log:get")
READING = ("agent:get", "service-status:get", "relay-log:get")
NAME = re.compile(r"[\w.-]{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    secret: str = field(repr=False)
    scopes: frozenset[str]
    expired: bool = False


class KeyRing:
    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._by_digest: dict[bytes, Key] = {}
        for key in keys:
            self.add(key)

    def add(self, key: Key) -> None:
        """A key of the same name is replaced: that is what rotating a key looks like from outside."""
        self.remove(key.name)
        self._by_digest[_digest(key.secret)] = key

    def remove(self, name: str) -> None:
        self._by_digest = {digest: key for digest, key in self._by_digest.items() if key.name != name}

    def find(self, secret: str) -> Key | None:
        return self._by_digest.get(_digest(secret))

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_digest.values())


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def bearer(authorization: str | None) -> str | None:
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def parse(rows: object) -> list[Key]:
    """`[{"name": "reader", "key": "…", "scopes": ["agent:get"]}]`; name and expired may be left out."""
    if not isinstance(rows, list):
        raise BadInput('Keys are a list of {"name", "key", "scopes"}.')
    return [_parse_one(row, f"key-{number}") for number, row in enumerate(rows, 1)]


def _parse_one(row: object, default_name: str) -> Key:
    if not isinstance(row, dict):
        raise BadInput(f'{default_name} is not an object with "key" and "scopes".')
    name, secret, scopes = row.get("name", default_name), row.get("key"), row.get("scopes", list(SCOPES))
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise BadInput(f"The name of {default_name} is not 1 to 40 letters, digits, '_', '-' or '.'.")
    if not isinstance(secret, str) or not 8 <= len(secret) <= 512:
        raise BadInput(f"{name} needs a key of 8 to 512 characters.")
    if not isinstance(scopes, list) or not set(map(str, scopes)) <= set(SCOPES):
        raise BadInput(f"The scopes of {name} must be among {', '.join(SCOPES)}.")
    return Key(name, secret, frozenset(scopes), row.get("expired") is True)


def read_file(path: Path) -> list[Key]:
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise BadInput(f"{path} can be read by others. Mend it with: chmod 600 {path}")
            return parse(json.load(file))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise BadInput(f"The keys cannot be read from {path}: {reason}.") from None


def write_file(path: Path, keys: Sequence[Key]) -> None:
    """Fails where the file exists: it may be the only copy of keys in use."""
    rows = [{"name": key.name, "key": key.secret, "scopes": sorted(key.scopes)} for key in keys]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=2)


def fresh_keys() -> list[Key]:
    """One key for each task, and one for both."""
    return [
        Key("reader", secrets.token_hex(16), frozenset(READING)),
        Key("disconnector", secrets.token_hex(16), frozenset({"agent:disconnect"})),
        Key("all", secrets.token_hex(16), frozenset(SCOPES)),
    ]
