"""What an app of this agent holds: itself, its channels, listeners and intents, with the names that FDC3 has for them.

Each call does what it does before it first waits, so calls made one after another have their effects in that order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.client.channels import USER_CHANNELS
from bridge.client.contexts import Context
from bridge.client.effects import CallId, EventArrived, ListenerId
from bridge.client.errors import FDC3Error
from bridge.protocol.messages import AppIdentifier, AppIntent, AppMetadata, DisplayMetadata, ListenerType

if TYPE_CHECKING:
    from bridge.client.agent import DesktopAgent

DISPLAY = {id_: DisplayMetadata(name=name, color=color) for id_, name, color in USER_CHANNELS}

type IntentResult = Context | Channel | PrivateChannel | None
type ContextHandler = Callable[[Context, Metadata], Awaitable[None] | None]
type EventHandler = Callable[[ChannelEvent], Awaitable[None] | None]
type IntentHandler = Callable[[Context, Metadata], Awaitable[IntentResult] | IntentResult]


@dataclass(frozen=True)
class Metadata:
    """Who sent a context; unknown for what a channel held before."""

    source: AppIdentifier | None


@dataclass(frozen=True)
class ChannelEvent:
    type: str
    channel_id: str
    context_type: str | None
    source: AppIdentifier


@dataclass(frozen=True)
class ImplementationInfo:
    fdc3_version: str
    provider: str
    provider_version: str
    #: The name on the bridge, while there is one.
    desktop_agent: str | None
    app: AppMetadata


class Listener:
    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove = remove

    async def unsubscribe(self) -> None:
        """A second time is nothing."""
        remove, self._remove = self._remove, lambda: None
        remove()


@dataclass(frozen=True)
class IntentResolution:
    intent: str
    source: AppIdentifier
    _result: Awaitable[IntentResult | FDC3Error]

    async def get_result(self) -> IntentResult:
        """A context, a channel or nothing, whenever the handler is done; raises what came instead."""
        result = await self._result
        if isinstance(result, FDC3Error):
            raise result
        return result


class Channel:
    """A user or an app channel."""

    def __init__(self, app: App, id: str, type: str) -> None:
        self.id = id
        self.type = type
        #: Of user channels alone.
        self.display_metadata = DISPLAY.get(id)
        self._app = app

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r})"

    async def broadcast(self, context: Context) -> None:
        agent = self._app.agent
        with agent.acting() as at:
            agent.core.broadcast(self._app.identifier, self.id, context, at)

    async def get_current_context(self, context_type: str | None = None) -> Context | None:
        return self._app.agent.core.current_context(self.id, context_type)

    async def add_context_listener(self, context_type: str | None, handler: ContextHandler) -> Listener:
        return self._app.listen(self.id, context_type, handler)


class PrivateChannel:
    """A channel that only those hold who got it as the result of an intent."""

    type = "private"

    def __init__(self, app: App, id: str) -> None:
        self.id = id
        self._app = app
        self._listeners: set[ListenerId] = set()

    def __repr__(self) -> str:
        return f"PrivateChannel({self.id!r})"

    async def broadcast(self, context: Context) -> None:
        """Raises AccessDenied where this app has left, or the agent of the channel's creator is gone."""
        agent = self._app.agent
        with agent.acting() as at:
            agent.core.broadcast_privately(self._app.identifier, self.id, context, at)

    async def add_context_listener(self, context_type: str | None, handler: ContextHandler) -> Listener:
        agent = self._app.agent
        with agent.acting() as at:
            added = agent.core.add_private_context_listener(self._app.identifier, self.id, context_type, at)
            return self._listener(added, handler)

    async def add_event_listener(self, type: str | None, handler: EventHandler) -> Listener:
        """For `addContextListener`, `unsubscribe`, `disconnect`, or, with None, for each of them."""
        wanted = _event_type(type)
        agent = self._app.agent
        with agent.acting() as at:
            added = agent.core.add_event_listener(self._app.identifier, self.id, wanted, at)
            return self._listener(added, handler)

    async def disconnect(self) -> None:
        """Of the others everyone hears that each context listener of this app is gone, and then that the app is."""
        agent = self._app.agent
        with agent.acting() as at:
            agent.core.disconnect(self._app.identifier, self.id, at)
        for listener in self._listeners:
            agent.forget_handler(listener)
        self._listeners.clear()

    def _listener(self, added: ListenerId, handler: Callable[..., Any]) -> Listener:
        agent = self._app.agent
        agent.remember_handler(added, self._app, handler)
        self._listeners.add(added)

        def remove() -> None:
            self._listeners.discard(added)
            agent.forget_handler(added)
            with agent.acting() as at:
                agent.core.remove_private_listener(self._app.identifier, self.id, added, at)

        return Listener(remove)


