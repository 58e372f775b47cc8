"""People for tests of every app, with the shortest way to sign them in."""

import time

from django.contrib.auth.models import Group
from django.test import Client

from apikeys.rights import ADMINISTRATOR, ROLES
from console.models import User

PASSWORD = "correct horse battery staple"


def make_person(username: str, *roles: str, **overrides: object) -> User:
    """An active person with `PASSWORD` and these roles (see `apikeys.rights.ROLES`)."""
    assert set(roles) <= ROLES.keys(), roles
    person = User(username=username, is_superuser=ADMINISTRATOR in roles)
    person.set_password(PASSWORD)
    for name, value in overrides.items():
        setattr(person, name, value)
    person.save()
    for role in set(roles) - {ADMINISTRATOR}:
        person.groups.add(Group.objects.get_or_create(name=role)[0])
    return person


def signed_in(person: User, *, confirmed: bool = True) -> Client:
    """A browser in which this person is signed in, and has (or has not) just confirmed their password."""
    client = Client()
    client.force_login(person)
    if confirmed:
        session = client.session
        session["account_authentication_methods"] = [{"method": "password", "at": time.time()}]
        session["account_authentication_methods_user"] = str(person.pk)
        session.save()
    return client
