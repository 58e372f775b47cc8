"""What a kind of source is. A new kind is one new folder that registers a `SourceKind`; nothing in `agents` changes.

A kind only talks to its remote: it returns what it saw and what came back as the types below, and `agents` decides
what follows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from apikeys.rights import Right
from audit.services import Target

if TYPE_CHECKING:
    from django.forms import ModelForm

    from agents.models import AgentSession, Disconnection, Source


# --- What a reading brings ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listing:
    """A source's whole list: the remote's own rows by session ID.

    `in_one_answer`: rows move between answers, so only a list of one answer proves an absence by itself.
    `certain`: whoever lists it is what holds the sessions, so that no fault can make it short.
    `incomplete`: why absence from this list means nothing; empty where it is whole.
    """

    rows: dict[str, Mapping[str, Any]]
    calls: int = 1
    in_one_answer: bool = True
    certain: bool = False
    incomplete: str = ""


class ReadingFailed(Exception):
    """The list could not be read; the message tells a person why."""


class Unreachable(ReadingFailed):
    pass


class NotUnderstood(ReadingFailed):
    """The remote answered something that is not its documented list."""


class ReadRejected(ReadingFailed):
    """The remote does not accept the reading credential (401)."""


class ReadRateLimited(ReadingFailed):
    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


# --- What came back of a disconnection ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Accepted:
    status: int | None = None


@dataclass(frozen=True)
class Refused:
    """The remote said no, in a documented way."""

    status: int | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class NotArrived:
    """Proved: not a byte of the request left. `message` says what stood in the way."""

    message: str


@dataclass(frozen=True)
class AnswerLost:
    """It may have arrived; no documented answer came."""

    message: str
    status: int | None = None


@dataclass(frozen=True)
class CredentialRejected:
    status: int | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class RateLimited:
    until: datetime
    status: int | None = None
    message: str = ""


Answer = Accepted | Refused | NotArrived | AnswerLost | CredentialRejected | RateLimited


#: Makes one call to end the session. The second argument is asked right before the first byte leaves: may it still?
type DisconnectCall = "Callable[[Disconnection, Callable[[], bool]], Answer]"


# --- The kind itself ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """What a test call with one credential brought, in words for an administrator."""

    purpose: str
    works: bool
    explanation: str
    #: The remote turned this credential down (401), so that it must not be used until replaced.
    rejected: bool = False
    #: The remote's rate limit refuses everything until then.
    refused_until: "datetime | None" = None


@dataclass(frozen=True)
class OwnWorker:
    """A kind whose sources each have a process of their own, which reads and sends for them: Celery's workers leave
    them alone. Such a source has no contract and no credentials, and its waits are settings."""

    #: How long that process may say nothing before the source's list counts as unreadable.
    silence: "Callable[[], timedelta]"
    #: The source's waits, by their names in `Source`.
    waits: "Callable[[], dict[str, float]]"
    #: What to do when it has fallen silent.
    advice: str


@dataclass(frozen=True)
class Fact:
    """Something known of a session, for its page."""

    label: str
    value: str
    url: str = ""


@dataclass(frozen=True)
class SourceKind:
    """One kind of source. `take_slot` is called by `read` and `test` before each of their calls to the remote."""

    name: str
    label: str
    #: Reads the whole list, or raises `ReadingFailed`.
    read: "Callable[[Source, Callable[[], None]], Listing]"
    #: The columns of an `AgentSession` that one of the remote's rows gives.
    describe: "Callable[[Source, Mapping[str, Any]], dict[str, Any]]"
    #: Loads what calls to this source need, and gives the function that makes one, without the database.
    disconnector: "Callable[[Source], DisconnectCall]"
    #: Why this session can't be disconnected, as a sentence; empty where it can.
    why_not: "Callable[[AgentSession], str]"
    #: What ending this session does, for the dialog.
    impact: "Callable[[AgentSession], list[str]]"
    #: One call with each credential; None where there are none.
    test: "Callable[[Source, Callable[[], None]], Iterable[Finding]] | None"
    settings_form: "type[ModelForm[Any]]"
    #: The one-to-one field by which a source reaches the kind's own settings.
    own: str
    #: Where the source is: two sources with the same place and key are one to the remote.
    place: "Callable[[Source], str]"
    #: What the kind's own settings are, for the source's page: label and value.
    facts: "Callable[[Source], list[tuple[str, str]]]" = field(default=lambda source: [])
    own_worker: OwnWorker | None = None
    #: What one needs to see this kind's sessions, and to end them.
    right_to_see: Right = Right.AGENT_GET
    right_to_disconnect: Right = Right.AGENT_DISCONNECT
    #: What more is known of a session than its columns say.
    details: "Callable[[AgentSession], list[Fact]]" = field(default=lambda session: [])
    #: As what else the audit log knows a session.
    logged_as: "Callable[[AgentSession], Target | None]" = field(default=lambda session: None)
    #: What it says where it is confirmed.
    proved: "Callable[[Disconnection], str]" = field(default=lambda row: "The session is gone, and that is proved.")


_KINDS: dict[str, SourceKind] = {}


def register(kind: SourceKind) -> None:
    _KINDS[kind.name] = kind


def kind_of(source: "Source") -> SourceKind:
    return _KINDS[source.kind]


def all_kinds() -> list[SourceKind]:
    return list(_KINDS.values())


def hidden_kinds(rights: frozenset[str]) -> list[str]:
    """The names of those whose sessions one may not see with these rights."""
    return [kind.name for kind in all_kinds() if kind.right_to_see not in rights]
