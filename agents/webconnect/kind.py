"""WebConnect as a kind of source."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agents import credentials
from agents.credentials import CredentialUnreadable, Secret
from agents.kinds import (
    Accepted,
    Answer,
    AnswerLost,
    CredentialRejected,
    DisconnectCall,
    Finding,
    Listing,
    NotArrived,
    RateLimited,
    ReadingFailed,
    ReadRateLimited,
    ReadRejected,
    Refused,
    SourceKind,
    register,
)
from agents.models import AgentSession, Credential, Source
from agents.versions import FIRST_DISCONNECTABLE
from agents.webconnect import client, listing
from agents.webconnect.forms import WebConnectForm
from agents.webconnect.models import place
from agents.webconnect.transport import Lost, NeverLeft

READING, DISCONNECTING = Credential.Purpose.READING, Credential.Purpose.DISCONNECTING


def read(source: Source, take_slot: Callable[[], None]) -> Listing:
    return listing.read(source.webconnect, _reading_secret(source), take_slot)


def _reading_secret(source: Source) -> Secret:
    try:
        secret = credentials.secret_of(source, READING)
    except CredentialUnreadable as error:
        raise ReadRejected(str(error)) from None
    if secret is None:
        raise ReadRejected("This source has no reading credential yet.")
    return secret


def describe(source: Source, row: Mapping[str, Any]) -> dict[str, Any]:
    return listing.describe(source.webconnect, row)


def disconnector(source: Source) -> DisconnectCall:
    remote = source.webconnect
    try:
        secret = credentials.secret_of(source, DISCONNECTING)
    except CredentialUnreadable as error:
        unreadable = CredentialRejected(message=str(error))
        return lambda row, still_ours: unreadable
    if secret is None:
        missing = CredentialRejected(message="This source has no credential for disconnecting.")
        return lambda row, still_ours: missing
    return lambda row, still_ours: client.disconnect(
        remote, secret, row.session_id_then, row.endpoint_then, still_ours=still_ours
    )


def why_not(session: AgentSession) -> str:
    if listing.too_old(session.version_number):
        return f"Agents below version {FIRST_DISCONNECTABLE} can't be disconnected; this one is {session.version}."
    if not session.supports_disconnection:
        return "This agent does not support being disconnected (supportingDisconnectApi is false)."
    if not session.endpoint:
        return "The remote's list gives no endpoint for this session, and a disconnection needs one."
    return ""


def impact(session: AgentSession) -> list[str]:
    return ["A file transfer in progress ends abnormally."]


def test(source: Source, take_slot: Callable[[], None]) -> Iterator[Finding]:
    """One call with each credential: a list of one row, and a disconnection of a session that can't exist."""
    take_slot()
    yield _test_reading(source)
    take_slot()
    yield _test_disconnecting(source)


def _test_reading(source: Source) -> Finding:
    name = READING.value
    try:
        secret = _reading_secret(source)
        response = client.call(
            source.webconnect, "GET", "/agent/status", secret=secret, params={"startIndex": 0, "maxResults": 1}
        )
        _, total = listing.parse(response)
    except (NeverLeft, Lost) as error:
        return Finding(name, False, f"The remote can't be reached: {error}.")
    except ReadingFailed as error:
        until = error.until if isinstance(error, ReadRateLimited) else None
        return Finding(name, False, str(error), rejected=isinstance(error, ReadRejected), refused_until=until)
    return Finding(name, True, f"The remote answered with its list: {total:,} session{'s' if total != 1 else ''}.")


def _test_disconnecting(source: Source) -> Finding:
    name = DISCONNECTING.value
    try:
        secret = credentials.secret_of(source, DISCONNECTING)
    except CredentialUnreadable as error:
        return Finding(name, False, str(error))
    if secret is None:
        return Finding(name, False, "This source has no credential for disconnecting yet.")
    nobody = f"agent-console-test-{secrets.token_hex(12)}"
    answer = client.disconnect(source.webconnect, secret, nobody, "test.invalid")
    return _finding(name, answer)


def _finding(name: str, answer: Answer) -> Finding:
    match answer:
        case Refused(status=403, message=message):
            return Finding(name, False, f"Status 403: the key lacks the scope Agent: Disconnect{_said(message)}.")
        case Refused(status=status, message=message):
            return Finding(
                name,
                True,
                "The remote took the key and refused a session that does not exist, as it should: "
                f"status {status}{_said(message)}.",
            )
        case Accepted(status=status):
            return Finding(
                name, True, f"The remote took the key; it answers {status} even for a session that does not exist."
            )
        case CredentialRejected(message=message):
            return Finding(
                name, False, f"Status 401: the remote does not accept this key{_said(message)}.", rejected=True
            )
        case RateLimited(until=until):
            return Finding(name, False, "The remote's rate limit refuses every request for now.", refused_until=until)
        case NotArrived(message=message):
            return Finding(name, False, f"The remote can't be reached: {message}.")
        case AnswerLost(status=404):
            return Finding(
                name,
                True,
                "The remote took the key and answered 404 for a session that does not exist (not documented).",
            )
        case AnswerLost(message=message):
            return Finding(name, False, f"No documented answer came: {message}.")


def _said(message: str) -> str:
    return f" (“{message}”)" if message else ""


def facts(source: Source) -> list[tuple[str, str]]:
    remote = source.webconnect
    return [
        ("Base URL", remote.base_url),
        ("Time zone of its times", remote.time_zone),
        ("Proxy", remote.proxy or "none"),
        ("CA bundle", remote.ca_bundle or "the well-known authorities"),
    ]


WEBCONNECT = SourceKind(
    name="webconnect",
    label="HULFT-WebConnect",
    read=read,
    describe=describe,
    disconnector=disconnector,
    why_not=why_not,
    impact=impact,
    test=test,
    settings_form=WebConnectForm,
    place=lambda source: place(source.webconnect.base_url),
    own="webconnect",
    facts=facts,
)


def register_kind() -> None:
    register(WEBCONNECT)
