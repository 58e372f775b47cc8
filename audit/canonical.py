"""The bytes that are hashed for one event, from what Python and the databases make of its columns.

An event's bytes are the UTF-8 of one JSON array of its columns in the order of `COLUMNS`, with neither spaces nor
escapes that JSON does not demand (RFC 8785). `docs/audit.md` says the same for somebody who has never seen this code,
and `audit/verify_audit.py`, which holds the hash itself, is what they run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

from audit.verify_audit import COLUMNS, GENESIS, event_hash

__all__ = [
    "COLUMNS",
    "GENESIS",
    "Value",
    "data_text",
    "event_hash",
    "operation_text",
    "stored_operation_text",
    "stored_time_text",
    "time_text",
]

type Value = str | int | None

_encode_data = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode


def time_text(at: datetime) -> str:
    """`2026-11-21T14:05:00.000120Z`: always UTC, always six digits. A time without a zone is taken as UTC."""
    utc = at.replace(tzinfo=None) if at.tzinfo in (None, UTC) else at.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="microseconds") + "Z"


def stored_time_text(stored: str) -> str:
    """The same from the text that SQLite holds; any other text is marked, and gives no event its hash.

    Also another form of the same time: the database compares texts, and would not find the event by its time any more.
    """
    if len(stored) == 26 and stored[10] == " ":
        return f"{stored[:10]}T{stored[11:]}Z"
    if len(stored) == 19 and stored[10] == " ":  # no microseconds
        return f"{stored[:10]}T{stored[11:]}.000000Z"
    return _not_ours(stored)


def stored_operation_text(stored: str) -> str:
    """With hyphens, from the text that SQLite holds; any other text is marked, as for times."""
    if len(stored) != 32:
        return _not_ours(stored)
    return f"{stored[:8]}-{stored[8:12]}-{stored[12:16]}-{stored[16:20]}-{stored[20:]}"


def _not_ours(stored: str) -> str:
    return f"not as it is stored: {stored}"


def operation_text(operation: UUID | str | None) -> str | None:
    """With hyphens, in lower case, however the database writes it."""
    return None if operation is None else str(operation if isinstance(operation, UUID) else UUID(operation))


def data_text(data: Mapping[str, object]) -> str:
    """The JSON kept in `data`: keys sorted, no spaces."""
    return _encode_data(data)
