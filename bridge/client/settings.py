"""What may differ from one desktop agent to another; the defaults are the standard's."""

from collections.abc import Callable
from dataclasses import dataclass

from bridge.protocol.versions import Version, version_of

FIRST_PORT = 4475
LAST_PORT = 4575


@dataclass(frozen=True)
class AgentSettings:
    #: The name to ask the bridge for; it may give another (R15).
    name: str
    #: Scanned upwards (R3, R4).
    first_port: int = FIRST_PORT
    last_port: int = LAST_PORT
    fdc3_version: str = "2.2"
    provider: str = "Agent Console"
    provider_version: str = ""
    #: Makes the token for a bridge that asks for one (R10); without it such a bridge is passed by.
    sign: Callable[[], str] | None = None
    #: Whether a bridge that brought this token, or none, is to be trusted (R9). Without it every bridge is.
    trust: Callable[[str | None], bool] | None = None

    # Seconds.
    connect_within: float = 1
    hello_within: float = 2
    #: From the handshake to being named; the bridge may have to ask somebody about the token.
    named_within: float = 10
    #: Before the range is scanned again (R5).
    pause: float = 5
    #: Before the scan that follows the loss of a bridge.
    pause_after_loss: float = 0.5
    #: For what the bridge asks other agents, who answer at once (R49) ...
    answer_within: float = 3
    #: ... and for what may have to start an app there first (Q7).
    launch_answer_within: float = 25
    #: For an app of this agent to start and to add the listener that is waited for.
    launch_within: float = 15
    #: After so many time-outs in a row the bridge is left and looked for again (R53).
    timeouts_until_leaving: int = 3

    @property
    def version(self) -> Version:
        version = version_of(self.fdc3_version)
        if version is None:
            raise ValueError(f"FDC3 {self.fdc3_version} has no bridging")
        return version
