"""A desktop agent at work: the core's effects become sockets, tasks and calls of handlers. It decides nothing itself.

Every app has one task that calls its handlers of contexts and events, one after another, in the order in which things
happened; so a slow app delays only itself. Handlers of intents are tasks of their own, since they may wait for people.
All of it belongs to the thread of the event loop.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any, Self
from uuid import uuid4

from bridge.client import effects
from bridge.client.app import App, Channel, IntentResult, Metadata, PrivateChannel, event_of
from bridge.client.contexts import Context
from bridge.client.core import AgentCore
from bridge.client.directory import AppRecord
from bridge.client.effects import (
    AgentsChanged,
    Answered,
    Bridged,
    CallId,
    Connect,
    ContextArrived,
    Disconnect,
    Effect,
    EventArrived,
    Failed,
    Launch,
    ListenerId,
    Note,
    ResultArrived,
    ResultFailed,
    RunId,
    RunIntent,
    Send,
    Unbridged,
)
from bridge.client.errors import FDC3Error, error_of
from bridge.client.settings import AgentSettings
from bridge.client.socket import BridgeSocket
from bridge.protocol.messages import AppIdentifier, AppIntent, AppMetadata

#: What may wait for one app; an app that is so far behind hears nothing more until it has caught up.
MAX_WAITING = 10_000

type Main = Callable[[App], Awaitable[None]]
type Resolver = Callable[[Sequence[AppIntent], Context], Awaitable[tuple[str, AppMetadata]]]
type Change = Bridged | Unbridged | AgentsChanged

logger = logging.getLogger("bridge.client")
logging.getLogger("picows.client").setLevel(logging.CRITICAL)


async def the_only_one(found: Sequence[AppIntent], context: Context) -> tuple[str, AppMetadata]:
    """Chooses where there is no choice: one intent, one app."""
    choices = {(each.intent.name, app.app_id, app.desktop_agent) for each in found for app in each.apps}
    if len(choices) > 1:
        raise FDC3Error("ResolverUnavailable", "several apps could take it: name one")
    return await the_first(found, context)


async def the_first(found: Sequence[AppIntent], context: Context) -> tuple[str, AppMetadata]:
    """For programs that take what there is; a running instance rather than a new one."""
    candidates = [(each.intent.name, app) for each in found for app in each.apps]
    if not candidates:
        raise FDC3Error("NoAppsFound")
    return next((each for each in candidates if each[1].instance_id), candidates[0])


class DesktopAgent:
    """`async with DesktopAgent(AgentSettings("A")) as agent: ...`: on the bridge whenever there is one."""

    def __init__(
        self,
        settings: AgentSettings,
        *,
        resolve: Resolver = the_only_one,
        on_change: Callable[[Change], None] = lambda change: None,
    ) -> None:
        self.settings = settings
        self.resolve = resolve
        self.core = AgentCore(settings, lambda: str(uuid4()))  # R34
        #: Set while this agent is on a bridge.
        self.bridged = asyncio.Event()
        #: Set while it is on none.
        self.unbridged = asyncio.Event()
        self.unbridged.set()
        self._on_change = on_change
        self._mains: dict[str, Main] = {}
        self._apps: dict[AppIdentifier, RunningApp] = {}
        self._handlers: dict[ListenerId, tuple[RunningApp, Callable[..., Any]]] = {}
        self._calls: dict[CallId, asyncio.Future[Any]] = {}
        self._results: dict[CallId, tuple[App, asyncio.Future[Any]]] = {}
        self._call_ids = count(1)
        self._socket: BridgeSocket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_working = False
        # Unix time that never goes back, whatever is done to the clock.
        self._epoch = time.time() - time.monotonic()

    @property
    def name(self) -> str | None:
        """On the bridge; None while there is none."""
        return self.core.connection.name or None

    @property
    def agents(self) -> tuple[str, ...]:
        """Everyone on the bridge, this agent among them."""
        return self.core.connection.agents

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def start(self) -> None:
        with self.acting() as at:
            self.core.start(at)

    async def close(self) -> None:
        """Leaves the bridge; its apps end."""
        for app in list(self._apps.values()):
            await self.close_app(app.app)
        socket = self._socket
        with self.acting() as at:
            self.core.stop(at)
        if self._timer:
            self._timer.cancel()
        tasks = self._tasks - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if socket:
            await socket.wait_closed()

    # --- Apps ---

    def declare(self, record: AppRecord, main: Main | None = None) -> None:
        """An app of this agent. `main` is called where an instance of it is launched; it has started when that
        returns."""
        self.core.declare(record)
        if main:
            self._mains[record.app_id] = main

    def app(self, app_id: str) -> App:
        """A running instance, of an app that was declared or not."""
        return self._run_app(self.core.start_app(app_id))

    async def close_app(self, app: App) -> None:
        running = self._apps.pop(app.identifier, None)
        if running is None:
            return
        with self.acting() as at:
            self.core.close_app(app.identifier, at)
        self._handlers = {id_: each for id_, each in self._handlers.items() if each[0] is not running}
        running.close()

    def _run_app(self, identifier: AppIdentifier) -> App:
        app = App(self, identifier)
        self._apps[identifier] = RunningApp(app, self)
        return app

    # --- For the handles of apps ---

    @contextmanager
    def acting(self) -> Iterator[float]:
        """The time, for calls of the core; what they lead to is done afterwards."""
        try:
            yield self._epoch + time.monotonic()
        finally:
            self._work()

    async def call(self, begin: Callable[[CallId, float], None]) -> Any:
        return await self._begin(next(self._call_ids), begin)

    async def call_with_result(
        self, begin: Callable[[CallId, float], None], app: App
    ) -> tuple[Any, Awaitable[IntentResult | FDC3Error]]:
        call = next(self._call_ids)
        result = asyncio.get_running_loop().create_future()
        self._results[call] = app, result
        try:
            return await self._begin(call, begin), result
        except BaseException:
            del self._results[call]
            raise

    async def _begin(self, call: CallId, begin: Callable[[CallId, float], None]) -> Any:
        answer = asyncio.get_running_loop().create_future()
        self._calls[call] = answer
        try:
            with self.acting() as at:
                begin(call, at)
            return await answer
        finally:
            del self._calls[call]

    def remember_handler(self, listener: ListenerId, app: App, handler: Callable[..., Any]) -> None:
        running = self._apps.get(app.identifier)
        if running:
            self._handlers[listener] = running, handler

    def forget_handler(self, listener: ListenerId) -> None:
        self._handlers.pop(listener, None)

    def handler(self, listener: ListenerId) -> Callable[..., Any] | None:
        return self._handlers[listener][1] if listener in self._handlers else None

    # --- The socket ---

    def socket_opened(self, socket: BridgeSocket) -> None:
        with self.acting() as at:
            self.core.opened(socket.attempt, at)

    def socket_received(self, socket: BridgeSocket, raw: bytes) -> None:
        with self.acting() as at:
            self.core.received(socket.attempt, raw, at)

    def socket_closed(self, socket: BridgeSocket, why: str) -> None:
        with self.acting() as at:
            self.core.closed(socket.attempt, why, at)

    # --- Effects ---

    def _work(self) -> None:
        """Some effects lead to further ones; those come after the ones that are there already."""
        if self._is_working:
            return
        self._is_working = True
        try:
            while effects := self.core.effects():
                for effect in effects:
                    self._do(effect)
        finally:
            self._is_working = False
        self._set_timer()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Send(attempt, data):
                if self._socket and self._socket.attempt == attempt:
                    self._socket.send(data)
            case ContextArrived(listener, context, source):
                self._hand(listener, context, Metadata(source))
            case EventArrived():
                self._hand(effect.listener, event_of(effect))
            case RunIntent():
                self._run_intent(effect)
            case Launch(app):
                self.spawn(self._launch(self._run_app(app)))
            case Answered(call, value):
                self._finish(self._calls.get(call), value)
            case Failed(call, error):
                self._finish(self._calls.get(call), error_of(error))
            case ResultArrived(call, result):
                self._finish_result(call, result)
            case ResultFailed(call, error):
                self._finish_result(call, error_of(error))
            case Connect(attempt, port):
                self._socket = BridgeSocket(attempt, self)
                self.spawn(self._socket.connect(port))
            case Disconnect(attempt, why):
                if self._socket and self._socket.attempt == attempt:
                    self._socket.close(why)
            case Note(text):
                logger.info("%s: %s", self.settings.name, text)
            case Bridged() | Unbridged() | AgentsChanged():
                self._changed(effect)

    def _changed(self, change: Change) -> None:
        match change:
            case Bridged(name, port):
                logger.info("%s is on the bridge at port %d, as %s", self.settings.name, port, name)
                self.unbridged.clear()
                self.bridged.set()
            case Unbridged(why):
                logger.info("%s is on no bridge any more: %s", self.settings.name, why)
                self.bridged.clear()
                self.unbridged.set()
        try:
            self._on_change(change)
        except Exception:
            logger.exception("Who was told of a change failed")

    def _hand(self, listener: ListenerId, *what: object) -> None:
        if listener in self._handlers:
            self._handlers[listener][0].hand(listener, *what)

    def _finish(self, future: asyncio.Future[Any] | None, value: object) -> None:
        if future is None or future.done():
            return
        if isinstance(value, FDC3Error):
            future.set_exception(value)
        else:
            future.set_result(value)

    def _finish_result(self, call: CallId, result: Context | effects.Channel | FDC3Error | None) -> None:
        """An error is a value here: nobody has to ask for the result of an intent."""
        app, future = self._results.pop(call, (None, None))
        if app and future and not future.done():
            future.set_result(_for_app(app, result))

    def _run_intent(self, wanted: RunIntent) -> None:
        if wanted.listener in self._handlers:
            running, handler = self._handlers[wanted.listener]
            running.handle_intent(self._handle_intent(wanted.run, handler, wanted.context, Metadata(wanted.source)))

    async def _handle_intent(self, run: RunId, handler: Callable[..., Any], *what: object) -> None:
        try:
            result = _for_core(await outcome(handler, *what))
        except Exception:
            logger.exception("The handler of an intent failed")
            with self.acting() as at:
                self.core.intent_failed(run, at)
        else:
            with self.acting() as at:
                self.core.intent_returned(run, result, at)

    async def _launch(self, app: App) -> None:
        main = self._mains.get(app.app_id)
        try:
            if main:
                await main(app)
        except Exception:
            logger.exception("%s did not start", app.app_id)
            with self.acting() as at:
                self.core.launch_failed(app.identifier, at)
            await self.close_app(app)
        else:
            with self.acting() as at:
                self.core.launched(app.identifier, at)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- Time ---

    def _set_timer(self) -> None:
        deadline = self.core.next_deadline()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline - self._epoch, self._tick)

    def _tick(self) -> None:
        self._timer = None
        with self.acting() as at:
            self.core.tick(at)


class RunningApp:
    """Calls the handlers of one app in the order in which things happened."""

    def __init__(self, app: App, agent: DesktopAgent) -> None:
        self.app = app
        self._agent = agent
        self._waiting: asyncio.Queue[tuple[ListenerId, tuple[object, ...]]] = asyncio.Queue(MAX_WAITING)
        self._is_closed = False
        self._intents: set[asyncio.Task[None]] = set()
        self._task = agent.spawn(self._run())

    def hand(self, listener: ListenerId, *what: object) -> None:
        try:
            self._waiting.put_nowait((listener, what))
        except asyncio.QueueFull:
            logger.warning("%s does not keep up: something was not handed to it", self.app.app_id)

    def handle_intent(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._agent.spawn(work)
        self._intents.add(task)
        task.add_done_callback(self._intents.discard)

    def close(self) -> None:
        """An app may close itself from a handler, which then goes on to its end."""
        self._is_closed = True
        current = asyncio.current_task()
        for task in (self._task, *self._intents):
            if task is not current:
                task.cancel()

    async def _run(self) -> None:
        while not self._is_closed:
            listener, what = await self._waiting.get()
            # It may have been removed meanwhile, by the handler before.
            handler = self._agent.handler(listener)
            if handler is None:
                continue
            try:
                await outcome(handler, *what)
            except Exception:
                logger.exception("A handler of %s failed", self.app.app_id)


async def outcome(handler: Callable[..., Any], *what: object) -> Any:
    """Of a handler that is a coroutine or not."""
    result = handler(*what)
    return await result if inspect.isawaitable(result) else result


def _for_core(result: IntentResult) -> Context | effects.Channel | None:
    if isinstance(result, Channel | PrivateChannel):
        return effects.Channel(result.id, result.type)
    return result


def _for_app(app: App, result: Context | effects.Channel | FDC3Error | None) -> IntentResult | FDC3Error:
    if not isinstance(result, effects.Channel):
        return result
    return PrivateChannel(app, result.id) if result.type == "private" else Channel(app, result.id, result.type)
