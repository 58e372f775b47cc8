"""The bridge itself: what it answers, to whom it passes what on, and what it remembers.

Every public method is one input at one time and returns what is to be done, in order. Nothing happens in between, so
what the specification wants atomic (naming an agent, merging what it knows, telling everybody: R19, R20) is so without
a lock, and what one agent sends to another arrives in the order in which it was sent (R91). A mistake of an agent
becomes an answer, a note or a close; an exception is a mistake of ours. docs/bridge.md says what `R…` and `Q…` are.

`at` is in Unix seconds, of a clock that never goes back.
"""

from collections.abc import Callable, Iterable
from typing import Any

from bridge.protocol import snapshot
from bridge.protocol.channel_state import ChannelState
from bridge.protocol.collation import MALFORMED, RESPONSES
from bridge.protocol.effects import POLICY_VIOLATION, TRY_AGAIN_LATER, Close, Effect, Event
from bridge.protocol.exchanges import Exchanges
from bridge.protocol.identity import AppKey
from bridge.protocol.messages import (
    AuthenticationFailed,
    AuthenticationFailedPayload,
    BroadcastRequest,
    ChannelsState,
    ConnectedAgentsUpdate,
    ConnectedAgentsUpdatePayload,
    ConnectionMeta,
    DesktopAgentImplementationMetadata,
    ErrorResponse,
    Handshake,
    Hello,
    HelloMeta,
    HelloPayload,
    Malformed,
    PrivateChannelBroadcast,
    PrivateChannelEventListenerAdded,
    PrivateChannelEventListenerRemoved,
    PrivateChannelOnAddContextListener,
    PrivateChannelOnDisconnect,
    PrivateChannelOnUnsubscribe,
    RaiseIntentResultResponse,
    from_agent,
    stamped,
)
from bridge.protocol.names import assigned
from bridge.protocol.outbox import Outbox
from bridge.protocol.pace import Pace
from bridge.protocol.peers import Kind, Peer, State
from bridge.protocol.private_channels import PrivateChannels
from bridge.protocol.private_relay import PrivateRelay
from bridge.protocol.settings import HubSettings
from bridge.protocol.versions import SUPPORTED, version_of
from bridge.protocol.waits import Waits

#: Why an agent is disconnected, where nobody says otherwise.
BY_ADMINISTRATOR = "disconnected by an administrator"
_PRIVATE = (
    PrivateChannelBroadcast,
    PrivateChannelEventListenerAdded,
    PrivateChannelEventListenerRemoved,
    PrivateChannelOnAddContextListener,
    PrivateChannelOnUnsubscribe,
    PrivateChannelOnDisconnect,
)


