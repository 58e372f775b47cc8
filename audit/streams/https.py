"""Batches to a web address: one POST each, signed, so that the receiver knows who sent it and that it is whole.

The signature is the HMAC-SHA256 of `<timestamp>.<body>`; the timestamp lets the receiver refuse an old one that
somebody plays again. Redirects are not followed: a batch goes where an Administrator sent it, or nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from django.conf import settings

from audit import outbound
from audit.outbound import Limits, Lost, NeverLeft, Response
from audit.sealing import Secret, Unreadable, unseal
from audit.streams.batches import Batch, NotTaken, StillOurs
from audit.streams.formats import CONTENT_TYPES


def limits() -> Limits:
    return Limits(
        settings.CONSOLE_CONNECT_TIMEOUT.total_seconds(),
        settings.CONSOLE_READ_TIMEOUT.total_seconds(),
        settings.CONSOLE_ATTEMPT_LIMIT.total_seconds(),
    )


def signature_of(secret: Secret, timestamp: str, body: bytes) -> str:
    return hmac.new(secret.value.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def deliver(batch: Batch, still_ours: StillOurs) -> None:
    sink = batch.sink
    try:
        secret = unseal(sink.sealed_secret)
    except Unreadable:
        raise NotTaken(
            "its secret can't be decrypted: the key that encrypted it is not in CONSOLE_CREDENTIAL_KEYS"
        ) from None
    body = b"".join(line + b"\n" for _, line in batch.events)
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": CONTENT_TYPES[sink.Format(sink.format)],
        "User-Agent": "agent-console",
        "X-Console-Sink": str(sink.pk),
        "X-Console-Batch": batch.name,
        "X-Console-Events": str(len(batch.events)),
        "X-Console-Timestamp": timestamp,
        "X-Console-Signature": f"sha256={signature_of(secret, timestamp, body)}",
        **({"X-Console-Test": "true"} if batch.is_test else {}),
    }
    try:
        response = outbound.call(
            "POST",
            sink.address,
            headers=headers,
            limits=limits(),
            body=body,
            proxy=sink.proxy,
            ca_bundle=sink.ca_bundle,
            still_ours=still_ours,
        )
    except (NeverLeft, Lost) as error:
        raise NotTaken(str(error)) from None
    if not 200 <= response.status < 300:
        raise NotTaken(_why(response), _retry_after(response))


def _why(response: Response) -> str:
    if 300 <= response.status < 400:
        return f"it answered {response.status}, a redirect, and redirects are not followed: give the final address"
    return f"it answered {response.status}"


def _retry_after(response: Response) -> timedelta | None:
    said = str(response.headers.get("Retry-After", ""))
    if said.isascii() and said.isdigit() and len(said) < 7:
        return timedelta(seconds=int(said))
    try:
        return parsedate_to_datetime(said) - datetime.now(UTC)
    except (TypeError, ValueError):
        return None
