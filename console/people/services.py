"""Changes to people. Whoever may make them is an Administrator now, not only when their request began."""

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, transaction
from django.db.models import F

from apikeys.actors import command_line_actor, person_actor
from apikeys.rights import ADMINISTRATOR
from audit import services as audit
from audit.actions import Action
from audit.actors import Actor
from console.models import User
from console.people.administrators import locked_administrators, locked_person, require_another_administrator
from console.people.links import end_links_of, make_person_link
from console.people.roles import give_roles, roles_of
from console.people.targets import person_target


class UsernameTaken(Exception):
    """Somebody was added under that name in the meantime."""


def add_person(*, username: str, email: str, roles: Collection[str], actor: Actor, at: datetime) -> tuple[User, str]:
    """The person, who has no password yet, and the one-time link to hand over. Raises UsernameTaken."""
    try:
        return _add_person(User.normalize_username(username), email, roles, actor, at)
    except IntegrityError as error:
        raise UsernameTaken(username) from error


@transaction.atomic(durable=True)
def _add_person(username: str, email: str, roles: Collection[str], actor: Actor, at: datetime) -> tuple[User, str]:
    locked_administrators(actor)
    person = User.objects.create(username=username, email=email, password=make_password(None))
    give_roles(person, roles)
    audit.record(Action.PERSON_ADDED, actor=actor, target=person_target(person), email=email, roles=roles_of(person))
    return person, make_person_link(person, actor=actor, at=at)


def record_administrator(person: User) -> None:
    """That somebody was made an Administrator on the command line."""
    actor = command_line_actor()
    roles = roles_of(person)
    audit.record(Action.PERSON_ADDED, actor=actor, target=person_target(person), email=person.email, roles=roles)


@transaction.atomic(durable=True)
def change_roles(*, person: User, roles: Collection[str], actor: Actor) -> None:
    """Exactly these roles from now on. Raises LastAdministrator."""
    person = locked_person(person, actor)
    before = roles_of(person)
    if ADMINISTRATOR not in roles:
        require_another_administrator(person)
    give_roles(person, roles)
    after = roles_of(User.objects.get(pk=person.pk))
    if after != before:
        audit.record(Action.PERSON_ROLES_CHANGED, actor=actor, target=person_target(person), before=before, after=after)


@transaction.atomic(durable=True)
def deactivate_person(*, person: User, actor: Actor) -> None:
    """End the person's sign-ins, links and rights at once. Raises LastAdministrator."""
    person = locked_person(person, actor)
    require_another_administrator(person)
    if not User.objects.filter(pk=person.pk, is_active=True).update(
        is_active=False, sign_in_epoch=F("sign_in_epoch") + 1
    ):
        return
    end_links_of(person)
    audit.record(Action.PERSON_DEACTIVATED, actor=actor, target=person_target(person))


@transaction.atomic(durable=True)
def activate_person(*, person: User, actor: Actor) -> None:
    """The person may sign in anew; the sign-ins that deactivation ended stay ended."""
    person = locked_person(person, actor)
    if User.objects.filter(pk=person.pk, is_active=False).update(is_active=True):
        audit.record(Action.PERSON_ACTIVATED, actor=actor, target=person_target(person))


@transaction.atomic(durable=True)
def change_details(*, person: User, email: str, time_zone: str, actor: Actor) -> None:
    person = locked_person(person, actor)
    _change(person, {"email": email, "time_zone": time_zone}, actor)


@transaction.atomic(durable=True)
def choose_time_zone(*, person: User, time_zone: str) -> None:
    """Everybody may choose their own."""
    person = User.objects.select_for_update().get(pk=person.pk)
    _change(person, {"time_zone": time_zone}, person_actor(person))


@transaction.atomic(durable=True)
def end_sign_ins(*, person: User, actor: Actor) -> None:
    """End all of the person's sign-ins: one's own anybody may, those of others an Administrator."""
    if actor != person_actor(person):
        person = locked_person(person, actor)
    User.objects.filter(pk=person.pk).update(sign_in_epoch=F("sign_in_epoch") + 1)
    person.refresh_from_db(fields=["sign_in_epoch"])
    audit.record(Action.PERSON_SIGNED_OUT, actor=actor, target=person_target(person), everywhere=True)


def set_password(*, person: User, password: str, actor: Actor) -> None:
    """By the command line, for somebody who can't sign in. Ends all their sign-ins and links."""
    # The slow hash is made before the transaction: nobody else can write while one is open on SQLite.
    _set_password(person, make_password(password), actor)


@transaction.atomic(durable=True)
def _set_password(person: User, password: str, actor: Actor) -> None:
    person = locked_person(person, actor)
    User.objects.filter(pk=person.pk).update(password=password)
    end_links_of(person)
    audit.record(Action.PERSON_PASSWORD_CHANGED, actor=actor, target=person_target(person))


def _change(person: User, values: dict[str, str], actor: Actor) -> None:
    before = {name: getattr(person, name) for name, value in values.items() if getattr(person, name) != value}
    if not before:
        return
    after = {name: values[name] for name in before}
    User.objects.filter(pk=person.pk).update(**after)
    audit.record(Action.PERSON_CHANGED, actor=actor, target=person_target(person), before=before, after=after)
