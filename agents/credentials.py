"""The secrets that the console holds for its sources: encrypted at rest, decrypted only for a call.

The key ring (`CONSOLE_CREDENTIAL_KEYS`, newest first) is independent of Django's secret key. What no key of the ring
decrypts is left as it is: a key found again makes it readable again.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from agents.models import Credential, Source


class CredentialUnreadable(Exception):
    """No key of the ring decrypts this credential."""

    def __init__(self, credential: Credential) -> None:
        self.source_name = credential.source.name
        super().__init__(
            f"The credential for {credential.purpose} can't be decrypted: the key that encrypted it is not in "
            "CONSOLE_CREDENTIAL_KEYS. Give that key back, or replace the credential."
        )


@dataclass(frozen=True)
class Secret:
    """A decrypted credential. It never shows in a repr, so not in a traceback or a log either."""

    value: str

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__


def _ring() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CONSOLE_CREDENTIAL_KEYS])


def encrypt(secret: Secret) -> str:
    return _ring().encrypt(secret.value.encode()).decode()


def decrypt(credential: Credential) -> Secret:
    """Raises `CredentialUnreadable`."""
    try:
        return Secret(_ring().decrypt(credential.encrypted.encode()).decode())
    except InvalidToken:
        raise CredentialUnreadable(credential) from None


def reencrypted(credential: Credential) -> str:
    """The same secret under the newest key. Raises `CredentialUnreadable`."""
    try:
        return _ring().rotate(credential.encrypted.encode()).decode()
    except InvalidToken:
        raise CredentialUnreadable(credential) from None


def secret_of(source: Source, purpose: Credential.Purpose) -> Secret | None:
    """The source's secret for `purpose`, or None where it has none. Raises `CredentialUnreadable`."""
    credential = source.credentials.filter(purpose=purpose).first()
    return decrypt(credential) if credential else None


def store(source: Source, purpose: Credential.Purpose, secret: Secret, *, at: datetime) -> None:
    Credential.objects.update_or_create(
        source=source,
        purpose=purpose,
        defaults={"encrypted": encrypt(secret), "replaced_at": at, "rejected_at": None},
    )
