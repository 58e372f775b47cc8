"""What is supervised: how a part is started, when it is ready, and how one sees that it lives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path


class Look(Enum):
    """What a look at a part's heartbeat says."""

    BEATING = auto()
    SILENT = auto()
    #: What the heartbeat itself needs is away (Redis, the database), so that silence says nothing of the part.
    UNFAIR = auto()


@dataclass(frozen=True)
class Child:
    """One part. Those of the highest `stage` start last and are ended first."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    stage: int = 1
    #: What the command goes on with, asked for at each start.
    arguments: Callable[[], Sequence[str]] = tuple
    #: Whether it can be used; those of later stages wait for it, for a bounded time.
    ready: Callable[[], bool] | None = None
    #: Called every few seconds; too long a silence restarts the part.
    look: Callable[[], Look] | None = None
    #: The pid of one that runs already and is to be used instead of a new one.
    adopt: Callable[[], int | None] | None = None
    #: Where it writes what it does not say here.
    log: Path | None = None
