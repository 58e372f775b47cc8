"""An event as one line of each format that a sink may ask for."""

from __future__ import annotations

import json
from collections.abc import Callable

from audit.lines import FIELDS, event_line
from audit.models import Event
from audit.streams.cef import cef
from audit.streams.models import Sink
from audit.streams.ocsf import ocsf

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode

CONTENT_TYPES = {
    Sink.Format.JSON: "application/x-ndjson",
    Sink.Format.OCSF: "application/x-ndjson",
    Sink.Format.CEF: "text/plain; charset=utf-8",
}


def line_of(event: Event, format: str) -> bytes:
    """Without the end of the line, and without any other in it."""
    return _FORMATS[Sink.Format(format)](event)


_FORMATS: dict[Sink.Format, Callable[[Event], bytes]] = {
    Sink.Format.JSON: lambda event: event_line([getattr(event, name) for name in FIELDS])[:-1],
    Sink.Format.OCSF: lambda event: _encode(ocsf(event)).encode(),
    Sink.Format.CEF: lambda event: cef(event).encode(),
}
