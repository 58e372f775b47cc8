"""What one may do here, and which role of a person opens it (design: roles; a key's rights come with the keys)."""

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser, AnonymousUser

    from audit.actors import Actor


class Right(StrEnum):
    """`category:choice`, the words that scopes of API keys use too."""

    AGENT_GET = "agent:get"
    AGENT_DISCONNECT = "agent:disconnect"
    AUDIT_GET = "audit:get"
    APIKEY_MANAGE = "apikey:manage"
    SOURCE_MANAGE = "source:manage"
    PEOPLE_MANAGE = "people:manage"

    @property
    def words(self) -> str:
        """What it opens, as the end of a sentence that begins with "may"."""
        return _WORDS[self]


_WORDS = {
    Right.AGENT_GET: "see agent sessions, sources and operations",
    Right.AGENT_DISCONNECT: "disconnect agent sessions",
    Right.AUDIT_GET: "read and export the audit log",
    Right.APIKEY_MANAGE: "make, change and end API keys",
    Right.SOURCE_MANAGE: "manage sources and their credentials",
    Right.PEOPLE_MANAGE: "manage people and their roles",
}

ADMINISTRATOR = "Administrator"
ROLES: dict[str, frozenset[Right]] = {
    "Viewer": frozenset({Right.AGENT_GET}),
    "Operator": frozenset({Right.AGENT_GET, Right.AGENT_DISCONNECT}),
    "Key manager": frozenset({Right.AGENT_GET, Right.APIKEY_MANAGE}),
    "Auditor": frozenset({Right.AGENT_GET, Right.AUDIT_GET}),
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
    if not person.is_active:
        return frozenset()
    if person.is_superuser:
        return ROLES[ADMINISTRATOR]
    roles = set(person.groups.values_list("name", flat=True)) & ROLES.keys() - {ADMINISTRATOR}
    return frozenset().union(*(ROLES[role] for role in roles))


def require(actor: "Actor", right: Right) -> None:
    """Raises `NotAllowed` unless the actor has the right."""
    if right not in actor.rights:
        raise NotAllowed(actor, right)
