"""The Ed25519 keys with which the console signs checkpoints, cuts and files of its audit log.

The first of `CONSOLE_AUDIT_SIGNING_KEYS` signs. A key is the URL-safe base64 of its 32 secret bytes.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from audit.verify_audit import key_id, signed_bytes


def new_signing_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def signing_keys(value: str) -> list[str]:
    """A parser of keys with commas between, newest first."""
    keys = [key.strip() for key in value.split(",") if key.strip()]
    for key in keys:
        try:
            _private(key)
        except ValueError:
            raise ValueError("holds something that is not 32 bytes as URL-safe base64") from None
    return keys


@cache
def _private(key: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(key, altchars=b"-_", validate=True))


class Signer:
    """One key."""

    def __init__(self, key: str) -> None:
        self._key = _private(key)
        self.id = key_id(self._key.public_key())

    @property
    def public_pem(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def signed(self, word: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """`facts`, a statement of the kind `word`, with the ID of the key and the signature."""
        stated = {**facts, "key": self.id}
        return {**stated, "signature": base64.b64encode(self._key.sign(signed_bytes(word, stated))).decode()}


def signers() -> list[Signer]:
    """All that are given, the one that signs first."""
    return [Signer(key) for key in settings.CONSOLE_AUDIT_SIGNING_KEYS]


def signed(word: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """`facts` signed with the newest key."""
    return signers()[0].signed(word, facts)
