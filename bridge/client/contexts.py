"""Contexts as apps have them (dictionaries) and as they cross the bridge (bytes)."""

from typing import Any

import msgspec
from msgspec import Raw

from bridge.client.errors import FDC3Error

type Context = dict[str, Any]


def read(raw: Raw) -> Context:
    context: Context = msgspec.json.decode(raw)
    return context


def write(context: Context) -> Raw:
    """Raises MalformedContext for what is no context: an object with a type."""
    if not isinstance(context, dict) or not isinstance(context.get("type"), str):
        raise FDC3Error("MalformedContext", "a context is an object with a type")
    try:
        return Raw(msgspec.json.encode(context))
    except (TypeError, msgspec.MsgspecError) as error:
        raise FDC3Error("MalformedContext", str(error)) from None
