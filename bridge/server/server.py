"""The bridge on a port: turns what sockets bring into calls of the hub, and the hub's effects into I/O.

It decides nothing about messages. Each call of the hub is one step without an await, and its effects are carried out
before the next begins, so naming an agent and telling everybody is atomic (R20) and order is kept between any two
agents (R91), with no lock. What is to be sent gathers until all is handled that one read of a socket brought, and goes
out in one write for each receiver. All of it belongs to the thread of the loop; `run_in_loop` is the way in from
another.
"""

import asyncio
import errno
import logging
import os
import socket
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from picows import WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from bridge.protocol.effects import Close, Effect, Note, Send, Verify
from bridge.protocol.hub import BY_ADMINISTRATOR, Hub
from bridge.protocol.identity import AppKey
from bridge.protocol.pace import Pace
from bridge.protocol.settings import HubSettings
from bridge.protocol.snapshot import Snapshot
from bridge.server.door import Refusal, refusal
from bridge.server.settings import BridgeSettings
from bridge.server.wire import AgentSocket, Gate, Wire, frame_of

LOOPBACK = "127.0.0.1"
#: Small, so that one turn of the loop cannot bring more of one agent than others can wait for.
RECEIVE_BUFFER = 256 * 1024
#: Lines of the log about refused connections, a second and at once: a page may try for as long as it is open.
REFUSED_RATE, REFUSED_BURST = 1.0, 100.0
#: Close codes of RFC 6455, section 7.4.1.
GOING_AWAY, INTERNAL_ERROR = 1001, 1011

logger = logging.getLogger("bridge.server")
# It writes several lines a connection, and whole messages where it is set to debug.
_picows = logging.getLogger("picows.bridge")
_picows.setLevel(logging.CRITICAL)


class NoFreePort(Exception):
    """Every port of the range is in use."""


@dataclass(frozen=True)
class ServerSnapshot:
    port: int
    started_at: float
    #: TCP connections, of which some may not have said who they are.
    open_sockets: int
    #: Bytes that wait to be sent, by connection.
    queued: dict[int, int]
    hub: Snapshot


