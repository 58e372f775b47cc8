"""Real agents' cores on the real hub, over a pretend wire that keeps order. Time passes only where a test says so."""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from bridge.client import effects
from bridge.client.core import AgentCore
from bridge.client.directory import AppRecord, Intent
from bridge.client.errors import FDC3Error
from bridge.client.settings import AgentSettings
from bridge.protocol.effects import Close, Send
from bridge.protocol.hub import Hub
from bridge.protocol.identity import AppKey
from bridge.protocol.messages import AppIdentifier, ListenerType
from bridge.protocol.settings import HubSettings

CHAT = Intent("StartChat")
NOW = 1_780_000_000.0


def ids(prefix: str):
    """UUIDs that tell whose they are and count up."""
    numbers = iter(range(10_000_000))
    return lambda: f"{prefix}-{next(numbers)}"


class Network:
    """`journal` has what crossed the bridge and what apps heard, in the order in which it happened, as sentences."""

    def __init__(self, *names: str, hub_settings: HubSettings | None = None, **settings: Any) -> None:
        self.at = NOW
        self.journal: list[str] = []
        self.wire: list[dict[str, Any]] = []
        #: While true, messages are on their way until a test lets some arrive.
        self.is_slow = False
        self._queue: deque[tuple[Any, ...]] = deque()
        self._conns: dict[int, tuple[Agent, int]] = {}
        self._next_conn = 0
        self.hub_settings = hub_settings or HubSettings(message_rate=0)
        self.hub: Hub | None = Hub(self.hub_settings, ids("hub"))
        self.agents = {name: Agent(self, name, settings) for name in names}
        for agent in self.agents.values():
            agent.start()

    def __getitem__(self, name: str) -> "Agent":
        return self.agents[name]

    def add(self, name: str, **settings: Any) -> "Agent":
        agent = self.agents[name] = Agent(self, name, settings)
        agent.start()
        return agent

    def pass_time(self, seconds: float) -> None:
        """In steps, so that what is due in between happens when it is due."""
        until = self.at + seconds
        while True:
            deadlines = [each.core.next_deadline() for each in self.agents.values()]
            if self.hub:
                deadlines.append(self.hub.next_deadline())
            due = min((each for each in deadlines if each is not None), default=until)
            self.at = min(max(due, self.at), until)
            if self.hub:
                self._apply_hub(self.hub.tick(self.at))
            for agent in self.agents.values():
                agent.core.tick(self.at)
                agent.run()
            self.settle()
            if self.at >= until:
                return

    def settle(self) -> None:
        if not self.is_slow:
            self.arrive(None)

    def arrive(self, number: int | None) -> None:
        """So many messages, or all of them."""
        while self._queue and number != 0:
            act, *args = self._queue.popleft()
            act(*args)
            number = None if number is None else number - 1

    def kill_bridge(self) -> None:
        self.hub = None
        for agent, attempt in list(self._conns.values()):
            agent.closed(attempt)
        self._conns.clear()
        self.settle()

    def start_bridge(self) -> None:
        self.hub = Hub(self.hub_settings, ids("hub"))

    def disconnect_app(self, channel_id: str, app: "App") -> None:
        """As an administrator does."""
        assert self.hub
        key = AppKey(app.identifier.app_id, app.identifier.instance_id, app.agent.name)
        self._apply_hub(self.hub.disconnect_app(channel_id, key, self.at))
        self.settle()

    # --- The wire ---

    def connect(self, agent: "Agent", attempt: int, port: int) -> None:
        self._queue.append((self._connect, agent, attempt, port))

    def _connect(self, agent: "Agent", attempt: int, port: int) -> None:
        if self.hub is None or port != agent.core.settings.first_port:
            agent.closed(attempt)
            return
        self._next_conn += 1
        self._conns[self._next_conn] = agent, attempt
        agent.core.opened(attempt, self.at)
        agent.run()
        self._apply_hub(self.hub.connected(self._next_conn, self.at))

    def send(self, agent: "Agent", attempt: int, data: bytes) -> None:
        self._note(agent.name, None, data)
        self._queue.append((self._to_hub, agent, attempt, data))

    def _to_hub(self, agent: "Agent", attempt: int, data: bytes) -> None:
        conn = self._conn(agent, attempt)
        if conn is not None and self.hub:
            self._apply_hub(self.hub.received(conn, data, self.at))

    def disconnect(self, agent: "Agent", attempt: int) -> None:
        conn = self._conn(agent, attempt)
        if conn is not None and self.hub:
            del self._conns[conn]
            self._apply_hub(self.hub.closed(conn, self.at))

    def _conn(self, agent: "Agent", attempt: int) -> int | None:
        return next((conn for conn, end in self._conns.items() if end == (agent, attempt)), None)

    def _apply_hub(self, wanted: list[Any]) -> None:
        for effect in list(wanted):
            match effect:
                case Send(conn=conn, data=data) if conn in self._conns:
                    self._queue.append((self._to_agent, conn, data))
                case Close(conn=conn) if conn in self._conns:
                    agent, attempt = self._conns.pop(conn)
                    self._queue.append((agent.closed, attempt))

    def _to_agent(self, conn: int, data: bytes) -> None:
        if conn in self._conns:
            agent, attempt = self._conns[conn]
            self._note(None, agent.name, data)
            agent.core.received(attempt, data, self.at)
            agent.run()

    def _note(self, sender: str | None, receiver: str | None, data: bytes) -> None:
        """What goes to the bridge as `A says ...`, what comes from there as `... reaches B`."""
        message = json.loads(data)
        self.wire.append({"from": sender, "to": receiver, **message})
        kind = message["type"]
        if not kind.startswith("PrivateChannel."):
            return
        payload, meta = message["payload"], message["meta"]
        what = kind.removeprefix("PrivateChannel.")
        for key in ("listenerType", "contextType"):
            if key in payload:
                what += f" {payload[key]}"
        if "context" in payload:
            what += f" {payload['context']['type']}"
        source, to = meta["source"], meta["destination"]
        way = f"of {_called(source)} for {_called(to)}"
        self.journal.append(f"{sender} says {what} {way}" if sender else f"{receiver} is told {what} {way}")


