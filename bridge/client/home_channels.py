"""Private channels that apps of this agent created: this agent is their hub for as long as anybody holds them.

Nobody is told of a private channel before it is the result of an intent. From then on every app of another agent that
holds it speaks to this agent alone, and this agent repeats what it hears to the others: one copy per receiving app, in
the order in which it was heard, with the source that it came with, never back to that source. An app of this agent is
told before an app of another.

All that has to be remembered is in `HomeChannel`. An app that left is a stranger: what it says afterwards is ignored,
until it is handed the channel again.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from bridge.client import contexts
from bridge.client.contexts import Context
from bridge.client.effects import ContextArrived, EventArrived, ListenerId
from bridge.client.errors import FDC3Error
from bridge.client.outbox import Outbox
from bridge.client.private_events import ADD_CONTEXT_LISTENER, DISCONNECT, MESSAGE_OF, UNSUBSCRIBE, payload_of
from bridge.protocol.messages import (
    AppIdentifier,
    ListenerType,
    PrivateChannelBroadcast,
    PrivateChannelBroadcastPayload,
    PrivateChannelEventListenerAdded,
    PrivateChannelEventListenerRemoved,
    PrivateChannelOnAddContextListener,
    PrivateChannelOnDisconnect,
    PrivateChannelOnUnsubscribe,
    PrivateChannelRequest,
)

#: Two agents never make the same ID (Q34), and one that has ended is still known for what it was (R85).
PREFIX = "private-"

#: Of one app elsewhere, on one channel; what its agent says beyond that is not believed.
MAX_CONTEXT_LISTENERS = 1_000


@dataclass(frozen=True)
class ContextListener:
    """`listener` is None where the app is another agent's (R88)."""

    app: AppIdentifier
    context_type: str | None
    listener: ListenerId | None = None

    def hears(self, context: Context) -> bool:
        return self.context_type in (None, context["type"])


@dataclass(frozen=True)
class EventListener:
    """R74. A type of None hears every event; on the wire that is one listener of each type (Q12)."""

    app: AppIdentifier
    type: ListenerType | None
    listener: ListenerId | None = None

    def hears(self, type_: ListenerType) -> bool:
        return self.type in (None, type_)


@dataclass
class HomeChannel:
    id: str
    members: list[AppIdentifier]
    context_listeners: list[ContextListener] = field(default_factory=list)
    event_listeners: list[EventListener] = field(default_factory=list)

    def listeners_of(self, app: AppIdentifier) -> int:
        return sum(each.app == app for each in self.context_listeners)

    def forget(self, app: AppIdentifier) -> list[ContextListener]:
        """Gives the context listeners that it had, in the order in which it added them."""
        listeners = [each for each in self.context_listeners if each.app == app]
        self.context_listeners = [each for each in self.context_listeners if each.app != app]
        self.event_listeners = [each for each in self.event_listeners if each.app != app]
        self.members.remove(app)
        return listeners


