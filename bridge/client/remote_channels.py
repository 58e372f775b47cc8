"""Private channels that apps of other agents created, as apps of this agent hold them.

Whatever an app does on such a channel is one message to the creator, whose agent is the hub; what others do comes from
there, addressed to one app, and is handed to that app alone. Nothing is ever repeated here (R89), not even between two
apps of this agent (Q33): the hub knows of both.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from bridge.client import contexts
from bridge.client.contexts import Context
from bridge.client.effects import ContextArrived, EventArrived, ListenerId
from bridge.client.errors import FDC3Error
from bridge.client.outbox import Outbox
from bridge.client.private_events import ADD_CONTEXT_LISTENER, DISCONNECT, UNSUBSCRIBE
from bridge.protocol.messages import (
    AppIdentifier,
    ChannelPayload,
    ContextListenerPayload,
    EventListenerPayload,
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

#: Of listeners of others that a hub tells of; more of them are told to the app, and not remembered.
MAX_TOLD = 10_000

#: Words that nobody else says for an app.
_SIGNS_OF_LIFE = (PrivateChannelBroadcast, PrivateChannelOnAddContextListener)

type Told = tuple[AppIdentifier, str | None]


@dataclass
class RemoteChannel:
    """What one app of this agent holds of one channel (R73)."""

    id: str
    app: AppIdentifier
    creator: AppIdentifier
    context_listeners: dict[ListenerId, str | None] = field(default_factory=dict)
    event_listeners: dict[ListenerId, ListenerType | None] = field(default_factory=dict)
    #: The context listeners of others that the hub has told of.
    told: list[Told] = field(default_factory=list)
    creator_left: bool = False

    def hearing(self, type_: ListenerType) -> list[ListenerId]:
        return [listener for listener, wanted in self.event_listeners.items() if wanted in (None, type_)]


class RemoteChannels:
    def __init__(self, out: Outbox) -> None:
        self._out = out
        self._channels: dict[tuple[str, AppIdentifier], RemoteChannel] = {}

    def __contains__(self, channel_id: str) -> bool:
        return any(id_ == channel_id for id_, _ in self._channels)

    def held_by(self, channel_id: str, app: AppIdentifier) -> bool:
        return (channel_id, app) in self._channels

    # --- What apps of this agent do ---

    def joined(self, channel_id: str, app: AppIdentifier, creator: AppIdentifier) -> None:
        """The channel came as the result of an intent that `app` raised; it may hold it already."""
        self._channels.setdefault((channel_id, app), RemoteChannel(channel_id, app, creator))

    def add_context_listener(
        self, channel_id: str, app: AppIdentifier, context_type: str | None, listener: ListenerId
    ) -> None:
        """R77: one message for each listener."""
        channel = self._of(channel_id, app)
        channel.context_listeners[listener] = context_type
        payload = ContextListenerPayload(channel_id=channel_id, context_type=context_type)
        self._say(channel, PrivateChannelOnAddContextListener, payload)

    def add_event_listener(
        self, channel_id: str, app: AppIdentifier, type_: ListenerType | None, listener: ListenerId
    ) -> None:
        """R75. The hub keeps a set, so only an app's first listener of a type is told (Q13).

        The hub answers that first one with the context listeners there are already; a further one hears of them here.
        """
        channel = self._of(channel_id, app)
        for each in _types(type_):
            if not channel.hearing(each):
                payload = EventListenerPayload(channel_id=channel_id, listener_type=each)
                self._say(channel, PrivateChannelEventListenerAdded, payload)
                if each is ADD_CONTEXT_LISTENER:
                    channel.told.clear()
            elif each is ADD_CONTEXT_LISTENER:
                for other, context_type in channel.told:
                    self._out.add(EventArrived(listener, each.value, channel_id, context_type, other))
        channel.event_listeners[listener] = type_

    def remove_listener(self, channel_id: str, app: AppIdentifier, listener: ListenerId) -> None:
        """Of a channel that the app has left there is nothing to remove."""
        channel = self._channels.get((channel_id, app))
        if channel is None:
            return
        if listener in channel.context_listeners:
            payload = ContextListenerPayload(
                channel_id=channel_id, context_type=channel.context_listeners.pop(listener)
            )
            self._say(channel, PrivateChannelOnUnsubscribe, payload)  # R78
        elif listener in channel.event_listeners:
            self._remove_event_listener(channel, listener)

    def broadcast(self, channel_id: str, app: AppIdentifier, context: Context) -> None:
        channel = self._of(channel_id, app)
        payload = PrivateChannelBroadcastPayload(channel_id=channel_id, context=contexts.write(context))
        self._say(channel, PrivateChannelBroadcast, payload)

    def disconnect(self, channel_id: str, app: AppIdentifier) -> None:
        """One single message (R80): telling the others of each listener before is the hub's task (R81)."""
        channel = self._channels.pop((channel_id, app), None)
        if channel:
            self._say(channel, PrivateChannelOnDisconnect, ChannelPayload(channel_id=channel_id))

    def app_closed(self, app: AppIdentifier) -> None:
        """As if it had called `disconnect()` on each of its channels (R92)."""
        for channel_id, holder in list(self._channels):
            if holder == app:
                self.disconnect(channel_id, app)

    # --- What the hub tells ---

    def received(self, message: PrivateChannelRequest, source: AppIdentifier, to: AppIdentifier) -> None:
        """For the addressed app alone (R89); a channel that it does not hold is none (R94)."""
        channel = self._channels.get((message.payload.channel_id, to))
        if channel is None:
            return
        if source == channel.creator and isinstance(message, _SIGNS_OF_LIFE):
            channel.creator_left = False  # It was handed its own channel again.
        match message:
            case PrivateChannelBroadcast(payload=payload):
                self._broadcast(channel, source, contexts.read(payload.context))
            case PrivateChannelOnAddContextListener(payload=payload):
                if len(channel.told) < MAX_TOLD:
                    channel.told.append((source, payload.context_type))
                self._tell(channel, ADD_CONTEXT_LISTENER, source, payload.context_type)
            case PrivateChannelOnUnsubscribe(payload=payload):
                self._unsubscribed(channel, source, payload.context_type)
            case PrivateChannelOnDisconnect():
                self._left(channel, source)

    def agents_now(self, names: Collection[str]) -> None:
        """With its creator's agent a channel ends: nothing can come over it any more (R92, facts 7.6)."""
        for key, channel in list(self._channels.items()):
            if channel.creator.desktop_agent not in names:
                del self._channels[key]
                self._left(channel, channel.creator)

    # --- What follows ---

    def _of(self, channel_id: str, app: AppIdentifier) -> RemoteChannel:
        if not self.held_by(channel_id, app):
            why = f"{app.app_id} has left this private channel, or the agent that it came from is gone"
            raise FDC3Error("AccessDenied", why)  # R84
        return self._channels[channel_id, app]

    def _remove_event_listener(self, channel: RemoteChannel, listener: ListenerId) -> None:
        """R76: only the last one of a type is told (Q13)."""
        for each in _types(channel.event_listeners.pop(listener)):
            if not channel.hearing(each):
                payload = EventListenerPayload(channel_id=channel.id, listener_type=each)
                self._say(channel, PrivateChannelEventListenerRemoved, payload)

    def _broadcast(self, channel: RemoteChannel, source: AppIdentifier, context: Context) -> None:
        for listener, wanted in channel.context_listeners.items():
            if wanted in (None, context["type"]):
                self._out.add(ContextArrived(listener, context, source))

    def _unsubscribed(self, channel: RemoteChannel, source: AppIdentifier, context_type: str | None) -> None:
        if source == channel.creator and channel.creator_left:
            return
        if (source, context_type) in channel.told:
            channel.told.remove((source, context_type))
        self._tell(channel, UNSUBSCRIBE, source, context_type)

    def _left(self, channel: RemoteChannel, source: AppIdentifier) -> None:
        """That a lost creator is gone may be said by the bridge in its name, and is seen here too: told once (Q15).

        Whoever says it may know less than was told here, so whatever the leaver is still known to listen to ends now
        (R82).
        """
        if source == channel.creator and channel.creator_left:
            return
        for context_type in [type_ for other, type_ in channel.told if other == source]:
            self._unsubscribed(channel, source, context_type)
        channel.creator_left |= source == channel.creator
        self._tell(channel, DISCONNECT, source)

    def _tell(
        self, channel: RemoteChannel, type_: ListenerType, source: AppIdentifier, context_type: str | None = None
    ) -> None:
        for listener in channel.hearing(type_):
            self._out.add(EventArrived(listener, type_.value, channel.id, context_type, source))

    def _say(self, channel: RemoteChannel, kind: type[PrivateChannelRequest], payload: ChannelPayload) -> None:
        """To the creator, by its full identifier (R69)."""
        self._out.send_private(kind, payload, channel.app, channel.creator)


def _types(type_: ListenerType | None) -> Collection[ListenerType]:
    """On the wire there is no listener for every event: it is one of each type (Q12)."""
    return ListenerType if type_ is None else (type_,)
