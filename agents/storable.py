"""What came from a remote, as a database will take it: no text that it refuses, and nothing endless."""

import re

# PostgreSQL refuses U+0000; a lone surrogate can't be encoded at all.
_REFUSED = re.compile("[\x00\ud800-\udfff]")
_LONGEST, _MOST, _DEEPEST = 2_000, 200, 6


def storable(text: str) -> str:
    return _REFUSED.sub("\ufffd", text)


def storable_json(value: object, depth: int = _DEEPEST) -> object:
    """A parsed JSON value, cut where it is longer, larger or deeper than any that the remote documents."""
    match value:
        case str():
            return storable(value[:_LONGEST])
        case None | bool():
            return value
        case list() | dict() if not depth:
            return "…"
        case list():
            return [storable_json(each, depth - 1) for each in value[:_MOST]]
        case dict():
            names = list(value)[:_MOST]
            return {storable(str(name)[:_LONGEST]): storable_json(value[name], depth - 1) for name in names}
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case int() if abs(value) >= 2**63:
            return str(value)[:_LONGEST]
        case _:
            return value