class HomeChannels:
    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._channels: dict[str, HomeChannel] = {}

    def __contains__(self, channel_id: str) -> bool:
        return channel_id in self._channels

    def held_by(self, channel_id: str, app: AppIdentifier) -> bool:
        return channel_id in self._channels and app in self._channels[channel_id].members

    # --- What apps of this agent do ---

    def check_held(self, channel_id: str, app: AppIdentifier) -> None:
        self._of(channel_id, app)

    def create(self, app: AppIdentifier) -> str:
        """Sends nothing (R87)."""
        channel = HomeChannel(PREFIX + self._out.new_id(), [app])
        self._channels[channel.id] = channel
        return channel.id

    def hand_to(self, channel_id: str, app: AppIdentifier) -> None:
        """The channel is the result of an intent that `app`, of this agent or another, raised."""
        members = self._channels[channel_id].members
        if app not in members:
            members.append(app)

    def add_context_listener(
        self, channel_id: str, app: AppIdentifier, context_type: str | None, listener: ListenerId
    ) -> None:
        self._add_context_listener(self._of(channel_id, app), ContextListener(app, context_type, listener))

    def add_event_listener(
        self, channel_id: str, app: AppIdentifier, type_: ListenerType | None, listener: ListenerId
    ) -> None:
        self._add_event_listener(self._of(channel_id, app), EventListener(app, type_, listener))

    def remove_listener(self, channel_id: str, app: AppIdentifier, listener: ListenerId) -> None:
        """Of a channel that the app has left there is nothing to remove."""
        if not self.held_by(channel_id, app):
            return
        channel = self._channels[channel_id]
        for each in channel.context_listeners:
            if each.listener == listener:
                self._remove_context_listener(channel, each)
                return
        channel.event_listeners = [each for each in channel.event_listeners if each.listener != listener]

    def broadcast(self, channel_id: str, app: AppIdentifier, context: Context) -> None:
        self._broadcast(self._of(channel_id, app), app, context)

    def disconnect(self, channel_id: str, app: AppIdentifier) -> None:
        """A second time is nothing."""
        if self.held_by(channel_id, app):
            self._leave(self._channels[channel_id], [app])

    def app_closed(self, app: AppIdentifier) -> None:
        """As if it had called `disconnect()` on each of its channels (R92)."""
        for channel_id in list(self._channels):
            self.disconnect(channel_id, app)

    # --- What others do ---

    def received(self, message: PrivateChannelRequest, app: AppIdentifier) -> None:
        """Ignores the words of strangers: of who was never handed the channel (R86), and of who left it (R93)."""
        if not self.held_by(message.payload.channel_id, app):
            return
        channel = self._channels[message.payload.channel_id]
        match message:
            case PrivateChannelEventListenerAdded(payload=payload):
                # Never repeated (facts 7.4). Said twice it changes nothing (Q13).
                if EventListener(app, payload.listener_type) not in channel.event_listeners:
                    self._add_event_listener(channel, EventListener(app, payload.listener_type))
            case PrivateChannelEventListenerRemoved(payload=payload):
                removed = EventListener(app, payload.listener_type)
                channel.event_listeners = [each for each in channel.event_listeners if each != removed]
            case PrivateChannelOnAddContextListener(payload=payload) if (
                channel.listeners_of(app) < MAX_CONTEXT_LISTENERS
            ):
                self._add_context_listener(channel, ContextListener(app, payload.context_type))
            case PrivateChannelOnUnsubscribe(payload=payload):
                listener = ContextListener(app, payload.context_type)
                if listener in channel.context_listeners:
                    self._remove_context_listener(channel, listener)
            case PrivateChannelBroadcast(payload=payload):
                self._broadcast(channel, app, contexts.read(payload.context))
            case PrivateChannelOnDisconnect():
                self._leave(channel, [app])

    def agents_now(self, names: Collection[str]) -> None:
        """Apps of agents that are gone have left, as if each had called `disconnect()` (R92, facts 7.6)."""
        for channel in list(self._channels.values()):
            self._leave(
                channel, [app for app in channel.members if app.desktop_agent and app.desktop_agent not in names]
            )

    # --- What follows ---

    def _of(self, channel_id: str, app: AppIdentifier) -> HomeChannel:
        if not self.held_by(channel_id, app):
            raise FDC3Error("AccessDenied", f"{app.app_id} has left this private channel")  # R84, R86
        return self._channels[channel_id]

    def _add_context_listener(self, channel: HomeChannel, listener: ContextListener) -> None:
        """R77."""
        channel.context_listeners.append(listener)
        self._tell(channel, ADD_CONTEXT_LISTENER, listener.app, listener.context_type)

    def _remove_context_listener(self, channel: HomeChannel, listener: ContextListener) -> None:
        """R78."""
        channel.context_listeners.remove(listener)
        self._tell(channel, UNSUBSCRIBE, listener.app, listener.context_type)

    def _add_event_listener(self, channel: HomeChannel, added: EventListener) -> None:
        """Tells it of the context listeners that others have already (R83)."""
        channel.event_listeners.append(added)
        if not added.hears(ADD_CONTEXT_LISTENER):
            return
        for earlier in channel.context_listeners:
            if earlier.app != added.app:
                self._tell_one(channel, added, ADD_CONTEXT_LISTENER, earlier.app, earlier.context_type)

    def _broadcast(self, channel: HomeChannel, source: AppIdentifier, context: Context) -> None:
        """R70: to each app that listens for the type (Q28), once however many listeners it has; never to the source
        (R71)."""
        hearing = [each for each in channel.context_listeners if each.app != source and each.hears(context)]
        for each in hearing:
            if each.listener is not None:
                self._out.add(ContextArrived(each.listener, context, source))
        payload = PrivateChannelBroadcastPayload(channel_id=channel.id, context=contexts.write(context))
        for app in dict.fromkeys(each.app for each in hearing if each.listener is None):
            self._out.send_private(PrivateChannelBroadcast, payload, source, app)

    def _leave(self, channel: HomeChannel, leavers: Collection[AppIdentifier]) -> None:
        """Tell of everything that each leaver listened to before telling that it left (R79, R81, R82).

        All are forgotten first: nothing may go back to one of them (R71), nor, where several are lost with their
        agent, to another. Who had no context listener has nothing to unsubscribe from (Q4).
        """
        had = {app: channel.forget(app) for app in leavers}
        for app, listeners in had.items():
            for listener in listeners:
                self._tell(channel, UNSUBSCRIBE, app, listener.context_type)
            self._tell(channel, DISCONNECT, app)
        if not channel.members:
            del self._channels[channel.id]

    def _tell(
        self, channel: HomeChannel, type_: ListenerType, actor: AppIdentifier, context_type: str | None = None
    ) -> None:
        """Everyone but the actor (R71, Q27): first the apps here, then those elsewhere."""
        hearing = [each for each in channel.event_listeners if each.app != actor and each.hears(type_)]
        for each in sorted(hearing, key=lambda each: each.listener is None):
            self._tell_one(channel, each, type_, actor, context_type)

    def _tell_one(
        self,
        channel: HomeChannel,
        to: EventListener,
        type_: ListenerType,
        actor: AppIdentifier,
        context_type: str | None,
    ) -> None:
        """In the actor's own name (R72)."""
        if to.listener is not None:
            self._out.add(EventArrived(to.listener, type_.value, channel.id, context_type, actor))
        else:
            payload = payload_of(type_, channel.id, context_type)
            self._out.send_private(MESSAGE_OF[type_], payload, actor, to.app)
