"""Who may change people, and that somebody always can: what each such change holds while it is made."""

from django.contrib.auth.models import Group
from django.db.models import Q

from apikeys.rights import NotAllowed, Right, require, rights_of
from audit.actors import Actor
from console.models import User
from console.people.roles import GROUP_ROLES, active_administrators


class LastAdministrator(Exception):
    """Without this one nobody could manage the console any more."""


def locked_person(person: User, actor: Actor) -> User:
    """The person as they are now, held until the transaction ends. Raises NotAllowed unless the actor may."""
    return next(found for found in locked_administrators(actor, person) if found.pk == person.pk)


def locked_administrators(actor: Actor, person: User | None = None) -> list[User]:
    """All active Administrators and this person, held. Raises NotAllowed unless the actor is one now.

    Always all, and in the order of their keys: two Administrators who demote each other at once take turns, and the
    second finds that the first has already taken the right away.
    """
    require(actor, Right.PEOPLE_MANAGE)
    wanted = Q(pk__in=active_administrators().values("pk"))
    if person is not None:
        wanted |= Q(pk=person.pk)
    found = list(User.objects.select_for_update().filter(wanted).order_by("pk"))
    if actor.kind == "person":
        _require_still_administrator(actor)
    return list(User.objects.filter(pk__in=[one.pk for one in found]).prefetch_related("groups"))


def take_turns() -> None:
    """Let one at a time look whether there is an Administrator at all, when there is no person's row to hold."""
    Group.objects.select_for_update(no_key=True).get(name=GROUP_ROLES[0])


def _require_still_administrator(actor: Actor) -> None:
    acting = User.objects.filter(pk=actor.id).first()
    if acting is None or Right.PEOPLE_MANAGE not in rights_of(acting):
        raise NotAllowed(actor, Right.PEOPLE_MANAGE)


def require_another_administrator(person: User) -> None:
    """Before this person stops being an active one. Raises LastAdministrator."""
    administrators = active_administrators()
    if administrators.filter(pk=person.pk).exists() and not administrators.exclude(pk=person.pk).exists():
        raise LastAdministrator(person)
