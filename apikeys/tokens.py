"""The text of an API key: `ac_`, the public part, `_`, the secret and its checksum; letters and digits in each part.

    ac_8sKq0ZtB4hXe_Jt3…28 characters…Wq0aB3dE
       public part  secret              checksum

The public part finds the key and may be shown. The secret holds 166 random bits. The checksum is the CRC-32 of all
that stands before it, so that a typing error is told without a look-up, and a scanner of leaked secrets knows a real
key from a lookalike.
"""

import re
import secrets
import string
from dataclasses import dataclass
from zlib import crc32

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
PUBLIC_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 28, 6
#: What docs/api-keys.md gives to scanners.
PATTERN = r"\bac_[0-9A-Za-z]{12}_[0-9A-Za-z]{34}\b"
_WHOLE = re.compile(r"ac_(?P<public>[0-9A-Za-z]{12})_(?P<secret>[0-9A-Za-z]{28})(?P<checksum>[0-9A-Za-z]{6})")


class Malformed(Exception):
    """The text has not the form of an API key."""


class Mistyped(Exception):
    """It has the form, but its checksum says that a character is wrong."""


@dataclass(frozen=True)
class Token:
    """A whole key. It never shows in a repr, so not in a traceback or a log either."""

    public_part: str
    text: str

    def __repr__(self) -> str:
        return f"Token({self.public_part}, …)"

    __str__ = __repr__


def new_token() -> Token:
    public = _random(PUBLIC_LENGTH)
    body = f"ac_{public}_{_random(SECRET_LENGTH)}"
    return Token(public, body + checksum(body))


def parse(text: str) -> Token:
    """Raises `Malformed` or `Mistyped`; neither repeats the text."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise Malformed
    if checksum(text[:-CHECKSUM_LENGTH]) != found["checksum"]:
        raise Mistyped
    return Token(found["public"], text)


def checksum(body: str) -> str:
    number, digits = crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
