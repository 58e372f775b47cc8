"""What the core of a desktop agent asks of the world around it."""

from dataclasses import dataclass
from typing import Any

from bridge.protocol.messages import AppIdentifier

type Context = dict[str, Any]

#: A number that the core gives to each listener, so that it never holds a handler itself.
type ListenerId = int
#: The number of one API call that waits for an answer.
type CallId = int
#: The number of one intent that a handler works on.
type RunId = int


# --- The socket --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connect:
    """Open a socket to `port`; what becomes of it is told with the number of the attempt."""

    attempt: int
    port: int


@dataclass(frozen=True)
class Send:
    attempt: int
    data: bytes


@dataclass(frozen=True)
class Disconnect:
    attempt: int
    why: str


# --- Apps --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ContextArrived:
    listener: ListenerId
    context: Context
    #: Unknown for what was adopted from the state of the bridge's channels.
    source: AppIdentifier | None


@dataclass(frozen=True)
class EventArrived:
    """An event of a private channel: `addContextListener`, `unsubscribe` or `disconnect`."""

    listener: ListenerId
    type: str
    channel_id: str
    context_type: str | None
    source: AppIdentifier


@dataclass(frozen=True)
class RunIntent:
    """Let the handler work; tell what it returned with `intent_returned` or `intent_failed`."""

    run: RunId
    listener: ListenerId
    context: Context
    source: AppIdentifier


@dataclass(frozen=True)
class Launch:
    """Start this instance; tell how it went with `launched` or `launch_failed`."""

    app: AppIdentifier


# --- Answers to API calls ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answered:
    call: CallId
    value: Any


@dataclass(frozen=True)
class Failed:
    call: CallId
    error: str


@dataclass(frozen=True)
class Channel:
    """A channel as the result of an intent."""

    id: str
    type: str


@dataclass(frozen=True)
class ResultArrived:
    """The result of an intent, after its resolution."""

    call: CallId
    result: Context | Channel | None


@dataclass(frozen=True)
class ResultFailed:
    call: CallId
    error: str


# --- Notes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bridged:
    """This agent is on a bridge, by the name it was given (R15)."""

    name: str
    port: int


@dataclass(frozen=True)
class Unbridged:
    why: str


@dataclass(frozen=True)
class AgentsChanged:
    """Who came, who went, who is there now, this agent among them (R29)."""

    came: tuple[str, ...]
    went: tuple[str, ...]
    now: tuple[str, ...]


@dataclass(frozen=True)
class Note:
    """Something for the log; never a secret, never a context."""

    text: str


type Effect = (
    Connect
    | Send
    | Disconnect
    | ContextArrived
    | EventArrived
    | RunIntent
    | Launch
    | Answered
    | Failed
    | ResultArrived
    | ResultFailed
    | Bridged
    | Unbridged
    | AgentsChanged
    | Note
)