class Hub:
    """One bridge and all that are connected to it."""

    def __init__(self, settings: HubSettings, new_id: Callable[[], str]) -> None:
        self._settings = settings
        self._out = Outbox(new_id)
        self._peers: dict[int, Peer] = {}
        #: Those that have a name, in the order in which they got it.
        self._agents: dict[str, Peer] = {}
        self._state = ChannelState(settings)
        self._private = PrivateChannels(settings)
        self._exchanges = Exchanges(settings, self._out, self._agents, self._private)
        self._relay = PrivateRelay(settings, self._out, self._agents, self._private)
        self._handshakes = Waits[int](settings.handshake_timeout)
        self._handlers: dict[type, tuple[Kind, Callable[[Peer, Any], None]]] = {
            Handshake: (Kind.HANDSHAKE, self._handshake),
            BroadcastRequest: (Kind.REQUEST, self._broadcast),
            **dict.fromkeys(_PRIVATE, (Kind.REQUEST, self._relay.relay)),
            **dict.fromkeys(RESPONSES, (Kind.REQUEST, self._exchanges.ask)),
            **dict.fromkeys(RESPONSES.values(), (Kind.RESPONSE, self._exchanges.answer)),
            RaiseIntentResultResponse: (Kind.RESPONSE, self._exchanges.answer),
            ErrorResponse: (Kind.RESPONSE, self._exchanges.answer),
        }

    # Inputs

    def connected(self, conn: int, at: float, own_token: str | None = None) -> list[Effect]:
        """A socket opened; `own_token` is the bridge's JWT for this agent alone (R9)."""
        self._out.begin(at)
        if len(self._peers) >= self._settings.max_agents:
            return [Close(conn, TRY_AGAIN_LATER, "too many desktop agents")]
        pace = Pace(self._settings.message_rate, self._settings.message_burst)
        self._peers[conn] = peer = Peer(conn, self._out.new_id(), at, pace)
        self._handshakes.begin(conn, at)
        hello = HelloPayload(
            desktop_agent_bridge_version=self._settings.bridge_version,
            supported_fdc3_versions=list(SUPPORTED),
            auth_required=self._settings.auth_required,
            auth_token=own_token,
        )
        self._out.send(peer, Hello(payload=hello, meta=HelloMeta(timestamp=self._out.timestamp())))  # R7
        return self._out.effects

    def received(self, conn: int, raw: bytes, at: float) -> list[Effect]:
        """A whole text message came."""
        self._out.begin(at)
        peer = self._peers.get(conn)
        if peer is not None:
            peer.traffic.received += 1
            peer.traffic.received_bytes += len(raw)
            if peer.pace.allows(at):
                self._hear(peer, raw)
            else:
                self._disconnect(peer, f"more than {self._settings.message_rate:g} messages a second")
        return self._out.effects

    def verified(self, conn: int, principal: str | None, at: float) -> list[Effect]:
        """What became of the token that `Verify` asked about; None: it is worth nothing."""
        self._out.begin(at)
        peer = self._peers.get(conn)
        if peer is not None and peer.state is State.VERIFYING and peer.handshake is not None:
            if principal is None:
                self._refuse(peer, peer.handshake.meta.request_uuid, "the authToken was not accepted")
            else:
                peer.principal = principal
                self._join(peer, peer.handshake)
        return self._out.effects

    def closed(self, conn: int, at: float, why: str = "its connection closed") -> list[Effect]:
        """A socket closed, whoever did it and however."""
        self._out.begin(at)
        peer = self._peers.get(conn)
        if peer is not None:
            self._leave(peer, why)
        return self._out.effects

    def next_deadline(self) -> float | None:
        """When `tick` is due."""
        ends = (self._handshakes.next_end(), self._exchanges.next_deadline())
        return min((end for end in ends if end is not None), default=None)

    def tick(self, at: float) -> list[Effect]:
        self._out.begin(at)
        for conn in self._handshakes.over(at):
            self._disconnect(self._peers[conn], "no handshake in time")  # Q24
        for peer in self._exchanges.tick():
            self._disconnect(peer, f"no answer to {peer.silent_rounds} rounds of questions in a row")  # R52
        return self._out.effects

    def disconnect_agent(self, session_id: str, at: float, why: str = BY_ADMINISTRATOR) -> list[Effect]:
        """End the connection of one agent; to the others it is lost like any other."""
        self._out.begin(at)
        for peer in self._peers.values():
            if peer.session_id == session_id:
                self._disconnect(peer, why)
                break
        return self._out.effects

    def disconnect_app(self, channel_id: str, app: AppKey, at: float) -> list[Effect]:
        """An administrator takes one app off one private channel, which no message can tell its own agent."""
        self._out.begin(at)
        self._relay.disconnect_app(channel_id, app)
        return self._out.effects

    @property
    def connecting(self) -> int:
        """Sockets that have not become agents yet."""
        return len(self._peers) - len(self._agents)

    def snapshot(self, at: float) -> snapshot.Snapshot:
        return snapshot.Snapshot(
            at=at,
            agents=tuple(map(snapshot.agent, self._agents.values())),
            private_channels=tuple(snapshot.private_channel(each, self._private) for each in self._private),
            channel_state=self._state.types(),
            refused={channel: tuple(apps) for channel, apps in self._private.refused.items()},
            connecting=self.connecting,
            requests_in_flight=len(self._exchanges),
        )

    # Messages

    def _hear(self, peer: Peer, raw: bytes) -> None:
        try:
            message = from_agent(raw, peer.version)  # R32 and all that is required of each kind
        except Malformed as wrong:
            self._malformed(peer, wrong)
            return
        kind, handle = self._handlers[type(message)]
        if kind in peer.hears:
            handle(peer, message)
        else:
            self._out.drop(peer, f"{kind.value} while {peer.state.value}")

    def _malformed(self, peer: Peer, wrong: Malformed) -> None:
        peer.traffic.malformed += 1
        self._out.note_rarely(peer, Event.MALFORMED, wrong.why[:200], peer.traffic.malformed)
        if wrong.type is None or wrong.request_uuid is None:
            self._out.drop(peer, "malformed message that cannot be answered")  # R41
        elif peer.state is State.GREETED and wrong.type == "handshake":
            self._refuse(peer, wrong.request_uuid, f"malformed handshake: {wrong.why[:200]}")
        elif peer.state is not State.CONNECTED:
            self._out.drop(peer, f"malformed message while {peer.state.value}")
        elif wrong.response_uuid is not None:
            self._exchanges.malformed(peer, wrong)
        else:
            # R54, and a type that nobody knows is answered by that type (Q30).
            self._out.answer_error(peer, wrong.type, wrong.request_uuid, MALFORMED, [peer.name])

    def _broadcast(self, peer: Peer, request: BroadcastRequest) -> None:
        channel = request.payload.channel_id
        self._note_channels(peer, [channel])
        self._state.fold(channel, request.payload.context)
        others = [other for other in self._agents.values() if other is not peer]  # R42
        self._out.send_all(others, stamped(request, peer.name))

    # The connection protocol

    def _handshake(self, peer: Peer, handshake: Handshake) -> None:
        payload, uuid = handshake.payload, handshake.meta.request_uuid
        said = payload.implementation_metadata.fdc3_version
        version = version_of(said)
        if version is None:
            self._refuse(peer, uuid, f"FDC3 {said[:20]!r} is not served; served are {', '.join(SUPPORTED)}")
        elif not self._settings.auth_required:
            peer.version = version
            self._join(peer, handshake)
        elif payload.auth_token is None:
            self._refuse(peer, uuid, "this bridge asks for an authToken")
        else:
            peer.version, peer.handshake = version, handshake
            peer.become(State.VERIFYING)
            self._out.verify(peer, payload.auth_token)

    def _refuse(self, peer: Peer, request_uuid: str, why: str) -> None:
        """R13, and every other reason why a handshake does not count."""
        meta = ConnectionMeta(
            request_uuid=request_uuid, response_uuid=self._out.new_id(), timestamp=self._out.timestamp()
        )
        self._out.send(peer, AuthenticationFailed(payload=AuthenticationFailedPayload(message=why), meta=meta))
        self._disconnect(peer, why)

    def _join(self, peer: Peer, handshake: Handshake) -> None:
        """Steps 4 to 6 in one go (R19, R20)."""
        payload, said = handshake.payload, handshake.payload.implementation_metadata
        peer.become(State.CONNECTED)
        peer.handshake = None
        self._handshakes.end(peer.conn)
        peer.name = assigned(payload.requested_name, self._agents, self._settings.max_name)
        peer.requested_name = payload.requested_name
        peer.connected_at = self._out.at
        peer.entry = DesktopAgentImplementationMetadata(
            fdc3_version=said.fdc3_version,
            provider=said.provider,
            provider_version=said.provider_version,
            optional_features=said.optional_features,
            desktop_agent=peer.name,
        )
        self._agents[peer.name] = peer
        self._note_channels(peer, payload.channels_state)
        self._state.merge(payload.channels_state)
        # R21, R22, R23: to everybody, the newcomer too, with all that is known now.
        self._update(handshake.meta.request_uuid, self._out.new_id(), add=peer.name, state=self._state.on_the_wire())
        self._out.note(Event.JOINED, f"{peer.name} joined", peer)

    def _disconnect(self, peer: Peer, why: str) -> None:
        if peer.state is not State.CONNECTED:
            self._out.note(Event.REFUSED, why, peer)
        self._out.close(peer, POLICY_VIOLATION, why)
        self._leave(peer, why)

    def _leave(self, peer: Peer, why: str) -> None:
        was_connected = peer.state is State.CONNECTED
        peer.become(State.GONE)
        del self._peers[peer.conn]
        self._handshakes.end(peer.conn)
        if not was_connected:
            return
        del self._agents[peer.name]
        self._relay.agent_lost(peer.name)
        if self._agents:
            uuid = self._out.new_id()
            self._update(uuid, uuid, remove=peer.name)  # R27
        else:
            self._state.discard()  # R28
        self._exchanges.lost(peer)
        self._out.note(Event.LEFT, f"{peer.name} left: {why}", peer)

    def _update(
        self,
        request_uuid: str,
        response_uuid: str,
        *,
        add: str | None = None,
        remove: str | None = None,
        state: ChannelsState | None = None,
    ) -> None:
        roster = [peer.entry for peer in self._agents.values() if peer.entry is not None]
        payload = ConnectedAgentsUpdatePayload(
            all_agents=roster, add_agent=add, remove_agent=remove, channels_state=state
        )
        meta = ConnectionMeta(request_uuid=request_uuid, response_uuid=response_uuid, timestamp=self._out.timestamp())
        self._out.send_all(self._agents.values(), ConnectedAgentsUpdate(payload=payload, meta=meta))

    def _note_channels(self, peer: Peer, channels: Iterable[str]) -> None:
        """For the console: which channels this agent knows, as far as it says."""
        for channel in channels:
            if len(peer.channels) < self._settings.max_channels and len(channel) <= self._settings.max_id:
                peer.channels[channel] = None
