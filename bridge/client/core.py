"""The core of a desktop agent: inputs and times go in, effects come out. No socket, no clock, no handler is in here.

Each method is one input; after it, `effects()` has what is to be done, in its order. `at` is a time in Unix seconds of
a clock that never goes back. An API call that waits for an answer comes with a number, and is answered by an
`Answered` or a `Failed` of that number, at once or later; what is wrong with the call itself is raised.
"""

from collections.abc import Callable

from msgspec import Raw

from bridge.client import contexts
from bridge.client.answering import Answering
from bridge.client.askers import Result
from bridge.client.asking import Asking
from bridge.client.channels import USER_CHANNEL_IDS, Channels
from bridge.client.connection import Connection, Phase
from bridge.client.contexts import Context
from bridge.client.directory import AppRecord, Directory
from bridge.client.effects import AgentsChanged, Bridged, CallId, Effect, ListenerId, Note, RunId, Unbridged
from bridge.client.errors import FDC3Error
from bridge.client.home_channels import PREFIX, HomeChannels
from bridge.client.outbox import Outbox
from bridge.client.remote_channels import RemoteChannels
from bridge.client.requests import Requests
from bridge.client.settings import AgentSettings
from bridge.client.work import Work
from bridge.protocol.messages import (
    AppIdentifier,
    AuthenticationFailed,
    BroadcastMeta,
    BroadcastPayload,
    BroadcastRequest,
    ConnectedAgentsUpdate,
    ErrorResponse,
    Hello,
    ListenerType,
    Malformed,
    Request,
    Response,
    from_bridge,
)


