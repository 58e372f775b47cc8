"""A pretend wire: a hub and any number of agents, without sockets, threads or a clock.

    wire = Wire()
    a, b = wire.agent("agent-A"), wire.agent("agent-B", fdc3_version="2.2")
    a.send("findIntentRequest", {"intent": "ViewQuote"}, source=app("blotter"))
    assert b.last["meta"]["source"]["desktopAgent"] == "agent-A"

Whatever the hub sends has to be valid for the version of its receiver, or the test fails on the spot.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count

from bridge.protocol.effects import Close, Effect, Note, Send, Verify
from bridge.protocol.hub import Hub
from bridge.protocol.messages import from_bridge
from bridge.protocol.settings import HubSettings
from bridge.protocol.snapshot import Snapshot
from bridge.protocol.versions import Version, version_of

type Json = dict[str, object]

TIMESTAMP = "2025-06-02T09:00:00.137Z"
#: Versions in the order in which agents take them when a test does not care.
CURRENT = "2.2"


def app(app_id: str, agent: str | None = None, instance: str | None = "1") -> Json:
    """An AppIdentifier; with `agent` a full one."""
    return _without_none({"appId": app_id, "instanceId": instance, "desktopAgent": agent})


def context(type: str = "fdc3.instrument", **more: object) -> Json:
    return {"type": type, **more}


def implementation(fdc3_version: str = CURRENT) -> Json:
    features = {"UserChannelMembershipAPIs": True, "DesktopAgentBridging": True}
    if version_of(fdc3_version) is not Version.NEXT:
        features["OriginatingAppMetadata"] = True
    return {"fdc3Version": fdc3_version, "provider": "Tests", "optionalFeatures": features}


def private_channel_request(type: str, channel: str, source: Json, destination: Json, **payload: object) -> Json:
    """For `Line.post`: `type` without its `PrivateChannel.`."""
    return {
        "type": f"PrivateChannel.{type}",
        "payload": {"channelId": channel, **payload},
        "meta": {"requestUuid": f"pc-{next(_uuids)}", "timestamp": TIMESTAMP}
        | {"source": source, "destination": destination},
    }


_uuids = count(1)


class Wire:
    """The hub, its time, and what it wanted done that was not sending."""

    def __init__(self, **settings: object) -> None:
        ids = count(1)
        self.hub = Hub(HubSettings(**settings), new_id=lambda: f"bridge-{next(ids)}")  # type: ignore[arg-type]
        self.at = 1_750_000_000.0
        self.lines: dict[int, Line] = {}
        self.to_verify: dict[int, str] = {}
        self.notes: list[Note] = []
        #: Every message in the order in which it was sent, with its receiver.
        self.sent: list[tuple[Line, Json]] = []
        self._conns = count(1)

    def connect(self) -> Line:
        """A socket and nothing more."""
        line = Line(self, next(self._conns))
        self.lines[line.conn] = line
        self.do(self.hub.connected(line.conn, self.at))
        return line

    def agent(self, name: str, **handshake: object) -> Line:
        """A desktop agent that was named, with nothing left to read."""
        line = self.connect()
        line.shake_hands(name, **handshake)  # type: ignore[arg-type]
        for each in self.lines.values():
            each.clear()
        self.sent.clear()
        return line

    def pass_time(self, seconds: float) -> None:
        """Step by step, as a server with a timer does."""
        end = self.at + seconds
        while (due := self.hub.next_deadline()) is not None and due <= end:
            self.at = max(self.at, due)
            self.do(self.hub.tick(self.at))
        self.at = end

    def disconnect_app(self, channel: str, who: Json) -> None:
        from bridge.protocol.identity import AppKey

        key = AppKey(str(who["appId"]), who.get("instanceId"), str(who["desktopAgent"]))  # type: ignore[arg-type]
        self.do(self.hub.disconnect_app(channel, key, self.at))

    def disconnect_agent(self, line: Line) -> None:
        self.do(self.hub.disconnect_agent(line.session_id, self.at))

    def snapshot(self) -> Snapshot:
        return self.hub.snapshot(self.at)

    def do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(conn, data):
                    self.lines[conn]._arrive(data)
                case Verify(conn, token):
                    self.to_verify[conn] = token
                case Close(conn, code, reason):
                    self.lines[conn].closed = (code, reason)
                case Note():
                    self.notes.append(effect)


class Line:
    """The agent's end of one connection. `raw_inbox` has the bytes, `inbox` the messages."""

    def __init__(self, wire: Wire, conn: int) -> None:
        self.wire = wire
        self.conn = conn
        self.version = Version.V2_2
        self.name: str | None = None
        self.inbox: list[Json] = []
        self.raw_inbox: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.on_message: Callable[[bytes], None] | None = None
        self._uuids = count(1)

    @property
    def session_id(self) -> str:
        return next(each.session_id for each in self.wire.snapshot().agents if each.name == self.name)

    @property
    def last(self) -> Json:
        assert self.inbox, f"{self.name} received nothing"
        return self.inbox[-1]

    @property
    def types(self) -> list[str]:
        return [str(message["type"]) for message in self.inbox]

    def clear(self) -> None:
        self.inbox.clear()
        self.raw_inbox.clear()

    def take(self) -> list[Json]:
        """What came since the last time."""
        taken = list(self.inbox)
        self.clear()
        return taken

    # What an agent does

    def send_raw(self, raw: bytes) -> None:
        self.wire.do(self.wire.hub.received(self.conn, raw, self.wire.at))

    def post(self, message: Json) -> None:
        self.send_raw(json.dumps(message).encode())

    def send(
        self, type: str, payload: Json, *, source: Json | None = None, to: Json | None = None, uuid: str | None = None
    ) -> str:
        """A request; returns its requestUuid."""
        uuid = uuid or f"{self.name or self.conn}-{next(self._uuids)}"
        meta = {"requestUuid": uuid, "timestamp": TIMESTAMP, "source": source, "destination": to}
        self.post({"type": type, "payload": payload, "meta": _without_none(meta)})
        return uuid

    def answer(self, request: Json | str, type: str, payload: Json, *, uuid: str | None = None) -> str:
        """A response to a request that came, or to a requestUuid; returns its responseUuid."""
        request_uuid = request if isinstance(request, str) else request["meta"]["requestUuid"]  # type: ignore[index]
        uuid = uuid or f"{self.name or self.conn}-answer-{next(self._uuids)}"
        meta = {"requestUuid": request_uuid, "responseUuid": uuid, "timestamp": TIMESTAMP}
        self.post({"type": type, "payload": payload, "meta": meta})
        return uuid

    def shake_hands(
        self,
        name: str,
        *,
        fdc3_version: str = CURRENT,
        state: dict[str, list[Json]] | None = None,
        token: str | None = None,
        uuid: str | None = None,
    ) -> str:
        """Returns the requestUuid of the handshake."""
        self.version = version_of(fdc3_version) or Version.V2_2
        said = implementation(fdc3_version)
        payload = {"implementationMetadata": said, "requestedName": name, "channelsState": state or {}}
        payload |= _without_none({"authToken": token})
        return self.send("handshake", payload, uuid=uuid or f"handshake-{self.conn}")

    def tell(self, type: str, channel: str, source: Json, to: Json, **payload: object) -> None:
        """A message of a private channel; `type` without its `PrivateChannel.`."""
        self.post(private_channel_request(type, channel, source, to, **payload))

    def hang_up(self) -> None:
        self.wire.do(self.wire.hub.closed(self.conn, self.wire.at))

    def _arrive(self, data: bytes) -> None:
        assert self.closed is None, f"{data!r} sent after the close"
        from_bridge(data, self.version)
        message = json.loads(data)
        self.raw_inbox.append(data)
        self.inbox.append(message)
        self.wire.sent.append((self, message))
        if message["type"] == "connectedAgentsUpdate" and self.name is None:
            self.name = message["payload"]["addAgent"]
        if self.on_message:
            self.on_message(data)


def open_private_channel(participant: Line, home: Line, channel: str, source: Json, creator: Json) -> None:
    """`source` on one agent raises an intent that `creator` on the other answers with a private channel."""
    to = {**creator, "desktopAgent": home.name}
    payload = {"intent": "ViewQuote", "context": context(), "app": to}
    uuid = participant.send("raiseIntentRequest", payload, source=source, to=to)
    home.answer(uuid, "raiseIntentResponse", {"intentResolution": {"intent": "ViewQuote", "source": creator}})
    result = {"intentResult": {"channel": {"id": channel, "type": "private"}}}
    home.answer(uuid, "raiseIntentResultResponse", result)
    for line in (participant, home):
        line.clear()
    participant.wire.sent.clear()


def _without_none(parts: Json) -> Json:
    return {key: value for key, value in parts.items() if value is not None}