class BridgeServer:
    """`verify` is told the token of a handshake and says whose it is, or None; without it nobody is asked for one."""

    def __init__(
        self,
        settings: BridgeSettings,
        hub_settings: HubSettings | None = None,
        *,
        verify: Callable[[str], Awaitable[str | None]] | None = None,
        own_token: Callable[[], str] | None = None,
        on_note: Callable[[Note], None] = lambda note: None,
    ) -> None:
        self.settings = settings
        self.port = 0
        hub_settings = replace(hub_settings or HubSettings(), auth_required=verify is not None)
        self._hub = Hub(hub_settings, lambda: str(uuid4()))
        self._verify = verify
        self._own_token = own_token
        self._on_note = on_note
        self._gate = Gate(settings.max_sockets)
        self._sockets: dict[int, AgentSocket] = {}
        self._last_conn = 0
        self._unsent: list[AgentSocket] = []
        self._gone: list[tuple[int, str]] = []
        self._turn_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._checks: set[asyncio.Task[None]] = set()
        self._framed: tuple[bytes, bytes] = (b"", b"")
        self._refusals = Pace(REFUSED_RATE, REFUSED_BURST)

    async def start(self) -> int:
        """Listens, and returns the port; raises `NoFreePort`."""
        self._loop = asyncio.get_running_loop()
        # Unix time that never goes back, whatever is done to the clock.
        self._epoch = time.time() - time.monotonic()
        self.started_at = time.time()
        listening = self._bind()
        self.port = listening.getsockname()[1]
        self._listener = await self._loop.create_server(self._wire, sock=listening)
        logger.info("Listening on ws://%s:%d", LOOPBACK, self.port)
        return self.port

    async def close(self) -> None:
        """Says goodbye to everybody; returns when every socket is closed."""
        self._listener.close()
        for check in self._checks:
            check.cancel()
        for each in list(self._sockets.values()):
            each.close(GOING_AWAY, "the bridge is shutting down")
        self._sockets.clear()
        if self._timer:
            self._timer.cancel()
        try:
            async with asyncio.timeout(self.settings.close_within):
                await self._listener.wait_closed()
        except TimeoutError:
            self._gate.abort_all()
            await self._listener.wait_closed()
        logger.info("Closed")

    def _bind(self) -> socket.socket:
        for port in range(self.settings.first_port, self.settings.last_port + 1):
            listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            if os.name == "posix":
                # After a restart; on Windows it would let two listen on one port.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            try:
                listening.bind((LOOPBACK, port))
                # Two that are bound to one port learn of each other only here.
                listening.listen()
                return listening
            except OSError as error:
                listening.close()
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
        raise NoFreePort(f"No port from {self.settings.first_port} to {self.settings.last_port} is free")

    # What may be asked and told, on the thread of the loop.

    def snapshot(self) -> ServerSnapshot:
        return ServerSnapshot(
            port=self.port,
            started_at=self.started_at,
            open_sockets=len(self._gate.transports),
            queued={conn: each.queued for conn, each in self._sockets.items()},
            hub=self._hub.snapshot(self._now()),
        )

    def disconnect_agent(self, session_id: str, why: str = BY_ADMINISTRATOR) -> None:
        self._apply(self._hub.disconnect_agent(session_id, self._now(), why))
        self._need_turn()

    def disconnect_app(self, channel_id: str, app: AppKey) -> None:
        self._apply(self._hub.disconnect_app(channel_id, app, self._now()))
        self._need_turn()

    def run_in_loop[T](self, function: Callable[[], T], within: float = 5.0) -> T:
        """For another thread: what `function` returns or raises when the loop has called it."""
        result: Future[T] = Future()

        def call() -> None:
            if result.set_running_or_notify_cancel():
                try:
                    result.set_result(function())
                except BaseException as error:
                    result.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        try:
            return result.result(within)
        except TimeoutError:
            # So that it is not done after the caller was told that it was not.
            result.cancel()
            raise

    # What sockets bring.

    def _wire(self) -> Wire:
        return Wire(self._gate, self._admit, self.settings, _picows)

    def _admit(self, request: WSUpgradeRequest) -> AgentSocket | WSUpgradeResponseWithListener:
        refused = refusal(request, self.settings.allowed_origins)
        if refused is None and self._hub.connecting >= self.settings.max_joining:
            refused = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many have not said who they are")
        if refused is not None:
            if self._refusals.allows(time.monotonic()):
                logger.warning("A connection was refused: %s", refused.why)
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(refused.status, refused.why.encode()), None
            )
        if "upgrade" in request.headers.get("Connection", "").lower().replace(",", " ").split():
            # picows takes it for one word; Firefox says "keep-alive, Upgrade".
            request.headers["Connection"] = "Upgrade"
        self._last_conn += 1
        return AgentSocket(self._last_conn, self, self.settings)

    def opened(self, agent: AgentSocket) -> None:
        self._sockets[agent.conn] = agent
        own_token = self._own_token() if self._own_token else None
        self._step(lambda at: self._hub.connected(agent.conn, at, own_token))

    def received(self, agent: AgentSocket, raw: bytes) -> None:
        try:
            effects = self._hub.received(agent.conn, raw, self._now())
        except Exception as error:
            _log_failure("A message could not be handled", error)
            agent.close(INTERNAL_ERROR, "")
        else:
            self._apply(effects)

    def unsent(self, agent: AgentSocket) -> None:
        self._unsent.append(agent)

    def gone(self, agent: AgentSocket, why: str) -> None:
        if self._sockets.pop(agent.conn, None) is not None:
            # Not at once: this may come out of the middle of other effects, which go first.
            self._gone.append((agent.conn, why))
            self._need_turn()

    # What the hub wants.

    def _apply(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                if (agent := self._sockets.get(effect.conn)) is not None:
                    agent.send(self._frame(effect.data))
            elif isinstance(effect, Note):
                self._note(effect)
            elif isinstance(effect, Close):
                if (agent := self._sockets.get(effect.conn)) is not None:
                    agent.close(effect.code, effect.reason)
            else:
                self._check(effect)

    def _step(self, step: Callable[[float], Sequence[Effect]]) -> None:
        """Where nobody waits for it; what fails here is a mistake of ours, and everybody else goes on."""
        try:
            effects = step(self._now())
        except Exception as error:
            _log_failure("A step of the bridge failed", error)
        else:
            self._apply(effects)
            self._need_turn()

    def _frame(self, data: bytes) -> bytes:
        """One frame for all who get the same message."""
        if data is not self._framed[0]:
            self._framed = (data, frame_of(data))
        return self._framed[1]

    def _note(self, note: Note) -> None:
        logger.info("%s [%s]", _printable(note.text), _printable(note.agent or note.session_id or "bridge"))
        try:
            self._on_note(note)
        except Exception as error:
            _log_failure("A note could not be taken", error)

    def _check(self, wanted: Verify) -> None:
        check = self._loop.create_task(self._verified(wanted))
        self._checks.add(check)
        check.add_done_callback(self._checks.discard)

    async def _verified(self, wanted: Verify) -> None:
        assert self._verify is not None
        principal = None
        try:
            async with asyncio.timeout(self.settings.verify_within):
                principal = await self._verify(wanted.token)
        except TimeoutError:
            logger.warning("A token could not be checked within %g s", self.settings.verify_within)
        except Exception as error:
            # Its text might quote the token.
            logger.error("A token could not be checked: %s", type(error).__name__)
        if wanted.conn in self._sockets:
            self._step(lambda at: self._hub.verified(wanted.conn, principal, at))

    # The end of a turn.

    def _need_turn(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self.turn)

    def turn(self) -> None:
        """Tells the hub who is gone, sends what has gathered, and sets the timer to what the hub waits for."""
        self._turn_due = False
        while self._gone or self._unsent:
            gone, self._gone = self._gone, []
            for conn, why in gone:
                self._step(partial(self._hub.closed, conn, why=why))
            unsent, self._unsent = self._unsent, []
            for agent in unsent:
                agent.flush()
        self._set_timer()

    def _set_timer(self) -> None:
        deadline = self._hub.next_deadline()
        if deadline is None:
            return
        when = deadline - self._epoch
        if self._timer is None or when < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._step(self._hub.tick)

    def _now(self) -> float:
        return self._epoch + time.monotonic()


def _log_failure(what: str, error: Exception) -> None:
    """Where it happened, but not what the error says, which may quote a message."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s: %s\n%s", what, type(error).__name__, where)


def _printable(text: str) -> str:
    """Agents choose their names, and none may write a line of its own."""
    return text if text.isprintable() else ascii(text)
