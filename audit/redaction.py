"""The one redactor: nothing secret, nothing endless and nothing that a database refuses gets into an event."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from audit.canonical import data_text

REDACTED = "[redacted]"
LONGEST_TEXT = 2_000
LONGEST_DATA = 20_000
MOST_ITEMS = 200
DEEPEST = 6

type Json = str | int | float | bool | None | list[Json] | dict[str, Json]

_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|api_?key|authori[sz]ation|credential|private_?key|cookie|(^|_)otp(_|$)"
)
# `credential_purpose` or `api_key_name` say which one is meant, not what it holds.
_NAMES_ONE = re.compile(r"_(name|kind|purpose|at|prefix)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_SHAPE = re.compile(
    r"""
      \b(?P<scheme>bearer|basic)\s+(?=\S*\d|\S{20})[A-Za-z0-9._~+/=-]{8,}
    | (?P<url>\b[a-z][a-z0-9+.-]{0,20}://)[^\s/@]+@                               # user:password@ in a URL
    | (?P<key>\bac_[0-9A-Za-z]{12}_)[0-9A-Za-z]{34}\b                        # API key of the console
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*                 # JSON Web Token
    | -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----(?:.*?-----END\ [A-Z ]*PRIVATE\ KEY-----|.*)
    | (?P<name>["']?\b(?:password|passwd|secret|token|api[_-]?key|authorization)["']?\s*(?:=|["']\s*:)\s*["']?)
      (?:(?:bearer|basic)\s+)?[^\s"'&,;}]+
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def safe_text(text: str, longest: int = LONGEST_TEXT) -> str:
    """`text` without secret shapes, NUL or lone surrogates, and with a visible mark where it was cut."""
    length = len(text)
    # What follows is never kept, yet may end a secret that begins before the cut.
    text = text[: longest + 500]
    if _UNSTORABLE.search(text):
        text = _UNSTORABLE.sub(lambda found: "\u2400" if found[0] == "\x00" else "\ufffd", text)
    text = _SECRET_SHAPE.sub(_masked, text)
    if length <= longest and len(text) <= longest:
        return text
    mark = f"… [{length} characters]"
    return text[: longest - len(mark)] + mark


def _masked(found: re.Match[str]) -> str:
    if found["scheme"]:
        return f"{found['scheme']} {REDACTED}"
    if found["key"]:
        return f"{found['key']}{REDACTED}"
    if found["url"]:
        return f"{found['url']}{REDACTED}@"
    return f"{found['name'] or ''}{REDACTED}"


def safe_data(data: Mapping[str, Any]) -> str:
    """The JSON text of `data` as an event keeps it: redacted, bounded, in canonical form."""
    text = data_text(_object(data, DEEPEST))
    if len(text) <= LONGEST_DATA:
        return text
    return data_text({"cut": f"[{len(text)} characters were too many to keep]", "beginning": text[: LONGEST_DATA // 2]})


def _object(data: Mapping[Any, Any], depth: int) -> dict[str, Json]:
    kept: dict[str, Json] = {}
    for position, (name, value) in enumerate(data.items()):
        if position == MOST_ITEMS:
            kept["…"] = f"[{len(data) - MOST_ITEMS} more]"
            break
        key = safe_text(str(name), 200)
        kept[key] = REDACTED if _is_secret(key, value) else _value(value, depth - 1)
    return kept


def _is_secret(name: str, value: Any) -> bool:
    if value is None or value is True or value is False or value == "":
        return False
    words = _CAMEL.sub("_", name).lower().replace("-", "_").replace(" ", "_")
    return bool(_SECRET_NAME.search(words)) and not _NAMES_ONE.search(words)


def _value(value: Any, depth: int) -> Json:
    match value:
        case None | bool():
            return value
        case int():
            return int(value) if abs(value) < 2**53 else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return safe_text(str(value))
        case Mapping() | list() | tuple() | set() | frozenset() if depth <= 0:
            return "[too deep to keep]"
        case Mapping():
            return _object(value, depth)
        case set() | frozenset():
            return _items(sorted(value, key=str), depth)
        case list() | tuple():
            return _items(value, depth)
        case _:
            return safe_text(str(value))


def _items(values: list[Any] | tuple[Any, ...], depth: int) -> list[Json]:
    kept = [_value(value, depth - 1) for value in values[:MOST_ITEMS]]
    if len(values) > MOST_ITEMS:
        kept.append(f"[{len(values) - MOST_ITEMS} more]")
    return kept
