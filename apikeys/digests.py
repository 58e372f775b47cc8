"""What is kept of a key: an HMAC-SHA-256 with a pepper that is not in the database.

No slow password hash: a secret of 166 random bits can't be guessed, and each request pays for it. The ring
(`CONSOLE_API_KEY_PEPPERS`, newest first) lets a pepper be replaced: each digest says by an ID which one made it, and a
key's digest is made anew with the newest when the key is used next.
"""

import hmac
from functools import cache
from hashlib import sha256

from django.conf import settings

from apikeys.tokens import Token

#: Compared with where there is nothing to compare with, so that an unknown key costs what a wrong one does.
NOTHING = "0" * 64


def newest_pepper_id() -> str:
    return pepper_id(settings.CONSOLE_API_KEY_PEPPERS[0])


@cache
def pepper_id(pepper: str) -> str:
    """Names a pepper without telling anything of it."""
    return sha256(b"the ID of the pepper " + pepper.encode()).hexdigest()[:12]


def has_pepper(wanted: str) -> bool:
    return any(pepper_id(pepper) == wanted for pepper in settings.CONSOLE_API_KEY_PEPPERS)


def digest_of(token: Token, wanted: str) -> str:
    """The digest with the pepper of this ID; with the newest, so that nothing matches, where the ring lost it."""
    ring = settings.CONSOLE_API_KEY_PEPPERS
    pepper = next((pepper for pepper in ring if pepper_id(pepper) == wanted), ring[0])
    return hmac.digest(pepper.encode(), token.text.encode(), "sha256").hex()


def matches(token: Token, *, digest: str, wanted: str) -> bool:
    """Whether `digest` was made of this token, in a time that does not tell how much of it is right."""
    return hmac.compare_digest(digest_of(token, wanted), digest)
