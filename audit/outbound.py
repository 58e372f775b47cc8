"""One HTTP call with a limit on its whole length, and proof of whether it left.

`requests` knows a time-out for connecting and one for each next byte, but none for a whole answer: a remote that
trickles a byte every few seconds would hold a worker for ever. A watchdog therefore shuts the socket at the call's
deadline. And where a call fails, the outcome hangs on whether a byte of the request had left: the connection notes it.
"""

from __future__ import annotations

import heapq
import itertools
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, ReadTimeoutError

from audit import addresses

LARGEST_BODY = 8_000_000
_CHUNK = 65_536


@dataclass(frozen=True)
class Response:
    status: int
    headers: Any
    body: bytes


class NeverLeft(Exception):
    """Not a byte of the request left: no connection stood."""


class Lost(Exception):
    """The request may have arrived; its answer did not come, not whole, or not in time."""


@dataclass(frozen=True)
class Limits:
    """Seconds: for the connection, for the next bytes, for the whole call."""

    connect: float
    read: float
    whole: float


class _Call:
    """The call under way in this thread."""

    def __init__(self, deadline: float, still_ours: Callable[[], bool]) -> None:
        self.deadline, self.still_ours = deadline, still_ours
        self.left = False
        self.timed_out = False
        self.lock = threading.Lock()
        self.over = False
        self.socket: socket.socket | None = None
        #: The connection while it is being made: TLS takes the first socket object away, so this is another one of it.
        self.connecting: socket.socket | None = None

    def end(self) -> None:
        with self.lock:
            self.over = True
            if self.connecting is not None:
                self.connecting.close()


_call: ContextVar[_Call | None] = ContextVar("outbound_call", default=None)


class _Watchdog:
    """One thread that shuts the sockets of calls whose time is up."""

    def __init__(self) -> None:
        self._calls: list[tuple[float, int, _Call]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, call: _Call) -> None:
        with self._changed:
            heapq.heappush(self._calls, (call.deadline, next(self._numbers), call))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="call-watchdog", daemon=True)
                self._thread.start()
            elif self._calls[0][2] is call:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._calls and self._calls[0][2].over:
                    heapq.heappop(self._calls)
                if not self._calls:
                    self._changed.wait()
                    continue
                deadline, _, call = self._calls[0]
                if deadline > time.monotonic():
                    self._changed.wait(deadline - time.monotonic())
                    continue
                heapq.heappop(self._calls)
            self._end(call)

    @staticmethod
    def _end(call: _Call) -> None:
        call.timed_out = True
        with call.lock:  # A call that is over has left its connection to the next one.
            for each in (call.socket, call.connecting):
                if each is not None and not call.over:
                    with suppress(OSError):  # The other side may have been quicker.
                        # Not SSLSocket.shutdown: that takes the TLS state away under the thread that reads.
                        socket.socket.shutdown(each, socket.SHUT_RDWR)


_watchdog = _Watchdog()


class _Noting:
    """Mixin of both connection classes: notes when the first byte leaves, and hands the watchdog the socket."""

    sock: Any
    _connecting = False

    def _new_conn(self) -> socket.socket:
        made: socket.socket = super()._new_conn()  # type: ignore[misc]
        # Of the connection that stands: a name may have meant another address when it was checked.
        if reason := addresses.why_not(made.getpeername()[0]):
            made.close()
            raise NeverLeft(reason)
        call = _call.get()
        if call:
            with call.lock:
                call.connecting = made.dup()
        return made

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        finally:
            self._connecting = False

    def send(self, data: Any) -> None:
        call = _call.get()
        if call and not self._connecting:
            if self.sock is None:
                self.connect()
            if not call.left:
                call.socket = self.sock
                if call.timed_out or not call.still_ours():
                    raise NeverLeft("the time for this attempt was over before it could be sent")
                call.left = True
        super().send(data)  # type: ignore[misc]


class _NotingHTTPConnection(_Noting, HTTPConnection):
    pass


class _NotingHTTPSConnection(_Noting, HTTPSConnection):
    pass


class _NotingHTTPPool(HTTPConnectionPool):
    ConnectionCls = _NotingHTTPConnection


class _NotingHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _NotingHTTPSConnection


_POOLS = {"http": _NotingHTTPPool, "https": _NotingHTTPSPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


_sessions = threading.local()


def _session(proxy: str, ca_bundle: str) -> requests.Session:
    """This thread's session for such calls; sessions are not safe between threads."""
    known: dict[tuple[str, str], requests.Session] = _sessions.__dict__.setdefault("known", {})
    if (proxy, ca_bundle) not in known:
        session = requests.Session()
        # Else a .netrc entry would replace our Bearer, and proxies of the environment would see it.
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.verify = ca_bundle or True
        session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        session.mount("http://", _Adapter())
        session.mount("https://", _Adapter())
        known[proxy, ca_bundle] = session
    return known[proxy, ca_bundle]


def call(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    limits: Limits,
    params: dict[str, Any] | None = None,
    json: Any = None,
    body: bytes | None = None,
    proxy: str = "",
    ca_bundle: str = "",
    still_ours: Callable[[], bool] = lambda: True,
) -> Response:
    """Make one call. Raises `NeverLeft` or `Lost`, each with a message that is fit for an administrator."""
    under_way = _Call(time.monotonic() + limits.whole, still_ours)
    token = _call.set(under_way)
    _watchdog.watch(under_way)
    try:
        with _session(proxy, ca_bundle).request(
            method,
            url,
            params=params,
            json=json,
            data=body,
            # No compression: the bound on the body is then a bound on the memory too.
            headers={**headers, "Accept-Encoding": "identity"},
            timeout=(limits.connect, limits.read),
            allow_redirects=False,
            stream=True,
        ) as response:
            answer = _body(response)
            if under_way.timed_out:
                # Where an answer has no length, the end that the watchdog made looks like its own.
                raise Lost(_in_words(TimeoutError(), under_way, limits))
            return Response(response.status_code, response.headers, answer)
    except NeverLeft:
        raise
    except (requests.RequestException, HTTPError, OSError, ValueError) as error:
        # `from None`: the chain of a failed call holds the request, and so its secrets.
        if not under_way.left:
            raise NeverLeft(_in_words(error, under_way, limits)) from None
        raise Lost(_in_words(error, under_way, limits)) from None
    finally:
        under_way.end()
        _call.reset(token)


def _body(response: requests.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() not in ("identity", ""):
        raise Lost("the answer was compressed, which was not asked for")
    body = bytearray()
    for chunk in response.raw.stream(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Lost(f"the answer was larger than {LARGEST_BODY // 1_000_000} MB")
    return bytes(body)


def _in_words(error: Exception, under_way: _Call, limits: Limits) -> str:
    if under_way.timed_out:
        return f"no whole answer within {limits.whole:g} s"
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return f"no connection within {limits.connect:g} s"
    if isinstance(error, requests.exceptions.ReadTimeout | ReadTimeoutError):
        return f"no answer for {limits.read:g} s"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not connect"
    text = str(error)
    if isinstance(error, requests.exceptions.SSLError) and not under_way.left:
        return "the TLS certificate was not accepted or TLS failed"
    if "Name or service not known" in text or "NameResolutionError" in text or "nodename nor servname" in text:
        return "its host name can't be resolved"
    if "Connection refused" in text:
        return "the connection was refused"
    return "the connection broke before the answer was whole" if under_way.left else "no connection could be made"
