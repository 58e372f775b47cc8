"""What the bridge knows of private channels, learnt from what crosses it and needed by no agent.

A private channel reaches another agent in one way only: as the result of an intent. From that result the bridge learns
the channel, its creator and whom it was handed to; from the messages that follow, who listens to what. The agent that
gave the result is the channel's *home*: it repeats what one participant says to the others, for as long as the channel
lives. Channels are kept by id *and* home, because an agent that claims another's id must not get its participants
(Q34).

What happens between apps of one agent never crosses the bridge, so it is not here either. That is good enough for the
three things that this is for: to tell a repeat from a lie (Q1), to say goodbye for a lost home (Q15), and to show
administrators what they disconnect an app from.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.protocol.identity import AppKey
from bridge.protocol.messages import ListenerType
from bridge.protocol.settings import HubSettings

type ChannelKey = tuple[str, str]


@dataclass(slots=True)
class Member:
    joined_at: float
    #: Of one that left only the name is kept, since its home goes on to repeat its goodbyes.
    has_left: bool = False
    events: set[ListenerType] = field(default_factory=set)
    #: How many context listeners it has for each type; None is the type of those that take every one.
    contexts: dict[str | None, int] = field(default_factory=dict)


@dataclass(slots=True)
class PrivateChannel:
    id: str
    home: str
    creator: AppKey
    created_at: float
    members: dict[AppKey, Member]
    messages: int = 0
    bytes: int = 0
    last_message_at: float | None = None

    @property
    def key(self) -> ChannelKey:
        return self.id, self.home

    def present(self) -> Iterator[tuple[AppKey, Member]]:
        return ((app, member) for app, member in self.members.items() if not member.has_left)

    def participants(self) -> Iterator[tuple[AppKey, Member]]:
        """Those on other agents than the creator's."""
        return ((app, member) for app, member in self.present() if app.desktop_agent != self.home)

    def crossed(self, size: int, at: float) -> None:
        self.messages += 1
        self.bytes += size
        self.last_message_at = at


class Farewell(NamedTuple):
    """An onUnsubscribe, or an onDisconnect, that is due."""

    source: AppKey
    destination: AppKey
    is_disconnect: bool
    context_type: str | None = None


