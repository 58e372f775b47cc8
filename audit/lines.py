"""Files of events: JSON Lines that hold all that it takes to prove them elsewhere (docs/audit.md, "Files").

`audit/verify_audit.py` reads what is written here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from audit.canonical import COLUMNS, GENESIS, operation_text, time_text
from audit.signing import signed
from audit.verify_audit import FORMAT

#: The columns of an event in a file, in their order.
FIELDS = (*COLUMNS, "hash")
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


class Sink(Protocol):
    def write(self, data: bytes, /) -> Any: ...


def line(name: str, facts: Mapping[str, Any]) -> bytes:
    return _encode({name: facts}).encode() + b"\n"


def event_line(row: Sequence[Any], after: int | None = None) -> bytes:
    """An event; `row` is its columns in the order of `FIELDS`, times and UUIDs as Django gives them or as text.

    `after` is the number of the event before it in a file that leaves events out; 0 where it is the first.
    """
    event = {name: _canonical(value) for name, value in zip(FIELDS, row, strict=True)}
    if after is not None:
        event["after"] = after
    return _encode(event).encode() + b"\n"


def _canonical(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    return operation_text(value) if isinstance(value, UUID) else value


class Writer:
    """Writes one file: a header, its events in the order of their numbers, and a signed manifest as the last line.

    `whole` says that no event between the first and the last is left out; then `first` is the number that the file
    begins with and `previous_hash` the hash of the event before it.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        kind: str,
        made_at: datetime,
        whole: bool,
        first: int = 1,
        previous_hash: str = GENESIS,
        **facts: Any,
    ) -> None:
        self._sink, self._digest, self._whole = sink, hashlib.sha256(), whole
        self.count, self.first, self.last, self.hash = 0, first if whole else 0, 0, ""
        self._about = {"kind": kind, "format": FORMAT, "console": settings.CONSOLE_URL, "made_at": time_text(made_at)}
        self._about |= {"whole": whole, **facts}
        begin = {"first": first, "previous_hash": previous_hash} if whole else {}
        if whole:
            self.last, self.hash = first - 1, previous_hash
        self._write(line("file", {**self._about, **begin}))

    def event(self, row: Sequence[Any]) -> None:
        """The next event, as `event_line` takes it."""
        self._write(event_line(row, None if self._whole else self.last))
        self.last, self.hash = row[0], row[-1]
        self.first = self.first or self.last
        self.count += 1

    def checkpoint(self, facts: Mapping[str, Any]) -> None:
        """A signed checkpoint, after the event that it is of."""
        self._write(line("checkpoint", facts))

    def finish(self, *, head_sequence: int, head_hash: str) -> dict[str, Any]:
        """Write the manifest; the head is that of the chain when the events were read. Returns the manifest."""
        manifest = signed(
            "manifest",
            {
                **self._about,
                "count": self.count,
                "first": self.first,
                "last": self.last,
                "hash": self.hash,
                "digest": self._digest.hexdigest(),
                "head": {"sequence": head_sequence, "hash": head_hash},
            },
        )
        self._write(line("manifest", manifest))
        return manifest

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._sink.write(data)