def _called(app: dict[str, str]) -> str:
    return f"{app['appId']}@{app['desktopAgent']}" if "desktopAgent" in app else app["appId"]


@dataclass
class Agent:
    network: Network
    name: str
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    changes: list[Any] = field(default_factory=list)
    answers: dict[int, Any] = field(default_factory=dict)
    results: dict[int, Any] = field(default_factory=dict)
    heard: list[tuple[int, Any]] = field(default_factory=list)
    listeners: dict[int, str] = field(default_factory=dict)
    #: What the handler of an intent returns at once, by the listener; without it a run stays open in `runs`.
    handlers: dict[int, Any] = field(default_factory=dict)
    runs: list[effects.RunIntent] = field(default_factory=list)
    launched: list[AppIdentifier] = field(default_factory=list)
    refuses_launch: bool = False

    def __post_init__(self) -> None:
        settings = AgentSettings(**{"name": self.name, **self.settings})
        self.core = AgentCore(settings, ids(self.name))
        self._calls = iter(range(1, 1_000_000))

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def start(self) -> None:
        self.core.start(self.network.at)
        self.run()
        self.network.settle()

    def stop(self) -> None:
        self.core.stop(self.network.at)
        self.run()
        self.network.settle()

    def drop(self) -> None:
        """Its socket breaks, and it does not come back."""
        attempt = self.core._out.attempt
        self.network.disconnect(self, attempt)
        del self.network.agents[self.name]
        self.network.settle()

    def closed(self, attempt: int) -> None:
        self.core.closed(attempt, "the connection was lost", self.network.at)
        self.run()

    def run(self) -> None:
        for effect in self.core.effects():
            self._do(effect)

    def _do(self, effect: Any) -> None:
        match effect:
            case effects.Connect(attempt, port):
                self.network.connect(self, attempt, port)
            case effects.Send(attempt, data):
                self.network.send(self, attempt, data)
            case effects.Disconnect(attempt, _):
                self.network.disconnect(self, attempt)
            case effects.ContextArrived(listener, context, source):
                self._hear(listener, f"context {context['type']}", effect)
            case effects.EventArrived(listener, type_, _, context_type, source):
                about = type_ if type_ == "disconnect" else f"{type_} {context_type or 'null'}"
                self._hear(listener, f"{about} of {_name(source)}", effect)
            case effects.RunIntent(run, listener):
                self.runs.append(effect)
                if listener in self.handlers:
                    self.core.intent_returned(run, self.handlers[listener], self.network.at)
                    self.run()
            case effects.Launch(app):
                self.launched.append(app)
                if self.refuses_launch:
                    self.core.launch_failed(app, self.network.at)
                else:
                    self.core.launched(app, self.network.at)
                self.run()
            case effects.Answered(call, value):
                self.answers[call] = value
            case effects.Failed(call, error):
                self.answers[call] = FDC3Error(error)
            case effects.ResultArrived(call, result):
                self.results[call] = result
            case effects.ResultFailed(call, error):
                self.results[call] = FDC3Error(error)
            case effects.Note(text):
                self.notes.append(text)
            case _:
                self.changes.append(effect)

    def _hear(self, listener: int, what: str, effect: Any) -> None:
        self.heard.append((listener, effect))
        self.network.journal.append(f"{self.listeners[listener]} hears {what}")

    def app(self, app_id: str) -> "App":
        return App(self, self.core.start_app(app_id))

    def declare(self, app_id: str, *intents: Intent) -> None:
        self.core.declare(AppRecord(app_id, intents=intents))

    def act(self, begin: Any) -> Any:
        """Call the core, and let everything happen that follows from it."""
        try:
            return begin(self.network.at)
        finally:
            self.run()
            self.network.settle()

    def ask(self, begin: Any) -> int:
        """Begin an API call; its number."""
        call = next(self._calls)
        self.act(lambda at: begin(call, at))
        return call


