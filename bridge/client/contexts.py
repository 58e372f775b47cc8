"""Contexts as apps have them (dictionaries) and as they cross the bridge (bytes)."""

from typing import Any

import msgspec
from msgspec import Raw

from bridge.client.errors import FDC3Error

#: A bridge closes the connection of an agent that sends it a longer message than it takes, which is usually a megabyte.
LONGEST = 900_000

type Context = dict[str, Any]


def read(raw: Raw) -> Context:
    context: Context = msgspec.json.decode(raw)
    return context


def write(context: Context) -> Raw:
    """Raises MalformedContext for what is no context: an object with a type."""
    if not isinstance(context, dict) or not isinstance(context.get("type"), str):
        raise FDC3Error("MalformedContext", "a context is an object with a type")
    try:
        written = msgspec.json.encode(context)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise FDC3Error("MalformedContext", str(error)) from None
    if len(written) > LONGEST:
        raise FDC3Error("MalformedContext", f"longer than {LONGEST} bytes")
    return Raw(written)
