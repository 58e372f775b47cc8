"""The secrets that the console holds for its sources, as `audit.sealing` keeps them."""

from datetime import datetime

from agents.models import Credential, Source
from audit.sealing import Secret, Unreadable, resealed, seal, unseal

__all__ = ["CredentialUnreadable", "Secret", "decrypt", "reencrypted", "secret_of", "store"]


class CredentialUnreadable(Exception):
    """No key of the ring decrypts this credential."""

    def __init__(self, credential: Credential) -> None:
        self.source_name = credential.source.name
        super().__init__(
            f"The credential for {credential.purpose} can't be decrypted: the key that encrypted it is not in "
            "CONSOLE_CREDENTIAL_KEYS. Give that key back, or replace the credential."
        )


def decrypt(credential: Credential) -> Secret:
    """Raises `CredentialUnreadable`."""
    try:
        return unseal(credential.encrypted)
    except Unreadable:
        raise CredentialUnreadable(credential) from None


def reencrypted(credential: Credential) -> str:
    """The same secret under the newest key. Raises `CredentialUnreadable`."""
    try:
        return resealed(credential.encrypted)
    except Unreadable:
        raise CredentialUnreadable(credential) from None


def secret_of(source: Source, purpose: Credential.Purpose) -> Secret | None:
    """The source's secret for `purpose`, or None where it has none. Raises `CredentialUnreadable`."""
    credential = source.credentials.filter(purpose=purpose).first()
    return decrypt(credential) if credential else None


def store(source: Source, purpose: Credential.Purpose, secret: Secret, *, at: datetime) -> None:
    Credential.objects.update_or_create(
        source=source,
        purpose=purpose,
        defaults={"encrypted": seal(secret), "replaced_at": at, "rejected_at": None},
    )