class App:
    """One running instance of an app."""

    def __init__(self, agent: DesktopAgent, identifier: AppIdentifier) -> None:
        self.agent = agent
        self.identifier = identifier

    @property
    def app_id(self) -> str:
        return self.identifier.app_id

    @property
    def instance_id(self) -> str:
        return self.identifier.instance_id or ""

    def __repr__(self) -> str:
        return f"App({self.app_id!r}, {self.instance_id!r})"

    # --- Context ---

    async def broadcast(self, context: Context) -> None:
        """To the user channel that this app is on; to nobody while it is on none."""
        channel = await self.get_current_channel()
        if channel:
            await channel.broadcast(context)

    async def add_context_listener(self, context_type: str | None, handler: ContextHandler) -> Listener:
        """For what is broadcast on whichever user channel this app is on, and for what it is opened with."""
        return self.listen(None, context_type, handler)

    # --- Channels ---

    async def get_user_channels(self) -> list[Channel]:
        return [Channel(self, id_, "user") for id_ in DISPLAY]

    async def join_user_channel(self, channel_id: str) -> None:
        with self.agent.acting():
            self.agent.core.join_user_channel(self.identifier, channel_id)

    async def leave_current_channel(self) -> None:
        self.agent.core.leave_user_channel(self.identifier)

    async def get_current_channel(self) -> Channel | None:
        joined = self.agent.core.joined_channel(self.identifier)
        return Channel(self, joined, "user") if joined else None

    async def get_or_create_channel(self, channel_id: str) -> Channel:
        """Raises AccessDenied for a private one (R85)."""
        return Channel(self, channel_id, self.agent.core.get_or_create_channel(channel_id))

    async def create_private_channel(self) -> PrivateChannel:
        """To let another app have it, return it from the handler of an intent that the other one raises."""
        return PrivateChannel(self, self.agent.core.create_private_channel(self.identifier))

    # --- Apps ---

    async def find_intent(
        self, intent: str, context: Context | None = None, result_type: str | None = None
    ) -> AppIntent:
        found: AppIntent = await self.agent.call(
            lambda call, at: self.agent.core.find_intent(call, self.identifier, intent, context, result_type, at)
        )
        return found

    async def find_intents_by_context(self, context: Context, result_type: str | None = None) -> list[AppIntent]:
        found: list[AppIntent] = await self.agent.call(
            lambda call, at: self.agent.core.find_intents_by_context(call, self.identifier, context, result_type, at)
        )
        return found

    async def find_instances(self, app: AppIdentifier | str) -> list[AppIdentifier]:
        found: list[AppIdentifier] = await self.agent.call(
            lambda call, at: self.agent.core.find_instances(call, self.identifier, target(app), at)
        )
        return found

    async def get_app_metadata(self, app: AppIdentifier | str) -> AppMetadata:
        metadata: AppMetadata = await self.agent.call(
            lambda call, at: self.agent.core.get_app_metadata(call, self.identifier, target(app), at)
        )
        return metadata

    async def open(self, app: AppIdentifier | str, context: Context | None = None) -> AppIdentifier:
        opened: AppIdentifier = await self.agent.call(
            lambda call, at: self.agent.core.open(call, self.identifier, target(app), context, at)
        )
        return opened

    async def get_info(self) -> ImplementationInfo:
        settings = self.agent.settings
        return ImplementationInfo(
            settings.fdc3_version,
            settings.provider,
            settings.provider_version,
            self.agent.name,
            await self.get_app_metadata(self.identifier),
        )

    # --- Intents ---

    async def add_intent_listener(self, intent: str, handler: IntentHandler) -> Listener:
        agent = self.agent
        with agent.acting() as at:
            added = agent.core.add_intent_listener(self.identifier, intent, at)
            agent.remember_handler(added, self, handler)

        def remove() -> None:
            agent.forget_handler(added)
            agent.core.remove_intent_listener(added)

        return Listener(remove)

    async def raise_intent(
        self, intent: str, context: Context, app: AppIdentifier | str | None = None
    ) -> IntentResolution:
        """Without `app` it is looked for here and on the bridge, and the agent's resolver chooses."""
        if app is not None:
            return await self._raise(intent, context, target(app))
        return await self._resolve([await self.find_intent(intent, context)], context)

    async def raise_intent_for_context(
        self, context: Context, app: AppIdentifier | str | None = None
    ) -> IntentResolution:
        found = await self.find_intents_by_context(context)
        if app is not None:
            found = _of_app(found, target(app))
        return await self._resolve(found, context)

    async def _resolve(self, found: Sequence[AppIntent], context: Context) -> IntentResolution:
        intent, chosen = await self.agent.resolve(found, context)
        return await self._raise(intent, context, _identifier(chosen))

    async def _raise(self, intent: str, context: Context, app: AppIdentifier) -> IntentResolution:
        def begin(call: CallId, at: float) -> None:
            self.agent.core.raise_intent(call, self.identifier, app, intent, context, at)

        resolution, result = await self.agent.call_with_result(begin, self)
        return IntentResolution(resolution.intent, resolution.source, result)

    # --- Itself ---

    async def close(self) -> None:
        """Everything it listened to ends, and it leaves its private channels."""
        await self.agent.close_app(self)

    def listen(self, channel_id: str | None, context_type: str | None, handler: ContextHandler) -> Listener:
        agent = self.agent
        with agent.acting() as at:
            added = agent.core.add_context_listener(self.identifier, channel_id, context_type, at)
            agent.remember_handler(added, self, handler)

        def remove() -> None:
            agent.forget_handler(added)
            agent.core.remove_context_listener(added)

        return Listener(remove)