class PrivateChannels:
    def __init__(self, settings: HubSettings) -> None:
        self._settings = settings
        self._channels: dict[ChannelKey, PrivateChannel] = {}
        #: By agent, home or not, so that the loss of one costs no search.
        self._of_agent: dict[str, dict[ChannelKey, None]] = {}
        #: How many members and kinds of listeners are kept for the channels of one home.
        self._kept_for: dict[str, int] = {}
        #: Outlives the channel: an agent that comes back with its old ids is no way around an administrator.
        self.refused: dict[str, set[AppKey]] = {}

    def __iter__(self) -> Iterator[PrivateChannel]:
        return iter(self._channels.values())

    def between(self, channel_id: str, sender: str, receiver: str) -> PrivateChannel | None:
        """The channel of this id that one of the two is home of."""
        return self._channels.get((channel_id, receiver)) or self._channels.get((channel_id, sender))

    def at_home(self, channel_id: str, home: str) -> PrivateChannel | None:
        return self._channels.get((channel_id, home))

    def named(self, channel_id: str) -> list[PrivateChannel]:
        return [channel for channel in self if channel.id == channel_id]

    def of(self, agent: str) -> list[PrivateChannel]:
        return [self._channels[key] for key in self._of_agent.get(agent, ()) if key in self._channels]

    # Who is on which channel

    def opened(self, channel_id: str, creator: AppKey, participant: AppKey, at: float) -> None:
        """An intent of `participant` was answered with this channel."""
        if len(channel_id) > self._settings.max_id:
            return
        channel = self._channels.get((channel_id, creator.desktop_agent))
        if channel is None:
            self._make_room(creator.desktop_agent)
            channel = PrivateChannel(channel_id, creator.desktop_agent, creator, at, {})
            self._channels[channel.key] = channel
            self._admit(channel, creator, at)
        self._admit(channel, participant, at)

    def member(self, channel: PrivateChannel, app: AppKey, at: float) -> Member | None:
        """The app as one that takes part, also where only its agent was known to; None for an outsider."""
        member = channel.members.get(app)
        if member is not None:
            return None if member.has_left else member
        if any(each.desktop_agent == app.desktop_agent for each, _ in channel.present()):
            return self._admit(channel, app, at)
        return None

    def _make_room(self, home: str) -> None:
        if len(self._of_agent.get(home, ())) < self._settings.max_private_channels:
            return
        own = [channel for channel in self.of(home) if channel.home == home]
        if len(own) >= self._settings.max_private_channels:
            self._forget(own[0])

    def _admit(self, channel: PrivateChannel, app: AppKey, at: float) -> Member | None:
        known = channel.members.get(app)
        if known is None and not self._has_room_for(channel, app):
            return None
        if known is None:
            self._keep(channel, 1)
        elif not known.has_left:
            return known
        member = channel.members[app] = Member(at)
        self._of_agent.setdefault(app.desktop_agent, {})[channel.key] = None
        return member

    def _has_room_for(self, channel: PrivateChannel, app: AppKey) -> bool:
        if len(app.app_id) + len(app.instance_id or "") > self._settings.max_id or self._is_full(channel.home):
            return False
        if len(channel.members) >= self._settings.max_members:
            left = next((each for each, member in channel.members.items() if member.has_left), None)
            if left is None:
                return False
            del channel.members[left]
            self._keep(channel, -1)
        return True

    def _is_full(self, home: str) -> bool:
        return self._kept_for.get(home, 0) >= self._settings.max_kept

    def _keep(self, channel: PrivateChannel, more: int) -> None:
        self._kept_for[channel.home] = self._kept_for.get(channel.home, 0) + more

    # What an app listens to

    def context_listener_added(self, channel: PrivateChannel, app: AppKey, member: Member, wanted: str | None) -> None:
        if wanted not in member.contexts:
            if len(wanted or "") > self._settings.max_id or self._is_full(channel.home):
                return
            self._keep(channel, 1)
            member.contexts[wanted] = 1
        elif app.desktop_agent != channel.home:
            # Of an app at home we hear once for each app that is told, whatever it has added.
            member.contexts[wanted] += 1

    def context_listener_removed(self, channel: PrivateChannel, member: Member, unwanted: str | None) -> None:
        if unwanted not in member.contexts:
            return
        member.contexts[unwanted] -= 1
        if not member.contexts[unwanted]:
            del member.contexts[unwanted]
            self._keep(channel, -1)

    # Leaving

    def refuse(self, channel_id: str, app: AppKey) -> None:
        self.refused.setdefault(channel_id, set()).add(app)

    def is_refused(self, channel_id: str, app: AppKey) -> bool:
        return any(each.may_be(app) for each in self.refused.get(channel_id, ()))

    def farewells(self, channel: PrivateChannel, leavers: Iterable[AppKey]) -> Iterator[Farewell]:
        """What apps at home have to tell the participants elsewhere on leaving: every onUnsubscribe first (R81)."""
        leavers = list(leavers)
        told = [(app, member) for app, member in channel.participants() if not self.is_refused(channel.id, app)]
        for leaver in leavers:
            for wanted in channel.members[leaver].contexts:
                for app, member in told:
                    if ListenerType.UNSUBSCRIBE in member.events:
                        yield Farewell(leaver, app, False, wanted)
        for leaver in leavers:
            for app, member in told:
                if ListenerType.DISCONNECT in member.events:
                    yield Farewell(leaver, app, True)

    def left(self, channel: PrivateChannel, app: AppKey) -> None:
        member = channel.members[app]
        self._keep(channel, -len(member.contexts))
        member.has_left = True
        member.events.clear()
        member.contexts.clear()
        self._tidy(channel)

    def agent_lost(self, agent: str) -> None:
        """Forget the channels that this agent was home of, and its apps on those of others."""
        for channel in self.of(agent):
            if channel.home == agent:
                self._forget(channel)
            else:
                for app in [app for app, _ in channel.present() if app.desktop_agent == agent]:
                    self.left(channel, app)
        self._of_agent.pop(agent, None)
        self._kept_for.pop(agent, None)

    def _tidy(self, channel: PrivateChannel) -> None:
        """Forget a channel that only its home still knows, unless somebody is kept out of it."""
        if channel.id not in self.refused and next(channel.participants(), None) is None:
            self._forget(channel)

    def _forget(self, channel: PrivateChannel) -> None:
        if self._channels.pop(channel.key, None) is None:
            return
        self._keep(channel, -sum(1 + len(member.contexts) for member in channel.members.values()))
        for agent in {app.desktop_agent for app in channel.members}:
            self._of_agent.get(agent, {}).pop(channel.key, None)
