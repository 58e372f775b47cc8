"""Text from a remote that a database will take."""

import re

# PostgreSQL refuses U+0000; a lone surrogate can't be encoded at all.
_REFUSED = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    return _REFUSED.sub("\ufffd", text)


def storable_json(value: object) -> object:
    """The same for each text inside a parsed JSON value."""
    match value:
        case str():
            return storable(value)
        case list():
            return [storable_json(each) for each in value]
        case dict():
            return {storable(str(key)): storable_json(each) for key, each in value.items()}
        case float() if value != value or value in (float("inf"), float("-inf")):
            return str(value)
        case _:
            return value
