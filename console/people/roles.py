"""Which roles a person has.

One rule: an Administrator is a person with `is_superuser` (so `createsuperuser` makes one); every other role is the
group of that name. A group called Administrator opens nothing.
"""

from collections.abc import Collection
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import Group
from django.db.models import QuerySet

from apikeys.rights import ADMINISTRATOR, ROLES
from console.models import User

GROUP_ROLES = [role for role in ROLES if role != ADMINISTRATOR]


def make_groups(*, using: str, **kwargs: Any) -> None:
    """Receives `post_migrate`, so that the groups are there in every database, a test's too."""
    for role in GROUP_ROLES:
        Group.objects.using(using).get_or_create(name=role)


def roles_of(person: User) -> list[str]:
    """In the order of `ROLES`; reads `person.groups`, so prefetch those for a list."""
    given = {group.name for group in person.groups.all()} - {ADMINISTRATOR}
    if person.is_superuser:
        given.add(ADMINISTRATOR)
    return [role for role in ROLES if role in given]


def give_roles(person: User, roles: Collection[str]) -> None:
    """Exactly these; inside the caller's transaction."""
    person.is_superuser = ADMINISTRATOR in roles
    person.save(update_fields=["is_superuser"])
    person.groups.set(Group.objects.filter(name__in=set(roles) - {ADMINISTRATOR}))


def active_administrators() -> QuerySet[User]:
    """Those who could sign in now: somebody invited who never chose a password can't run the console."""
    return User.objects.filter(is_active=True, is_superuser=True).exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)
