"""What an agent shows to a bridge that asks who it is, and how it tells one bridge from another (R9, R10, R17)."""

from collections.abc import Callable
from pathlib import Path

from bridge.server.settings import BadSetting
from bridge.server.tokens import MAX_TOKEN, TokenCheck, public_keys, signer

#: A bridge signs the token of its hello when the socket opens.
AGE = 60.0


def token_of(path: Path) -> Callable[[], str]:
    """The content of a file, read anew for each handshake: an API key may be rotated. Raises BadSetting."""

    def read() -> str:
        try:
            with path.open(encoding="ascii") as file:
                token = file.read(MAX_TOKEN + 1).strip()
        except (OSError, ValueError) as error:
            raise BadSetting(f"{path} cannot be read: {getattr(error, 'strerror', 'it is no text')}") from None
        if not token or len(token) > MAX_TOKEN:
            raise BadSetting(f"{path} has no token")
        return token

    read()
    return read


def signs_with(path: Path) -> Callable[[], str]:
    """A JWT for each handshake, signed with the private key `<sub>.pem`. Raises BadSetting."""
    return signer(path)


def trusts(path: Path) -> Callable[[str | None], bool]:
    """Whether a bridge has the private half of one of these keys. Raises BadSetting."""
    check = TokenCheck(public_keys(path), AGE)
    return lambda token: token is not None and check.principal(token) is not None
