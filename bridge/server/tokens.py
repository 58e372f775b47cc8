"""JSON Web Tokens, as the connection protocol has them (step 3): which agent is it, and is it really this bridge?

A token names the pair of keys that signed it (`sub`, a UUID: R17) and when (`iat`, as ISO 8601 text where every other
JWT has a number). The specification leaves the rest open; here only signatures with a private key count, since whoever
can check a shared secret can also sign with it; a token is good for a minute and for one connection.
"""

import hashlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from bridge.server.settings import BadSetting

MAX_TOKEN = 8 * 1024
#: How far a clock may be ahead of ours.
AHEAD = 5.0
#: Used tokens that are remembered; more than so many good ones in a minute are somebody's mistake.
MAX_USED = 10_000
MIN_RSA_BITS = 2048

logger = logging.getLogger("bridge.server")

type PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


class _Refused(Exception):
    """Why, without a word of the token."""


class TokenCheck:
    """`await check(token)` gives the `sub` of a good token, or None; why not is in the log."""

    def __init__(self, keys: Mapping[str, PublicKey], age: float, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._age = age
        self._now = now
        #: What was used before this began is not remembered, so what was signed before it is refused.
        self._began = float(int(now()))
        self._used: set[bytes] = set()
        self._used_in_order: deque[tuple[float, bytes]] = deque()

    async def __call__(self, token: str) -> str | None:
        return self.principal(token)

    def principal(self, token: str) -> str | None:
        try:
            return self._principal(token)
        except _Refused as refused:
            logger.warning("A token was refused: %s", refused)
        except (jwt.InvalidTokenError, RecursionError) as error:
            # Some of their texts quote claims; the type is enough.
            logger.warning("A token was refused: %s", type(error).__name__)
        return None

    def _principal(self, token: str) -> str:
        if len(token) > MAX_TOKEN or not token.isascii():
            raise _Refused("it is too long or not ASCII")
        sub = jwt.decode(token, options={"verify_signature": False}).get("sub")
        key = self._keys.get(_uuid(sub))
        if key is None:
            raise _Refused("no public key is known by its sub")
        claims = jwt.decode(
            token,
            key,
            algorithms=_algorithms(key),
            # PyJWT takes iat for a number.
            options={"verify_iat": False, "require": ["sub", "iat"]},
        )
        at = self._now()
        self._check_issued(claims["iat"], at)
        self._use_once(token, at)
        return str(sub)

    def _check_issued(self, iat: object, at: float) -> None:
        try:
            issued = datetime.fromisoformat(iat) if isinstance(iat, str) else None
        except ValueError:
            issued = None
        if issued is None or issued.tzinfo is None:
            raise _Refused("its iat is no ISO 8601 time with a zone")
        age = at - issued.timestamp()
        if age > self._age:
            raise _Refused(f"it was signed {age:.0f} s ago")
        if age < -AHEAD:
            raise _Refused(f"it was signed {-age:.0f} s in the future")
        if issued.timestamp() < self._began:
            raise _Refused("it was signed before this bridge began")

    def _use_once(self, token: str, at: float) -> None:
        # What was signed, without the signature: of some signatures anybody can make a second valid one.
        mark = hashlib.sha256(token.rpartition(".")[0].encode()).digest()
        while self._used_in_order and self._used_in_order[0][0] < at:
            self._used.discard(self._used_in_order.popleft()[1])
        if mark in self._used:
            raise _Refused("it was used before")
        if len(self._used) >= MAX_USED:
            raise _Refused("too many tokens were used within a minute")
        self._used.add(mark)
        self._used_in_order.append((at + self._age + AHEAD, mark))


def _uuid(sub: object) -> str:
    """As the names of the keys are written: UUIDs may come in capitals or in braces."""
    try:
        return str(UUID(sub)) if isinstance(sub, str) else ""
    except ValueError:
        return ""


def _algorithms(key: PublicKey) -> list[str]:
    """What this kind of key signs; never what the token's own header asks for."""
    if isinstance(key, rsa.RSAPublicKey):
        return list(_RSA)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return [_CURVES[key.curve.name]]
    return ["EdDSA"]


def public_keys(path: Path) -> dict[str, PublicKey]:
    """By `sub`: the files `<sub>.pem` and `<sub>.jwk` of a folder, or the keys of a JWK set, whose `kid` is the sub."""
    try:
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix in (".pem", ".jwk"))
            found = [(file.stem, _load(file.read_bytes(), file)) for file in files]
        else:
            entries = json.loads(path.read_bytes())["keys"]
            found = [(entry.get("kid", ""), _from_jwk(entry, path)) for entry in entries]
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadSetting(f"{path} is neither a folder of keys nor a JWK set") from None
    if not found:
        raise BadSetting(f"{path} has no key")
    keys = {_uuid(sub): key for sub, key in found}
    if "" in keys or len(keys) < len(found):
        raise BadSetting(f"{path}: each key is named by a UUID of its own")
    return keys


def _load(content: bytes, file: Path) -> PublicKey:
    if file.suffix == ".jwk":
        return _from_jwk(json.loads(content), file)
    if b"PRIVATE KEY" in content:
        raise BadSetting(f"{file} holds a private key; the bridge needs the public one only")
    try:
        return _strong(load_pem_public_key(content), file)
    except (ValueError, UnsupportedAlgorithm):
        raise BadSetting(f"{file} is no public key in PEM") from None


def _from_jwk(entry: dict[str, Any], file: Path) -> PublicKey:
    try:
        return _strong(jwt.PyJWK(entry).key, file)
    except jwt.PyJWTError:
        raise BadSetting(f"{file} has a key that cannot be read") from None


def _strong(key: object, file: Path) -> PublicKey:
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return key
    raise BadSetting(
        f"{file}: a public key of RSA ({MIN_RSA_BITS} bits), of P-256, P-384, P-521, or of Ed25519 is needed"
    )


def signer(path: Path) -> Callable[[], str]:
    """Makes a new token for each hello, signed with the private key `<sub>.pem`."""
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise BadSetting(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadSetting(f"{path} is no private key in PEM without a password") from None
    sub = _uuid(path.stem)
    if not sub:
        raise BadSetting(f"{path}: the file is named by the UUID of the key")
    algorithm = _algorithms(_strong(key.public_key(), path))[0]

    def sign() -> str:
        issued = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return jwt.encode({"sub": sub, "iat": issued, "jti": str(uuid4())}, key, algorithm=algorithm)  # type: ignore[arg-type]

    return sign
