"""One-time links: how a person gets a first or a new password without anybody else knowing it.

The link holds a random token of which only the SHA-256 digest is stored. Opening it changes nothing, since mail
scanners and chat previews open links too; it is used by posting a password, and the one who moves `used_at` from
empty has won.
"""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.urls import reverse

from apikeys.actors import person_actor
from apikeys.rights import ADMINISTRATOR, Right, require
from audit import services as audit
from audit.actions import Action
from audit.actors import Actor
from console.models import OneTimeLink, User
from console.people.administrators import locked_person, take_turns
from console.people.roles import active_administrators, give_roles
from console.people.targets import FIRST_ADMINISTRATOR, person_target


class AlreadySetUp(Exception):
    """There is an active Administrator, so nobody needs the set-up link."""


class LinkUnusable(Exception):
    """The link is unknown, used, expired, ended by a newer one, or its person was deactivated."""


class PersonDeactivated(Exception):
    """A deactivated person can't be given a link."""


def digest_of(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def find_link(digest: str, *, at: datetime) -> OneTimeLink:
    """Raises LinkUnusable."""
    link = OneTimeLink.objects.usable(at).select_related("person").filter(digest=digest).first()
    if link is None or not _wanted(link):
        raise LinkUnusable
    return link


def _wanted(link: OneTimeLink) -> bool:
    return link.person.is_active if link.person else not active_administrators().exists()


@transaction.atomic(durable=True)
def setup_link(*, actor: Actor, at: datetime) -> str:
    """The URL that makes the first Administrator; ends the one before. Raises AlreadySetUp."""
    require(actor, Right.PEOPLE_MANAGE)
    take_turns()
    # First this, which waits for a set-up under way, and only then the question whether it has made somebody.
    OneTimeLink.objects.filter(purpose=OneTimeLink.Purpose.SETUP, used_at=None).delete()
    if active_administrators().exists():
        raise AlreadySetUp
    url = _make(OneTimeLink.Purpose.SETUP, None, at=at)
    audit.record(Action.PERSON_LINK_MADE, actor=actor, target=FIRST_ADMINISTRATOR, purpose=OneTimeLink.Purpose.SETUP)
    return url


@transaction.atomic(durable=True)
def person_link(*, person: User, actor: Actor, at: datetime) -> str:
    """The URL with which this person chooses a password; ends the one before. Raises PersonDeactivated."""
    person = locked_person(person, actor)
    if not person.is_active:
        raise PersonDeactivated(person)
    return make_person_link(person, actor=actor, at=at)


def make_person_link(person: User, *, actor: Actor, at: datetime) -> str:
    """The same for a person whose row the caller's transaction holds."""
    invited = not person.has_usable_password()
    purpose = OneTimeLink.Purpose.INVITATION if invited else OneTimeLink.Purpose.PASSWORD
    end_links_of(person)
    url = _make(purpose, person, at=at)
    audit.record(Action.PERSON_LINK_MADE, actor=actor, target=person_target(person), purpose=purpose)
    return url


def end_links_of(person: User) -> None:
    OneTimeLink.objects.filter(person=person, used_at=None).delete()


@transaction.atomic(durable=True)
def _use_for_setup(link: OneTimeLink, username: str, password: str, time_zone: str, at: datetime) -> User:
    _take(link, at=at)
    if active_administrators().exists():
        raise LinkUnusable
    person = User.objects.create(username=username, password=password, time_zone=time_zone)
    give_roles(person, [ADMINISTRATOR])
    actor, target = person_actor(person), person_target(person)
    audit.record(Action.PERSON_LINK_USED, actor=actor, target=target, purpose=link.purpose)
    audit.record(Action.PERSON_ADDED, actor=actor, target=target, roles=[ADMINISTRATOR])
    return person


def use_for_setup(*, link: OneTimeLink, username: str, password: str, time_zone: str, at: datetime) -> User:
    """Make the first Administrator. Raises LinkUnusable if somebody was quicker."""
    # The slow hash is made before the transaction: nobody else can write while one is open on SQLite.
    return _use_for_setup(link, User.normalize_username(username), make_password(password), time_zone, at)


@transaction.atomic(durable=True)
def _use_for_password(link: OneTimeLink, password: str, time_zone: str, at: datetime) -> User:
    person = User.objects.select_for_update().get(links=link)
    if not person.is_active:
        raise LinkUnusable
    _take(link, at=at)
    person.password, person.time_zone = password, time_zone
    person.save(update_fields=["password", "time_zone"])
    actor, target = person_actor(person), person_target(person)
    audit.record(Action.PERSON_LINK_USED, actor=actor, target=target, purpose=link.purpose)
    audit.record(Action.PERSON_PASSWORD_CHANGED, actor=actor, target=target)
    return person


def use_for_password(*, link: OneTimeLink, password: str, time_zone: str, at: datetime) -> User:
    """Set the person's password, which ends all their sign-ins. Raises LinkUnusable if somebody was quicker."""
    return _use_for_password(link, make_password(password), time_zone, at)


def _make(purpose: OneTimeLink.Purpose, person: User | None, *, at: datetime) -> str:
    token = secrets.token_urlsafe(32)
    OneTimeLink.objects.create(
        purpose=purpose,
        person=person,
        digest=digest_of(token),
        made_at=at,
        expires_at=at + timedelta(hours=settings.CONSOLE_LINK_HOURS),
    )
    return str(settings.CONSOLE_URL) + reverse("account:open_link", args=[token])


def _take(link: OneTimeLink, *, at: datetime) -> None:
    if not OneTimeLink.objects.usable(at).filter(pk=link.pk).update(used_at=at):
        raise LinkUnusable
