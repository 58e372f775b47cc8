"""Many writers, one chain: no fork, no gap, nothing that was committed is missing."""

import subprocess
import sys

import pytest
from django.db import IntegrityError, transaction
from django.db.transaction import TransactionManagementError

from audit.actions import Action
from audit.chain import verify
from audit.models import Event, Head
from audit.services import record, record_many
from audit.tests.make import ALICE, SESSION, commit_events, make_entry

WRITERS = 8

# Forked in a process of its own, which has neither threads nor connections of this one.
EIGHT_PROCESSES = f"""
import os
import django
django.setup()
from audit.tests.make import commit_events

def write():
    for _ in range(10):
        commit_events(2)

children = []
for _ in range({WRITERS}):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            write()
            status = 0
        finally:
            os._exit(status)
    children.append(child)
raise SystemExit(any(os.waitpid(child, 0)[1] for child in children))
"""


# Each child says what it has committed; the parent kills it after a number that nobody knows beforehand, in whatever it
# does then, and prints what was said.
KILLED = f"""
import os
import random
import signal
import django
django.setup()
from audit.tests.make import commit_events

said, say = os.pipe()
children = {{}}
for writer in range({WRITERS}):
    child = os.fork()
    if child == 0:
        number = 0
        while True:
            number += 1
            commit_events(random.choice([1, 1, 5]), data={{"writer": writer, "number": number}})
            os.write(say, f"{{writer}} {{number}}\\n".encode())
    children[writer] = (child, random.randint(3, 15))
os.close(say)
with os.fdopen(said) as lines:
    for line in lines:
        print(line, end="")
        writer, number = map(int, line.split())
        child, last = children[writer]
        if number == last:
            os.kill(child, signal.SIGKILL)
for child, _ in children.values():
    os.waitpid(child, 0)
"""


def test_it_raises_outside_a_transaction(committed_db):
    with pytest.raises(TransactionManagementError):
        record(Action.SOURCE_PAUSED, actor=ALICE, target=SESSION)

    assert not Event.objects.exists()


def test_the_first_event_begins_the_chain_and_the_head_follows(committed_db):
    commit_events(3)

    first, last = Event.objects.get(sequence=1), Event.objects.get(sequence=3)
    assert first.previous_hash == "0" * 64
    assert (Head.objects.get().sequence, Head.objects.get().hash) == (3, last.hash)


def test_a_rollback_leaves_no_gap(committed_db):
    commit_events()

    with pytest.raises(ZeroDivisionError), transaction.atomic():
        record_many([make_entry(), make_entry()])
        raise ZeroDivisionError
    commit_events()

    assert list(Event.objects.order_by("sequence").values_list("sequence", flat=True)) == [1, 2]
    assert verify().flaw is None


def test_eight_threads_append_at_once(committed_db):
    def write(name):
        for turn in range(25):
            commit_events(turn % 3 + 1, data={"writer": name})

    committed_db.in_threads(*(lambda name=name: write(name) for name in range(WRITERS)))

    verdict = verify()
    assert verdict.flaw is None
    assert verdict.count == Event.objects.count() == WRITERS * sum(turn % 3 + 1 for turn in range(25))


def test_eight_processes_append_at_once(committed_db):
    subprocess.run([sys.executable, "-c", EIGHT_PROCESSES], env=committed_db.env, check=True, timeout=120)

    verdict = verify()
    assert verdict.flaw is None
    assert verdict.count == WRITERS * 20


def test_eight_processes_that_are_killed_lose_nothing_that_was_committed(committed_db):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], env=committed_db.env, check=True, capture_output=True, text=True, timeout=120
    )

    verdict = verify()
    assert verdict.flaw is None
    assert verdict.count == Event.objects.count() == Head.objects.get().sequence
    held = {(event.details["writer"], event.details["number"]) for event in Event.objects.all()}
    committed = {tuple(map(int, line.split())) for line in killed.stdout.splitlines()}
    assert len({writer for writer, _ in committed}) == WRITERS
    assert committed <= held
    commit_events()
    assert verify().flaw is None


def test_two_events_can_not_follow_the_same_one(committed_db):
    """The database refuses a fork even where somebody by-passes the service."""
    commit_events(2)
    fork = Event.objects.get(sequence=2)
    fork.sequence, fork.hash = 3, "f" * 64

    with pytest.raises(IntegrityError):
        fork.save(force_insert=True)
