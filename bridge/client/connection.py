"""From no bridge to a name on one, and back: what is asked of the socket, and where the connection stands.

    away -> opening -> greeting -> naming -> bridged
      ^        |          |          |          |
      +--------+----------+----------+----------+

`away` waits for a moment to scan the ports again. A port that refuses, that says nothing, that is no bridge or not one
of ours, leads to the next; the last one to `away` (R4, R5), for as long as the agent runs (R6). Each socket has a
number, and what is told of any but the present one is old news.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from bridge.client.effects import Connect, Disconnect, Note
from bridge.client.outbox import Outbox
from bridge.client.settings import AgentSettings
from bridge.protocol.messages import (
    ChannelsState,
    Handshake,
    HandshakeMeta,
    HandshakePayload,
    Hello,
    ImplementationMetadata,
    OptionalFeatures,
)
from bridge.protocol.versions import version_of


class Phase(Enum):
    STOPPED = auto()
    AWAY = auto()
    OPENING = auto()
    GREETING = auto()
    NAMING = auto()
    BRIDGED = auto()


@dataclass
class Connection:
    settings: AgentSettings
    out: Outbox
    phase: Phase = Phase.STOPPED
    port: int = 0
    #: When to go on without an answer.
    deadline: float | None = None
    handshake_uuid: str = ""
    #: The name of this agent on the bridge, and those of all that are there.
    name: str = ""
    agents: tuple[str, ...] = ()

    @property
    def is_bridged(self) -> bool:
        return self.phase is Phase.BRIDGED

    def start(self, at: float) -> None:
        self._open(self.settings.first_port, at)

    def stop(self) -> None:
        if self.phase not in (Phase.STOPPED, Phase.AWAY):
            self.out.add(Disconnect(self.out.attempt, "the agent ends"))
        self._become(Phase.STOPPED, None)

    def is_present(self, attempt: int) -> bool:
        """Whether this is the socket that counts: of the others nothing is of interest any more."""
        return attempt == self.out.attempt and self.phase not in (Phase.STOPPED, Phase.AWAY)

    def opened(self, at: float) -> None:
        self._become(Phase.GREETING, at + self.settings.hello_within)

    def failed(self, why: str, at: float) -> None:
        """This port leads to no bridge of ours: on to the next, or, after the last, to a pause."""
        if self.phase is not Phase.OPENING:
            self.out.add(Note(f"Port {self.port}: {why}"))
            self.out.add(Disconnect(self.out.attempt, why))
        if self.port < self.settings.last_port:
            self._open(self.port + 1, at)
        else:
            self._become(Phase.AWAY, at + self.settings.pause)

    def lost(self, at: float) -> None:
        """A bridge was there: it, or the next, may soon be there again (R6)."""
        self._become(Phase.AWAY, at + self.settings.pause_after_loss)

    def leave(self, why: str, at: float) -> None:
        self.out.add(Disconnect(self.out.attempt, why))
        self.lost(at)

    def greeted(self, hello: Hello, state: Callable[[], ChannelsState], at: float) -> None:
        """Answers with the handshake (R10), unless the bridge is none for us (R8, R9)."""
        said = hello.payload
        if self.settings.trust and not self.settings.trust(said.auth_token):
            self.failed("a bridge that is not trusted", at)
        elif self.settings.version not in map(version_of, said.supported_fdc3_versions):
            self.failed(f"a bridge that does not know FDC3 {self.settings.fdc3_version}", at)
        elif said.auth_required and not self.settings.sign:
            self.failed("a bridge that asks for a token, and there is none", at)
        else:
            token = self.settings.sign() if said.auth_required and self.settings.sign else None
            self._shake_hands(token, state())
            self._become(Phase.NAMING, at + self.settings.named_within)

    def bridged(self, name: str) -> None:
        """The name may be another than the one that was asked for (R15)."""
        self.name = name
        self._become(Phase.BRIDGED, None)

    def unnamed(self) -> None:
        self.name, self.agents = "", ()

    def tick(self, at: float) -> None:
        if self.deadline is None or at < self.deadline:
            return
        match self.phase:
            case Phase.AWAY:
                self._open(self.settings.first_port, at)
            case Phase.OPENING:
                self.out.add(Disconnect(self.out.attempt, "no connection in time"))
                self.failed("no connection in time", at)
            case Phase.GREETING:
                self.failed("said no hello in time", at)
            case Phase.NAMING:
                self.failed("gave no name in time", at)

    def _open(self, port: int, at: float) -> None:
        self.port = port
        self.out.attempt += 1
        self.out.add(Connect(self.out.attempt, port))
        self._become(Phase.OPENING, at + self.settings.connect_within)

    def _become(self, phase: Phase, deadline: float | None) -> None:
        self.phase, self.deadline = phase, deadline

    def _shake_hands(self, token: str | None, state: ChannelsState) -> None:
        self.handshake_uuid = self.out.new_id()  # R11
        payload = HandshakePayload(
            implementation_metadata=ImplementationMetadata(
                fdc3_version=self.settings.fdc3_version,
                provider=self.settings.provider,
                provider_version=self.settings.provider_version,
                optional_features=OptionalFeatures(user_channel_membership_apis=True, desktop_agent_bridging=True),
            ),
            requested_name=self.settings.name,
            channels_state=state,
            auth_token=token,
        )
        meta = HandshakeMeta(request_uuid=self.handshake_uuid, timestamp=self.out.timestamp)
        self.out.send(Handshake(payload=payload, meta=meta))