class AgentCore:
    def __init__(self, settings: AgentSettings, new_id: Callable[[], str]) -> None:
        self.settings = settings
        self._out = Outbox(settings.version, new_id)
        self.connection = Connection(settings, self._out)
        self.directory = Directory()
        self._channels = Channels(self._out)
        self._home = HomeChannels(self._out)
        self._remote = RemoteChannels(self._out)
        self._requests = Requests(self._out)
        self._work = Work(self._out, self.directory, self._channels, self._home, settings.launch_within)
        self._asking = Asking(
            self._out,
            self.connection,
            self._requests,
            self.directory,
            self._channels,
            self._home,
            self._remote,
            self._work,
        )
        self._answering = Answering(self._out, self.directory, self._channels, self._home, self._remote, self._work)
        #: Broadcasts between handshake and name: nothing is sent before the bridge's state is adopted (R24).
        self._held: list[tuple[str, Context, AppIdentifier]] = []

    def effects(self) -> list[Effect]:
        return self._out.take()

    # --- The socket ---

    def start(self, at: float) -> None:
        self._out.begin(at)
        self.connection.start(at)

    def stop(self, at: float) -> None:
        self._out.begin(at)
        was_bridged = self.connection.is_bridged
        self.connection.stop()
        if was_bridged:
            self._unbridged("this agent ended", at)

    def opened(self, attempt: int, at: float) -> None:
        self._out.begin(at)
        if self.connection.is_present(attempt):
            self.connection.opened(at)

    def closed(self, attempt: int, why: str, at: float) -> None:
        """Or never opened."""
        self._out.begin(at)
        if not self.connection.is_present(attempt):
            return
        if self.connection.is_bridged:
            self.connection.lost(at)
            self._unbridged(why, at)
        else:
            self.connection.failed(why, at)

    def received(self, attempt: int, raw: bytes, at: float) -> None:
        self._out.begin(at)
        if not self.connection.is_present(attempt):
            return
        try:
            message = from_bridge(raw, self.settings.version)
        except Malformed as malformed:
            self._malformed(malformed, at)
            return
        match self.connection.phase:
            case Phase.GREETING:
                self._in_greeting(message, at)
            case Phase.NAMING:
                self._in_naming(message, at)
            case Phase.BRIDGED:
                self._when_bridged(message, at)

    def tick(self, at: float) -> None:
        self._out.begin(at)
        self.connection.tick(at)
        self._work.tick(at)
        self._requests.tick(at)
        if self.connection.is_bridged and self._requests.timeouts_in_a_row >= self.settings.timeouts_until_leaving:
            self._leave("the bridge does not answer", at)  # R53

    def next_deadline(self) -> float | None:
        deadlines = (self.connection.deadline, self._work.next_deadline(), self._requests.next_deadline())
        return min((each for each in deadlines if each is not None), default=None)

    # --- What the bridge says ---

    def _malformed(self, malformed: Malformed, at: float) -> None:
        """Before a hello it is no bridge (R8). Later it is a mistake of the bridge, who was to let nothing through."""
        if self.connection.phase is Phase.GREETING:
            self.connection.failed("no bridge is there", at)
        else:
            self._out.add(Note(f"Ignored a malformed {malformed.type or 'message'} from the bridge: {malformed.why}"))

    def _in_greeting(self, message: object, at: float) -> None:
        if isinstance(message, Hello):
            self.connection.greeted(message, self._state, at)
        else:
            self.connection.failed("no bridge is there", at)

    def _state(self) -> dict[str, list[Raw]]:
        """What would not fit into a handshake is left out: better a part of the state than no bridge."""
        room = contexts.LONGEST
        state: dict[str, list[Raw]] = {}
        for channel_id, held in self._channels.state().items():
            state[channel_id] = []
            room -= len(channel_id)
            for context in map(contexts.write, held):
                room -= len(bytes(context))
                if room > 0:
                    state[channel_id].append(context)
        return state

    def _in_naming(self, message: object, at: float) -> None:
        """Nothing else is listened to before the own name is known (R24)."""
        if isinstance(message, AuthenticationFailed):
            self.connection.failed("the bridge does not accept our token", at)
        elif isinstance(message, ConnectedAgentsUpdate) and self._names_us(message):
            self.connection.bridged(message.payload.add_agent or "")
            self._out.add(Bridged(self.connection.name, self.connection.port))
            self._update(message)
            held, self._held = self._held, []
            for channel_id, context, app in held:
                self._channels.keep(channel_id, context)
                self._send_broadcast(channel_id, context, app)

    def _names_us(self, update: ConnectedAgentsUpdate) -> bool:
        return update.meta.request_uuid == self.connection.handshake_uuid and bool(update.payload.add_agent)

    def _when_bridged(self, message: object, at: float) -> None:
        match message:
            case ConnectedAgentsUpdate():
                self._update(message)
            case Request():
                self._answering.received(message, at)
            case ErrorResponse() if message.type.endswith("Request") or message.type.startswith("PrivateChannel."):
                self._out.add(Note(f"The bridge refused a {message.type}: {message.payload.error}"))
            case Response() | ErrorResponse():
                self._requests.answered(message)

    def _update(self, update: ConnectedAgentsUpdate) -> None:
        """Applied whole before anything else (R24). Who is missing from the roster is gone, said or not (R92)."""
        roster = tuple(agent.desktop_agent for agent in update.payload.all_agents)
        before, self.connection.agents = self.connection.agents, roster
        if update.payload.channels_state is not None:
            state = update.payload.channels_state
            self._channels.adopt({id_: [contexts.read(each) for each in held] for id_, held in state.items()})
        came, went = _without(roster, before), _without(before, roster)
        if came or went:
            self._out.add(AgentsChanged(came, went, roster))  # R29
        if went:
            self._agents_now(roster)

    def _leave(self, why: str, at: float) -> None:
        self.connection.leave(why, at)
        self._unbridged(why, at)

    def _unbridged(self, why: str, at: float) -> None:
        """A single agent again: every other one is lost, and so are their apps on private channels (R92)."""
        self.connection.unnamed()
        self._out.add(Unbridged(why))
        self._agents_now(())
        self._requests.lost()

    def _agents_now(self, names: tuple[str, ...]) -> None:
        self._home.agents_now(names)
        self._remote.agents_now(names)
        self._work.agents_now(names)

    # --- Apps and their instances ---

    def declare(self, record: AppRecord) -> None:
        self.directory.declare(record)

    def start_app(self, app_id: str) -> AppIdentifier:
        """An instance that runs already, without being launched."""
        return self.directory.start(app_id, self._out.new_id())

    def close_app(self, app: AppIdentifier, at: float) -> None:
        """Whether it ends, crashes or is closed: it leaves everything as if it had said so itself (R92)."""
        self._out.begin(at)
        self.directory.closed(app)
        self._work.app_closed(app)
        self._home.app_closed(app)
        self._remote.app_closed(app)
        self._channels.app_closed(app)

    def launched(self, app: AppIdentifier, at: float) -> None:
        self._out.begin(at)
        self._work.launched(app)

    def launch_failed(self, app: AppIdentifier, at: float) -> None:
        self._out.begin(at)
        self._work.launch_failed(app)
        self.close_app(app, at)

    # --- Intents ---

    def add_intent_listener(self, app: AppIdentifier, intent: str, at: float) -> ListenerId:
        self._out.begin(at)
        listener = self._out.number()
        self.directory.add_intent_listener(app, intent, listener)
        self._work.look_again()
        return listener

    def remove_intent_listener(self, listener: ListenerId) -> None:
        self.directory.remove_intent_listener(listener)

    def intent_returned(self, run: RunId, result: Result, at: float) -> None:
        self._out.begin(at)
        self._work.intent_returned(run, result)

    def intent_failed(self, run: RunId, at: float) -> None:
        self._out.begin(at)
        self._work.intent_failed(run)

    # --- Questions ---

    def find_intent(
        self, call: CallId, app: AppIdentifier, intent: str, context: Context | None, result_type: str | None, at: float
    ) -> None:
        self._out.begin(at)
        self._asking.find_intent(call, app, intent, context, result_type, at)

    def find_intents_by_context(
        self, call: CallId, app: AppIdentifier, context: Context, result_type: str | None, at: float
    ) -> None:
        self._out.begin(at)
        self._asking.find_intents_by_context(call, app, context, result_type, at)

    def find_instances(self, call: CallId, app: AppIdentifier, target: AppIdentifier, at: float) -> None:
        self._out.begin(at)
        self._asking.find_instances(call, app, target, at)

    def get_app_metadata(self, call: CallId, app: AppIdentifier, target: AppIdentifier, at: float) -> None:
        self._out.begin(at)
        self._asking.get_app_metadata(call, app, target, at)

    def open(self, call: CallId, app: AppIdentifier, target: AppIdentifier, context: Context | None, at: float) -> None:
        self._out.begin(at)
        self._asking.open(call, app, target, context, at)

    def raise_intent(
        self, call: CallId, app: AppIdentifier, target: AppIdentifier, intent: str, context: Context, at: float
    ) -> None:
        self._out.begin(at)
        self._asking.raise_intent(call, app, target, intent, context, at)

    # --- User and app channels ---

    def get_or_create_channel(self, channel_id: str) -> str:
        """The type of the channel. No way to a private one (R85), nor to one that was private once."""
        if channel_id.startswith(PREFIX) or channel_id in self._home or channel_id in self._remote:
            raise FDC3Error("AccessDenied", "the channel is private")
        self._channels.ensure(channel_id)
        return "user" if channel_id in USER_CHANNEL_IDS else "app"

    def join_user_channel(self, app: AppIdentifier, channel_id: str) -> None:
        self._channels.join(app, channel_id)

    def leave_user_channel(self, app: AppIdentifier) -> None:
        self._channels.leave(app)

    def joined_channel(self, app: AppIdentifier) -> str | None:
        return self._channels.joined_by(app)

    def current_context(self, channel_id: str, context_type: str | None) -> Context | None:
        return self._channels.current(channel_id, context_type)

    def add_context_listener(
        self, app: AppIdentifier, channel_id: str | None, context_type: str | None, at: float
    ) -> ListenerId:
        """On one channel, or, with None, on whichever the app has joined."""
        self._out.begin(at)
        listener = self._out.number()
        self._channels.add_listener(listener, app, channel_id, context_type)
        self._work.look_again()
        return listener

    def remove_context_listener(self, listener: ListenerId) -> None:
        self._channels.remove_listener(listener)

    def broadcast(self, app: AppIdentifier, channel_id: str, context: Context, at: float) -> None:
        self._out.begin(at)
        contexts.write(context)
        self._channels.broadcast(channel_id, context, app)
        if self.connection.is_bridged:
            self._send_broadcast(channel_id, context, app)
        elif self.connection.phase is Phase.NAMING:
            self._held.append((channel_id, context, app))

    def _send_broadcast(self, channel_id: str, context: Context, app: AppIdentifier) -> None:
        """R67: never for a private channel, which is none of `_channels`."""
        meta = BroadcastMeta(request_uuid=self._out.new_id(), timestamp=self._out.timestamp, source=app)
        payload = BroadcastPayload(channel_id=channel_id, context=contexts.write(context))
        self._out.send(BroadcastRequest(payload=payload, meta=meta))

    # --- Private channels ---

    def create_private_channel(self, app: AppIdentifier) -> str:
        return self._home.create(app)

    def add_private_context_listener(
        self, app: AppIdentifier, channel_id: str, context_type: str | None, at: float
    ) -> ListenerId:
        self._out.begin(at)
        listener = self._out.number()
        self._private(channel_id).add_context_listener(channel_id, app, context_type, listener)
        return listener

    def add_event_listener(
        self, app: AppIdentifier, channel_id: str, type_: ListenerType | None, at: float
    ) -> ListenerId:
        self._out.begin(at)
        listener = self._out.number()
        self._private(channel_id).add_event_listener(channel_id, app, type_, listener)
        return listener

    def remove_private_listener(self, app: AppIdentifier, channel_id: str, listener: ListenerId, at: float) -> None:
        self._out.begin(at)
        self._private(channel_id).remove_listener(channel_id, app, listener)

    def broadcast_privately(self, app: AppIdentifier, channel_id: str, context: Context, at: float) -> None:
        self._out.begin(at)
        contexts.write(context)
        self._private(channel_id).broadcast(channel_id, app, context)

    def disconnect(self, app: AppIdentifier, channel_id: str, at: float) -> None:
        self._out.begin(at)
        self._private(channel_id).disconnect(channel_id, app)

    def _private(self, channel_id: str) -> HomeChannels | RemoteChannels:
        return self._home if channel_id in self._home else self._remote


def _without(names: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name not in others)
