"""What one may do here, and which role of a person opens it; an API key opens its scopes as far as its owner may."""

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser

    from audit.actors import Actor


class Right(StrEnum):
    """`category:choice`, the words that scopes of API keys use too."""

    AGENT_GET = "agent:get"
    AGENT_DISCONNECT = "agent:disconnect"
    BRIDGE_GET = "bridge:get"
    BRIDGE_DISCONNECT = "bridge:disconnect"
    BRIDGE_CONNECT = "bridge:connect"
    OPERATION_GET = "operation:get"
    SOURCE_GET = "source:get"
    AUDIT_GET = "audit:get"
    AUDIT_REVIEW = "audit:review"
    AUDIT_MANAGE = "audit:manage"
    APIKEY_GET = "apikey:get"
    APIKEY_MANAGE = "apikey:manage"
    SOURCE_MANAGE = "source:manage"
    PEOPLE_MANAGE = "people:manage"

    @property
    def words(self) -> str:
        """What it opens, as the end of a sentence that begins with "may"."""
        return _WORDS[self]


_WORDS = {
    Right.AGENT_GET: "see agent sessions",
    Right.AGENT_DISCONNECT: "disconnect agent sessions",
    Right.BRIDGE_GET: "see bridges, their desktop agents and private channels",
    Right.BRIDGE_DISCONNECT: "disconnect desktop agents, and apps from private channels",
    Right.BRIDGE_CONNECT: "connect to a bridge as a desktop agent",
    Right.OPERATION_GET: "see operations and their outcomes",
    Right.SOURCE_GET: "see sources and how fresh their lists are",
    Right.AUDIT_GET: "read and export the audit log",
    Right.AUDIT_REVIEW: "review events of the audit log",
    Right.AUDIT_MANAGE: "say where the audit log is sent",
    Right.APIKEY_GET: "see API keys and how they are used",
    Right.APIKEY_MANAGE: "make, change and end API keys",
    Right.SOURCE_MANAGE: "manage sources and their credentials",
    Right.PEOPLE_MANAGE: "manage people and their roles",
}

_SEE = frozenset({Right.AGENT_GET, Right.BRIDGE_GET, Right.OPERATION_GET, Right.SOURCE_GET})
ADMINISTRATOR = "Administrator"
ROLES: dict[str, frozenset[Right]] = {
    "Viewer": _SEE,
    "Operator": _SEE | {Right.AGENT_DISCONNECT, Right.BRIDGE_DISCONNECT},
    "Key manager": _SEE | {Right.APIKEY_GET, Right.APIKEY_MANAGE},
    "Auditor": _SEE | {Right.AUDIT_GET, Right.AUDIT_REVIEW, Right.APIKEY_GET},
    ADMINISTRATOR: frozenset(Right),
}


class NotAllowed(Exception):
    """The actor lacks a right; says which."""

    def __init__(self, actor: "Actor", right: Right) -> None:
        super().__init__(f"{actor.label} may not {right.words} ({right}).")
        self.actor, self.right = actor, right


def rights_of(person: "AbstractUser | AnonymousUser") -> frozenset[Right]:
    """What this person may do now: nothing when deactivated, all as superuser, else what the groups open.

    Only the superuser's flag makes an Administrator: a group of that name opens nothing, so that there is one thing to
    look at, to lock and to count.
    """
    if not person.is_active or person.is_superuser:
        return rights_opened(active=person.is_active, administrator=person.is_superuser, groups=())
    return rights_opened(active=True, administrator=False, groups=person.groups.values_list("name", flat=True))


def rights_opened(*, active: bool, administrator: bool, groups: Iterable[str]) -> frozenset[Right]:
    """The same from what is already known of the person."""
    if not active:
        return frozenset()
    if administrator:
        return ROLES[ADMINISTRATOR]
    return frozenset().union(*(ROLES[role] for role in set(groups) & ROLES.keys() - {ADMINISTRATOR}))


def is_administrator(actor: "Actor") -> bool:
    """Whether the actor may do everything; no API key ever may."""
    return actor.rights >= ROLES[ADMINISTRATOR]


def require(actor: "Actor", right: Right) -> None:
    """Raises `NotAllowed` unless the actor has the right."""
    if right not in actor.rights:
        raise NotAllowed(actor, right)
