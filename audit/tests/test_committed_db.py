"""The fixture that other apps' tests of threads and processes stand on."""

import subprocess
import sys

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction

from audit.models import Event
from audit.tests.make import commit_events

IN_A_CHILD = """
import django
django.setup()
from django.conf import settings
from django.contrib.auth import get_user_model
get_user_model().objects.create_user("child")
print(settings.SECRET_KEY, settings.CONSOLE_DATA_DIR)
"""


@pytest.mark.parametrize("turn", [1, 2])
def test_each_test_gets_an_empty_database(committed_db, turn):
    commit_events(turn)

    assert Event.objects.count() == turn
    assert not connection.in_atomic_block


def test_on_commit_runs(committed_db):
    called = []

    with transaction.atomic():
        transaction.on_commit(lambda: called.append(1))

    assert called == [1]


def test_threads_and_processes_see_the_same_rows(committed_db):
    people = get_user_model().objects
    people.create_user("parent")

    assert committed_db.in_threads(people.count, people.count) == [1, 1]
    child = [sys.executable, "-c", IN_A_CHILD]
    printed = subprocess.run(child, env=committed_db.env, check=True, capture_output=True, text=True).stdout.split()

    assert printed == [settings.SECRET_KEY, str(committed_db.data_dir)]
    assert people.filter(username="child").exists()


@pytest.mark.django_db
def test_the_ordinary_database_is_untouched_by_all_that():
    assert not get_user_model().objects.filter(username__in=["parent", "child"]).exists()
