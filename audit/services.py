"""The only writers of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from audit.actions import Action
from audit.actors import Actor


@dataclass(frozen=True)
class Target:
    """What an event is about, named as it was then."""

    kind: str
    id: str
    label: str


@dataclass(frozen=True)
class Entry:
    """One event to be recorded; `operation` joins the events of one disconnection order to one story."""

    action: Action
    actor: Actor
    target: Target
    operation: UUID | None = None
    data: dict[str, Any] = field(default_factory=dict)


def record(action: Action, *, actor: Actor, target: Target, operation: UUID | None = None, **data: Any) -> None:
    record_many([Entry(action, actor, target, operation, data)])


def record_many(entries: Sequence[Entry]) -> None:
    """PLACEHOLDER of the first hour: the chain comes with the audit app."""
