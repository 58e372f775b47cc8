"""What the console shows of a hub: a picture of one moment, frozen, with nothing of any payload in it."""

from dataclasses import dataclass, replace

from msgspec import to_builtins

from bridge.protocol import private_channels as known
from bridge.protocol.identity import AppKey
from bridge.protocol.peers import Peer, Traffic


@dataclass(frozen=True)
class Agent:
    """A connected desktop agent; a disconnection names it by its `session_id`."""

    session_id: str
    #: The number that the server gave its socket.
    conn: int
    name: str
    requested_name: str
    principal: str | None
    fdc3_version: str
    provider: str
    provider_version: str | None
    #: By its name on the wire.
    optional_features: dict[str, bool]
    connected_at: float
    #: User and app channels that it told of or broadcast on.
    channels: tuple[str, ...]
    traffic: Traffic
    #: Its own requests that wait for answers, and results of its intents that are still to come.
    requests_in_flight: int
    results_awaited: int
    #: Requests of others that would end with AgentDisconnected, or without it, if it left now.
    answers_owed: int
    #: Rounds of questions missed in a row.
    silent_rounds: int


@dataclass(frozen=True)
class ChannelMember:
    app: AppKey
    joined_at: float
    #: Event types as FDC3 2.2 names them, sorted.
    events: tuple[str, ...]
    #: One for each context listener; None takes every type.
    contexts: tuple[str | None, ...]


@dataclass(frozen=True)
class PrivateChannel:
    """A private channel between apps of different agents, as far as it crossed the bridge."""

    id: str
    home: str
    creator: AppKey
    created_at: float
    members: tuple[ChannelMember, ...]
    #: Apps that an administrator disconnected: nothing from or to them on this channel is relayed.
    refused: tuple[AppKey, ...]
    messages: int
    bytes: int
    last_message_at: float | None


@dataclass(frozen=True)
class Snapshot:
    at: float
    agents: tuple[Agent, ...]
    private_channels: tuple[PrivateChannel, ...]
    #: The context types that each user and app channel holds, most recent first.
    channel_state: dict[str, tuple[str, ...]]
    #: Refusals in force by channel id, also of channels that are gone.
    refused: dict[str, tuple[AppKey, ...]]
    #: Sockets that have not become agents yet.
    connecting: int
    requests_in_flight: int


def agent(peer: Peer) -> Agent:
    if peer.entry is None:
        raise ValueError(f"Connection {peer.conn} is no agent yet")
    features = peer.entry.optional_features
    return Agent(
        session_id=peer.session_id,
        conn=peer.conn,
        name=peer.name,
        requested_name=peer.requested_name,
        principal=peer.principal,
        fdc3_version=peer.entry.fdc3_version,
        provider=peer.entry.provider,
        provider_version=peer.entry.provider_version,
        optional_features=to_builtins(features),
        connected_at=peer.connected_at,
        channels=tuple(peer.channels),
        traffic=replace(peer.traffic),
        requests_in_flight=len(peer.asked),
        results_awaited=len(peer.results),
        answers_owed=len(peer.owed),
        silent_rounds=peer.silent_rounds,
    )


def private_channel(channel: known.PrivateChannel, channels: known.PrivateChannels) -> PrivateChannel:
    return PrivateChannel(
        id=channel.id,
        home=channel.home,
        creator=channel.creator,
        created_at=channel.created_at,
        members=tuple(
            ChannelMember(
                app=app,
                joined_at=member.joined_at,
                events=tuple(sorted(event.value for event in member.events)),
                contexts=tuple(wanted for wanted, times in member.contexts.items() for _ in range(times)),
            )
            for app, member in channel.present()
        ),
        refused=tuple(app for app in channel.members if channels.is_refused(channel.id, app)),
        messages=channel.messages,
        bytes=channel.bytes,
        last_message_at=channel.last_message_at,
    )
