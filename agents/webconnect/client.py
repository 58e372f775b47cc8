"""Calls of the HULFT-WebConnect Site API, and what counts as which answer (design: section 5).

Documented: `GET /agent/status[/{direction}]` and `POST /agent/disconnection` (Site API guide, AgentConnectStatus and
AgentDisconnectParameter), the statuses of HTTPStatusCode, the error body `{"code","message"}` of ErrResp. The guide
gives no error for the disconnection itself, so every undocumented answer counts as a lost one.
"""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings

from agents.clock import database_now
from agents.credentials import Secret
from agents.kinds import Accepted, Answer, AnswerLost, CredentialRejected, NotArrived, RateLimited, Refused
from agents.storable import storable
from agents.webconnect import transport
from agents.webconnect.models import WebConnectSource

#: "The remote said no": the statuses that the guide lists for POST and that are no other case (HTTPStatusCode).
SAID_NO = {400, 403, 405}
#: A refusal longer than this is taken for a mistake of the header; the guide speaks of ten minutes (RateLimit).
LONGEST_REFUSAL = timedelta(hours=1)


def limits() -> transport.Limits:
    return transport.Limits(
        settings.CONSOLE_CONNECT_TIMEOUT.total_seconds(),
        settings.CONSOLE_READ_TIMEOUT.total_seconds(),
        settings.CONSOLE_ATTEMPT_LIMIT.total_seconds(),
    )


def call(remote: WebConnectSource, method: str, path: str, *, secret: Secret, **kwargs: Any) -> transport.Response:
    return transport.call(
        method,
        remote.base_url.rstrip("/") + path,
        secret=secret,
        limits=limits(),
        proxy=remote.proxy,
        ca_bundle=remote.ca_bundle,
        **kwargs,
    )


def disconnect(remote: WebConnectSource, secret: Secret, session_id: str, endpoint: str, **kwargs: Any) -> Answer:
    """`POST /agent/disconnection`, once."""
    body = {"sessionId": session_id, "endpoint": endpoint}
    try:
        response = call(remote, "POST", "/agent/disconnection", secret=secret, json=body, **kwargs)
    except transport.NeverLeft as error:
        return NotArrived(str(error))
    except transport.Lost as error:
        return AnswerLost(str(error))
    return read_answer(response)


def read_answer(response: transport.Response) -> Answer:
    """What a whole answer to a disconnection means."""
    status = response.status
    if 200 <= status < 300:
        if response.body.strip() and error_body(response) is None:
            return AnswerLost(f"status {status} with a body that is neither empty nor JSON", status)
        if not response.body and not _is_whole(response):
            return AnswerLost(f"status {status}, and then the answer broke off", status)
        return Accepted(status)
    code, message = error_body(response) or ("", "")
    if status == 401:
        return CredentialRejected(status, code, message)
    if status == 429:
        return RateLimited(refused_until(response), status, message)
    if status in SAID_NO:
        return Refused(status, code, message)
    return AnswerLost(
        f"status {status}, which the guide does not give for this call" + (f" ({message})" if message else ""), status
    )


def _is_whole(response: transport.Response) -> bool:
    """Whether an empty body was meant: headers that break off look just like an answer without one."""
    return response.status == 204 or any(name in response.headers for name in ("Content-Length", "Transfer-Encoding"))


def error_body(response: transport.Response) -> tuple[str, str] | None:
    """`code` and `message` of a JSON answer, both optional; None where it is not JSON."""
    try:
        parsed = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return "", ""
    return _text(parsed.get("code"), 100), _text(parsed.get("message"), 500)


def _text(value: Any, longest: int) -> str:
    """A text that a database takes, whatever the remote sent; a list or an object as JSON."""
    if value is None:
        return ""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return ""
    return storable(text[:longest])


def refused_until(response: transport.Response) -> datetime:
    """When the refusal ends, by our database's clock.

    `Retry-After` may be seconds or an HTTP date (the guide does not show which); a date is measured against the
    answer's own `Date`, so that a remote whose clock is off does no harm. Absent or absurd: `CONSOLE_REFUSAL_SECONDS`.
    """
    wait = _retry_after(response.headers.get("Retry-After", ""), response.headers.get("Date", ""))
    return database_now() + (wait if wait is not None else settings.CONSOLE_REFUSAL)


def _retry_after(value: str, date: str) -> timedelta | None:
    try:
        if value.strip().isascii() and value.strip().isdigit():
            wait = timedelta(seconds=int(value))
        else:
            wait = _http_date(value) - (_http_date(date) if date else datetime.now(UTC))
    except (ValueError, TypeError, OverflowError):
        return None
    # An HTTP date has no fractions: the end may lie up to a second later than it says.
    return wait + timedelta(seconds=1) if timedelta(0) < wait <= LONGEST_REFUSAL else None


def _http_date(value: str) -> datetime:
    parsed = parsedate_to_datetime(value)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
