"""Messages that are none: what can still be read of them, and how deep is too deep."""

import re

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec.json import Decoder

from bridge.protocol.parts import Name

# As deep as the readers with the least patience go (System.Text.Json).
DEEPEST = 64
# A reason may quote what it is about.
LONGEST_REASON = 200


class Malformed(Exception):
    """No valid message. Carries what could still be read of its envelope, to answer it by (R54, R55)."""

    def __init__(
        self, why: str, type: str | None = None, request_uuid: str | None = None, response_uuid: str | None = None
    ) -> None:
        self.why = why if len(why) <= LONGEST_REASON else why[:LONGEST_REASON] + " …"
        super().__init__(self.why)
        self.type = type
        self.request_uuid = request_uuid
        self.response_uuid = response_uuid


class Unparseable(Malformed):
    """Not even JSON in UTF-8: nothing can be read of it."""


class _Head(Struct):
    type: Raw = Raw()
    payload: Raw = Raw()
    meta: Raw = Raw()


class _HeadMeta(Struct, rename="camel"):
    request_uuid: Raw = Raw()
    response_uuid: Raw = Raw()


class _HeadPayload(Struct):
    error: Raw = Raw()


_head = Decoder(_Head)
_head_meta = Decoder(_HeadMeta)
_head_payload = Decoder(_HeadPayload)
_name = Decoder(Name)


def malformed(raw: bytes, why: str) -> Malformed:
    try:
        head = _head.decode(raw)
    except ValidationError:
        return Malformed(why)
    except (DecodeError, RecursionError) as wrong:
        return Unparseable(str(wrong))
    try:
        meta = _head_meta.decode(head.meta)
    except DecodeError:
        meta = _HeadMeta()
    return Malformed(why, _read(head.type), _read(meta.request_uuid), _read(meta.response_uuid))


def _read(raw: Raw) -> str | None:
    try:
        return _name.decode(raw)
    except DecodeError:
        return None


def is_error_form(raw: bytes) -> bool:
    """Success and error share a type: only a string `payload.error` tells them apart."""
    try:
        return bytes(_head_payload.decode(_head.decode(raw).payload).error).startswith(b'"')
    except DecodeError:
        return False


_strings = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_to_braces = bytes.maketrans(b"[]", b"{}")
_all_else = bytes(byte for byte in range(256) if byte not in b"{}[]")


def too_deep(raw: bytes) -> bool:
    """Whether values nest deeper than `DEEPEST`. No recursion: all innermost pairs go at once, as often as allowed."""
    if raw.count(b"{") + raw.count(b"[") <= DEEPEST:
        return False
    braces = _strings.sub(b"", raw).translate(_to_braces, _all_else)
    for _ in range(DEEPEST):
        braces = braces.replace(b"{}", b"")
    return bool(braces)
