"""Batches to a syslog receiver: RFC 5424 messages, octet-counted (RFC 6587), over TCP or TLS (RFC 5425).

Syslog knows no acknowledgement, and bytes that the kernel took may still be lost. So each batch has a connection of its
own: after the last message this side says that nothing follows, and the batch counts as taken only when the receiver
has closed in turn, which it does after reading to the end. One that dies before has the batch sent again.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing, suppress
from urllib.parse import urlsplit

from django.conf import settings

from audit import addresses
from audit.canonical import time_text
from audit.models import Event
from audit.streams.batches import Batch, NotTaken, StillOurs
from audit.streams.meanings import Severity, meaning_of

PORTS = {"tls": 6514, "tcp": 601}
#: "Log audit" of RFC 5424, table 1.
_FACILITY = 13
_SEVERITY = {Severity.INFORMATIONAL: 6, Severity.LOW: 5, Severity.MEDIUM: 4, Severity.HIGH: 3}
_CHUNK = 65_536
_LAST_SEQUENCE_ID = 2**31 - 1


def message_of(event: Event, line: bytes, host: str) -> bytes:
    """One message. Its text carries no byte order mark, which parsers of JSON and CEF would choke on."""
    priority = _FACILITY * 8 + _SEVERITY[meaning_of(event.action).severity]
    number = (event.sequence - 1) % _LAST_SEQUENCE_ID + 1 if event.sequence else 1
    header = (
        f"<{priority}>1 {time_text(event.at)} {_name(host, 255)} agent-console - {_name(event.action, 32)}"
        f' [meta sequenceId="{number}"] '
    )
    return header.encode("ascii") + line


def framed(message: bytes) -> bytes:
    return f"{len(message)} ".encode() + message


def _name(text: str, longest: int) -> str:
    """What a field of the header may hold: printable ASCII without spaces, `-` where there is nothing."""
    return "".join(c if "!" <= c <= "~" else "_" for c in text)[:longest] or "-"


def deliver(batch: Batch, still_ours: StillOurs) -> None:
    host = urlsplit(settings.CONSOLE_URL).hostname or socket.gethostname()
    data = b"".join(framed(message_of(event, line, host)) for event, line in batch.events)
    end = _Deadline(settings.CONSOLE_ATTEMPT_LIMIT.total_seconds())
    try:
        with closing(_connect(batch, end)) as connection:
            if not still_ours():
                raise NotTaken("the time for this attempt was over before it could be sent")
            _send(connection, data, end)
            _await_the_end(connection, end)
    except ssl.SSLCertVerificationError as error:
        raise NotTaken(f"its TLS certificate was not accepted: {error.verify_message}") from None
    except TimeoutError:
        raise NotTaken(f"it did not read everything and close within {end.whole:g} s") from None
    except (socket.gaierror, UnicodeError):
        raise NotTaken("its host name can't be resolved") from None
    except ConnectionRefusedError:
        raise NotTaken("the connection was refused") from None
    except ssl.SSLError:
        raise NotTaken("TLS failed") from None
    except OSError as error:
        raise NotTaken(f"the connection broke before everything was read: {error.strerror or error}") from None


class _Deadline:
    """Of the whole delivery: each wait gets what is left of it, so that a receiver that trickles gains nothing."""

    def __init__(self, whole: float) -> None:
        self.whole, self._end = whole, time.monotonic() + whole

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _connect(batch: Batch, end: _Deadline) -> socket.socket:
    parts = urlsplit(batch.sink.address)
    host = parts.hostname or ""
    limit = min(end.left(), settings.CONSOLE_CONNECT_TIMEOUT.total_seconds())
    connection = socket.create_connection((host, parts.port or PORTS[parts.scheme]), limit)
    try:
        if reason := addresses.why_not(connection.getpeername()[0]):
            raise NotTaken(reason)
        if parts.scheme == "tls":
            context = ssl.create_default_context(cafile=batch.sink.ca_bundle or None)
            connection.settimeout(end.left())
            return context.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise
    return connection


def _send(connection: socket.socket, data: bytes, end: _Deadline) -> None:
    view = memoryview(data)
    while view:
        connection.settimeout(end.left())
        view = view[connection.send(view[:_CHUNK]) :]


def _await_the_end(connection: socket.socket, end: _Deadline) -> None:
    """Say that nothing follows, and wait until the receiver has read so far and closes."""
    if isinstance(connection, ssl.SSLSocket):
        connection.settimeout(end.left())
        # It may answer with its own close_notify or just close: either way it has read ours.
        with suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
            connection = connection.unwrap()
            connection.settimeout(end.left())
            connection.shutdown(socket.SHUT_WR)
        return
    connection.shutdown(socket.SHUT_WR)
    while True:
        connection.settimeout(end.left())
        if not connection.recv(_CHUNK):
            return