def target(app: AppIdentifier | str) -> AppIdentifier:
    return AppIdentifier(app_id=app) if isinstance(app, str) else app


def event_of(arrived: EventArrived) -> ChannelEvent:
    return ChannelEvent(arrived.type, arrived.channel_id, arrived.context_type, arrived.source)


def _event_type(type_: str | None) -> ListenerType | None:
    try:
        return None if type_ is None else ListenerType(type_)
    except ValueError:
        raise FDC3Error("InvalidArguments", f"{type_!r} is no event of a private channel") from None


def _identifier(app: AppMetadata) -> AppIdentifier:
    return AppIdentifier(app_id=app.app_id, instance_id=app.instance_id, desktop_agent=app.desktop_agent)


def _of_app(found: Sequence[AppIntent], app: AppIdentifier) -> list[AppIntent]:
    """What of this is for that app; all of it where the app is not among them, so that the error is of the app."""

    def is_meant(each: AppMetadata) -> bool:
        return (each.app_id, each.desktop_agent) == (app.app_id, app.desktop_agent) and (
            app.instance_id in (None, each.instance_id)
        )

    return [
        AppIntent(intent=each.intent, apps=[one for one in each.apps if is_meant(one)])
        for each in found
        if any(map(is_meant, each.apps))
    ]
