"""Messages of private channels: passed to the one agent that they name, and remembered by what they say."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from bridge.protocol.collation import MALFORMED
from bridge.protocol.effects import Event
from bridge.protocol.identity import AppKey, app_of
from bridge.protocol.messages import (
    AppDestination,
    ChannelPayload,
    ContextListenerPayload,
    Identifier,
    PrivateChannelBroadcast,
    PrivateChannelEventListenerAdded,
    PrivateChannelEventListenerRemoved,
    PrivateChannelMeta,
    PrivateChannelOnAddContextListener,
    PrivateChannelOnDisconnect,
    PrivateChannelOnUnsubscribe,
    stamped,
)
from bridge.protocol.outbox import Outbox
from bridge.protocol.peers import Peer
from bridge.protocol.private_channels import Farewell, PrivateChannel, PrivateChannels
from bridge.protocol.settings import HubSettings


class PrivateRelay:
    def __init__(
        self, settings: HubSettings, outbox: Outbox, agents: dict[str, Peer], private: PrivateChannels
    ) -> None:
        self._settings = settings
        self._out = outbox
        self._agents = agents
        self._private = private

    def relay(self, peer: Peer, message: Any) -> None:
        source, destination = message.meta.source, message.meta.destination
        if source is None or destination is None:
            # R90, Q3, Q31: without a destination it would be everybody's, and without a source nobody's.
            self._out.answer_error(peer, message.type, message.meta.request_uuid, MALFORMED, [peer.name])
            return
        channel_id = message.payload.channel_id
        speaker, receiver = app_of(source, peer.name), app_of(destination, destination.desktop_agent)
        is_repeat = self._is_repeat(peer, channel_id, source, receiver)
        other = self._agents.get(receiver.desktop_agent)
        if channel_id in self._private.refused and self._is_cut_off(channel_id, speaker, receiver, is_repeat):
            self._out.drop(peer, f"{message.type} from or to an app that an administrator disconnected")
        elif other is None or other is peer:
            self._out.drop(peer, f"{message.type} to an agent that is not connected")  # Q6
        else:
            # R35, but for a repeat, whose source stays as it is (R72).
            size = self._out.send(other, message if is_repeat else stamped(message, peer.name))
            channel = self._private.between(channel_id, peer.name, other.name)
            if channel is not None:
                channel.crossed(size, self._out.at)
                if not is_repeat:
                    self._learn(channel, speaker, message)

    def _is_repeat(self, peer: Peer, channel_id: str, source: Identifier, receiver: AppKey) -> bool:
        """Q1: the home of a channel may speak for those who take part in it, to others who do."""
        if source.desktop_agent is None or source.desktop_agent == peer.name:
            return False
        channel = self._private.at_home(channel_id, peer.name)
        return (
            channel is not None
            and app_of(source, source.desktop_agent) in channel.members
            and receiver in channel.members
        )

    def _is_cut_off(self, channel_id: str, speaker: AppKey, receiver: AppKey, is_repeat: bool) -> bool:
        """What others still have to hear of an app that was cut off, its home repeats."""
        is_refused = self._private.is_refused
        return is_refused(channel_id, receiver) or (not is_repeat and is_refused(channel_id, speaker))

    def _learn(self, channel: PrivateChannel, speaker: AppKey, message: Any) -> None:
        member = self._private.member(channel, speaker, self._out.at)
        if member is None:
            return
        match message:
            case PrivateChannelBroadcast():
                pass
            case PrivateChannelEventListenerAdded():
                member.events.add(message.payload.listener_type)
            case PrivateChannelEventListenerRemoved():
                member.events.discard(message.payload.listener_type)
            case PrivateChannelOnAddContextListener():
                self._private.context_listener_added(channel, speaker, member, message.payload.context_type)
            case PrivateChannelOnUnsubscribe():
                self._private.context_listener_removed(channel, member, message.payload.context_type)
            case PrivateChannelOnDisconnect():
                self._private.left(channel, speaker)

    # Goodbyes

    def agent_lost(self, name: str) -> None:
        """Q15: the home repeats nothing any more, so its participants hear from us that its apps are gone."""
        if self._settings.announce_lost_creators:
            self._say(self._farewells_of(name))
        self._private.agent_lost(name)

    def _farewells_of(self, home: str) -> Iterator[tuple[PrivateChannel, Farewell]]:
        for channel in self._private.of(home):
            if channel.home == home:
                for goodbye in self._private.farewells(channel, _at_home(channel)):
                    yield channel, goodbye

    def disconnect_app(self, channel_id: str, app: AppKey) -> None:
        """For the app as its disconnect() would (R79, R80, R81), and from then on nothing from or to it is relayed."""
        for channel in self._private.named(channel_id):
            member = channel.members.get(app)
            if member is None:
                continue
            if not member.has_left:
                self._say((channel, goodbye) for goodbye in self._goodbyes(channel, app))
            self._private.refuse(channel_id, app)  # Before it leaves, so that its channel stays on the list.
            self._private.left(channel, app)
            self._out.note(Event.APP_DISCONNECTED, f"{app.app_id} of {app.desktop_agent} cut off from {channel_id}")

    def _goodbyes(self, channel: PrivateChannel, app: AppKey) -> Iterable[Farewell]:
        if app.desktop_agent == channel.home:
            return self._private.farewells(channel, [app])
        # One message: its home tells the others, and says the onUnsubscribes before (R80, R81).
        return [Farewell(app, channel.creator, True)]

    def _say(self, goodbyes: Iterable[tuple[PrivateChannel, Farewell]]) -> None:
        """Up to a bound: they are as many as what left listened to, times those who hear of it."""
        for channel, goodbye in islice(goodbyes, self._settings.max_goodbyes):
            other = self._agents.get(goodbye.destination.desktop_agent)
            if other is not None:
                self._out.send(other, self._message(channel, goodbye))

    def _message(self, channel: PrivateChannel, goodbye: Farewell) -> Any:
        to = goodbye.destination
        meta = PrivateChannelMeta(
            request_uuid=self._out.new_id(),
            timestamp=self._out.timestamp(),
            source=goodbye.source.identifier(),
            destination=AppDestination(app_id=to.app_id, instance_id=to.instance_id, desktop_agent=to.desktop_agent),
        )
        if goodbye.is_disconnect:
            return PrivateChannelOnDisconnect(payload=ChannelPayload(channel_id=channel.id), meta=meta)
        payload = ContextListenerPayload(channel_id=channel.id, context_type=goodbye.context_type)
        return PrivateChannelOnUnsubscribe(payload=payload, meta=meta)


def _at_home(channel: PrivateChannel) -> list[AppKey]:
    return [app for app, _ in channel.present() if app.desktop_agent == channel.home]