def _name(app: AppIdentifier) -> str:
    return f"{app.app_id}@{app.desktop_agent}" if app.desktop_agent else app.app_id


@dataclass
class App:
    """An app of a test: its calls, and who it is to others."""

    agent: Agent
    identifier: AppIdentifier

    @property
    def core(self) -> AgentCore:
        return self.agent.core

    @property
    def elsewhere(self) -> AppIdentifier:
        """As apps of other agents name it."""
        return AppIdentifier(
            app_id=self.identifier.app_id,
            instance_id=self.identifier.instance_id,
            desktop_agent=self.core.connection.name,
        )

    def close(self) -> None:
        self.agent.act(lambda at: self.core.close_app(self.identifier, at))

    # --- Private channels ---

    def create_channel(self) -> str:
        return self.core.create_private_channel(self.identifier)

    def hand(self, channel_id: str, other: "App") -> None:
        """As others get a channel: it is the result of an intent that they raise."""
        listener = self.core.add_intent_listener(self.identifier, "GetChannel", self.agent.network.at)
        self.agent.handlers[listener] = effects.Channel(channel_id, "private")
        target = self.identifier if other.agent is self.agent else self.elsewhere
        call = other.agent.ask(
            lambda call, at: other.core.raise_intent(
                call, other.identifier, target, "GetChannel", {"type": "fdc3.nothing"}, at
            )
        )
        self.core.remove_intent_listener(listener)
        assert other.agent.results.get(call) == effects.Channel(channel_id, "private"), other.agent.answers.get(call)

    def listen(self, channel_id: str, context_type: str | None = None) -> int:
        def begin(at: float) -> int:
            listener = self.core.add_private_context_listener(self.identifier, channel_id, context_type, at)
            self.agent.listeners[listener] = self.identifier.app_id
            return listener

        return self.agent.act(begin)

    def on(self, channel_id: str, *types: str | None) -> list[int]:
        def begin(type_: str | None, at: float) -> int:
            # Events of earlier listeners may come with the call itself.
            self.agent.listeners[self.core._out._numbers + 1] = self.identifier.app_id
            return self.core.add_event_listener(self.identifier, channel_id, type_ and ListenerType(type_), at)

        return [self.agent.act(lambda at, type_=type_: begin(type_, at)) for type_ in types]

    def unsubscribe(self, channel_id: str, listener: int) -> None:
        self.agent.act(lambda at: self.core.remove_private_listener(self.identifier, channel_id, listener, at))

    def broadcast(self, channel_id: str, type_: str = "x") -> None:
        self.agent.act(lambda at: self.core.broadcast_privately(self.identifier, channel_id, {"type": type_}, at))

    def disconnect(self, channel_id: str) -> None:
        self.agent.act(lambda at: self.core.disconnect(self.identifier, channel_id, at))
