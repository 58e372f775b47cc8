"""Secrets that the console must be able to use again: encrypted at rest, decrypted only for a call.

The key ring (`CONSOLE_CREDENTIAL_KEYS`, newest first) is independent of Django's secret key. What no key of the ring
decrypts is left as it is: a key found again makes it readable again.
"""

from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """No key of the ring decrypts this."""


@dataclass(frozen=True)
class Secret:
    """A decrypted secret. It never shows in a repr, so not in a traceback or a log either."""

    value: str

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


def _ring() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CONSOLE_CREDENTIAL_KEYS])


def seal(secret: Secret) -> str:
    return _ring().encrypt(secret.value.encode()).decode()


def unseal(sealed: str) -> Secret:
    """Raises `Unreadable`."""
    try:
        return Secret(_ring().decrypt(sealed.encode()).decode())
    except InvalidToken:
        raise Unreadable from None


def resealed(sealed: str) -> str:
    """The same secret under the newest key. Raises `Unreadable`."""
    try:
        return _ring().rotate(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable from None
