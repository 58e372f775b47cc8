"""The watch that `conftest.py` has over every test finds what it is there for."""

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from audit.actions import Action
from audit.services import Target, record
from audit.tests.make import ALICE
from audit.tests.unrecorded import Watch

User = get_user_model()
# Compiled under the name of a module of ours, since what a test itself changes is no matter.
SERVICES = """
@transaction.atomic(durable=True)
def forgetful(person):
    User.objects.filter(pk=person.pk).update(email="new@example.org")

def forgetful_outside_a_transaction(person):
    User.objects.filter(pk=person.pk).update(email="new@example.org")

@transaction.atomic(durable=True)
def forgetful_in_part(person):
    with transaction.atomic():
        User.objects.create(username="another")

@transaction.atomic(durable=True)
def careful(person):
    User.objects.filter(pk=person.pk).update(email="new@example.org")
    with transaction.atomic():
        record(Action.PERSON_CHANGED, actor=ALICE, target=Target("person", "1", "alice"))

@transaction.atomic(durable=True)
def given_up(person):
    User.objects.filter(pk=person.pk).update(email="new@example.org")
    raise ZeroDivisionError
"""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("forgetful", {"console.made_up.forgetful changes console_user without an event"}),
        (
            "forgetful_outside_a_transaction",
            {"console.made_up.forgetful_outside_a_transaction changes console_user without an event"},
        ),
        ("forgetful_in_part", {"console.made_up.forgetful_in_part changes console_user without an event"}),
        ("careful", set()),
        ("given_up", set()),
    ],
)
def test_it_finds_a_service_that_changes_rows_without_an_event(name, found, pytestconfig):
    person = User.objects.create(username="alice")
    space = {"User": User, "transaction": transaction, "record": record, "Action": Action, "ALICE": ALICE}
    space |= {"Target": Target, "__name__": "console.made_up"}
    exec(compile(SERVICES, str(pytestconfig.rootpath / "console" / "made_up.py"), "exec"), space)
    watch = Watch()

    with connection.execute_wrapper(watch):
        try:
            space[name](person)
        except ZeroDivisionError:
            assert name == "given_up"

    assert watch.found == found
