"""Reading the whole list of connected agents: `GET /agent/status`, page by page.

A listing's `startIndex` ends at 10,000 and a page at 1,000 rows (QuePara), so 11,000 rows are reachable at once and
twice that by direction. Rows move between pages, so a session seen twice counts once.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from agents.credentials import Secret
from agents.kinds import Listing, NotUnderstood, ReadRateLimited, ReadRejected, Unreachable
from agents.storable import storable, storable_json
from agents.versions import FIRST_DISCONNECTABLE, version_number
from agents.webconnect import client, transport
from agents.webconnect.models import WebConnectSource

PAGE = 1000
LAST_START = 10_000
REACHABLE = LAST_START + PAGE
DIRECTIONS = ("send", "receive")

Rows = dict[str, Mapping[str, Any]]


def read(remote: WebConnectSource, secret: Secret, take_slot: Callable[[], None]) -> Listing:
    """The whole list, or what of it can be reached. Raises `agents.kinds.ReadingFailed`."""
    pages = _Pages(remote, secret, take_slot)
    total = pages.read("/agent/status")
    if total > REACHABLE:
        by_direction = [pages.read(f"/agent/status/{direction}") for direction in DIRECTIONS]
        if max(by_direction) > REACHABLE:
            pages.incomplete = (
                f"The remote lists {total:,} sessions, and its API lets no more than {REACHABLE:,} "
                "of a direction be read."
            )
    return Listing(pages.rows, pages.calls, in_one_answer=pages.calls == 1, incomplete=pages.incomplete)


class _Pages:
    def __init__(self, remote: WebConnectSource, secret: Secret, take_slot: Callable[[], None]) -> None:
        self.remote, self.secret, self.take_slot = remote, secret, take_slot
        self.rows: Rows = {}
        self.calls = 0
        self.incomplete = ""

    def read(self, path: str) -> int:
        """Read one listing as far as it goes; returns the remote's count of its rows."""
        start = counted = 0
        seen: set[str] = set()
        while True:
            page, total = self._page(path, start)
            start += len(page)
            ids = {row["sessionId"] for row in page if _usable(row)}
            if not page and start < counted:
                # Said to be empty after it was said to go on: a list that shrank so fast can be read again.
                total = counted
            if ids and ids <= seen:
                self.incomplete = "The remote sent the same sessions twice instead of its next ones."
                return total
            seen |= ids
            counted = total
            if not page or start >= total or start > LAST_START:
                if start < total <= REACHABLE:
                    self.incomplete = f"The remote counts {total:,} sessions and sent only {start:,}."
                return total

    def _page(self, path: str, start: int) -> tuple[list[Any], int]:
        self.take_slot()
        self.calls += 1
        try:
            response = client.call(
                self.remote, "GET", path, secret=self.secret, params={"startIndex": start, "maxResults": PAGE}
            )
        except (transport.NeverLeft, transport.Lost) as error:
            raise Unreachable(f"The list could not be read: {error}.") from None
        page, total = parse(response)
        for row in page:
            if _usable(row):
                self.rows[row["sessionId"]] = row
            else:
                self.incomplete = "The remote sent rows without a usable session ID; they are left out."
        return page, total


def parse(response: transport.Response) -> tuple[list[Any], int]:
    """The rows of one answer and the remote's count of all. An empty list is 200 or 204 (the guide leaves it open)."""
    if response.status == 204:
        return [], 0
    if response.status != 200:
        raise _failure(response)
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        raise NotUnderstood("The list could not be read: the answer is not JSON.") from None
    rows = body.get("status") if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise NotUnderstood("The list could not be read: the answer has no list of sessions in it.")
    total = body.get("totalSize")
    return rows, total if type(total) is int and total >= 0 else len(rows)


def _failure(response: transport.Response) -> Exception:
    code, message = client.error_body(response) or ("", "")
    said = f" ({' '.join(filter(None, [code, message]))})" if code or message else ""
    if response.status == 401:
        return ReadRejected(f"The remote does not accept the reading credential: status 401{said}.")
    if response.status == 403:
        return ReadRejected(f"The reading credential lacks the scope Agent: Get: status 403{said}.")
    if response.status == 429:
        until = client.refused_until(response)
        return ReadRateLimited(f"The remote's rate limit refuses every request{said}.", until=until)
    return Unreachable(f"The list could not be read: status {response.status}{said}.")


def _usable(row: Any) -> bool:
    if not isinstance(row, dict):
        return False
    session_id = row.get("sessionId")
    return (
        isinstance(session_id, str)
        and 0 < len(session_id) <= 255
        and (session_id.isprintable() or storable(session_id) == session_id)
    )


def describe(remote: WebConnectSource, row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an agent session, whatever types the remote's row holds."""
    connection_ids = row.get("connectionId")
    if not isinstance(connection_ids, list):
        connection_ids = [connection_ids] if connection_ids else []
    connection_ids = [_text(each, 100) for each in connection_ids[:200]]
    started_text, version = _text(row.get("startConnection"), 64), _text(row.get("agentVersion"), 64)
    return {
        "agent_id": _text(row.get("agentId"), 255),
        "direction": _text(row.get("direction"), 20),
        "connection_ids": connection_ids,
        "connections": " ".join(connection_ids)[:1000],
        "endpoint": _text(row.get("endpoint"), 255),
        "started_text": started_text,
        "started_at": started_at(started_text, remote.time_zone),
        "version": version,
        "version_number": version_number(version),
        "closing": row.get("willBeClosed") is True,
        "supports_disconnection": row.get("supportingDisconnectApi") is not False,
        "received": storable_json(row),
    }


def _text(value: Any, longest: int) -> str:
    if value is None:
        return ""
    return storable(value[:longest] if isinstance(value, str) else str(storable_json(value))[:longest])


def started_at(text: str, time_zone: str) -> datetime | None:
    """`YYYY-MM-DD HH:MM:SS.mmm` in the source's zone as UTC; None where it is something else."""
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        return None
    try:
        return (local if local.tzinfo else local.replace(tzinfo=ZoneInfo(time_zone))).astimezone(UTC)
    except OverflowError:
        return None


def too_old(version: int | None) -> bool:
    first = version_number(FIRST_DISCONNECTABLE)
    return version is not None and first is not None and version < first
