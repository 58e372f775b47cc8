"""The sweep: it finds all that is due, hands over each thing once, and survives whatever happens."""

import threading
from datetime import timedelta

import pytest
from django.db import OperationalError

from agents import readings, sending, sweeper
from agents.clock import database_now
from agents.models import Source
from agents.states import State
from agents.sweeper import Sweeper
from agents.tests.make import make_disconnection, make_session, make_source
from audit import sweeping


@pytest.fixture
def one(monkeypatch):
    """A sweeper that does in its own thread what it hands over, and is put away afterwards."""
    made = Sweeper()
    monkeypatch.setattr(made._hands, "submit", lambda do, *args: do(*args))
    # The test's one connection is in a transaction.
    for module in (sweeper, sweeping):
        monkeypatch.setattr(module, "close_old_connections", lambda: None)
    yield made
    made._hands.shutdown()
    sweeper._woken.clear()


@pytest.fixture
def done(monkeypatch):
    found = []
    monkeypatch.setattr(readings, "read_source", lambda pk: found.append(("reading", pk)))
    monkeypatch.setattr(sending, "send_operation", lambda pk, portion: found.append(("operation", pk)))
    return found


def test_it_hands_over_what_is_due(source, one, done):
    row = make_disconnection(make_session(source))
    late = make_disconnection(make_session(source, "s2"), send_by=database_now() - timedelta(seconds=1))

    one.sweep()

    late.refresh_from_db()
    assert sorted(done, key=str) == sorted([("reading", source.pk), ("operation", row.operation_id)], key=str)
    assert late.state == State.FAILED


def test_it_hands_over_each_thing_once_while_it_is_being_done(source, one, monkeypatch):
    waiting = []
    monkeypatch.setattr(one._hands, "submit", lambda do, *args: waiting.append((do, args)))
    make_disconnection(make_session(source))

    for _ in range(3):
        one.sweep()
    assert len(waiting) == 2

    monkeypatch.setattr(readings, "read_source", lambda pk: None)
    for do, (kind, key, _work) in waiting:
        do(kind, key, lambda key: None)
    one.sweep()
    assert len(waiting) == 4


def test_work_that_fails_is_logged_and_found_again(source, one, monkeypatch, caplog):
    monkeypatch.setattr(sweeping.connection, "close", lambda: None)

    def fail(pk):
        raise OperationalError("the database is away")

    monkeypatch.setattr(readings, "read_source", fail)

    one.sweep()
    one.sweep()

    assert caplog.text.count("the next sweep finds it again") == 2 and one._busy == set()


def test_it_survives_a_database_that_is_away_for_a_while(monkeypatch, caplog):
    made, survived, tries = Sweeper(), threading.Event(), []
    monkeypatch.setattr(sweeper.sending, "stopping", threading.Event())

    def sweep():
        tries.append(1)
        if len(tries) < 3:
            sweeper.wake()
            raise OperationalError("the database is away")
        survived.set()
        return 60.0

    monkeypatch.setattr(made, "sweep", sweep)
    made.start()
    try:
        assert survived.wait(20)
    finally:
        made.stop()
        made.join(20)

    assert not made.is_alive() and caplog.text.count("The database does not answer") == 1


def test_after_it_was_stopped_it_hands_nothing_over(source, one, done, monkeypatch):
    monkeypatch.setattr(sweeper.sending, "stopping", threading.Event())
    one.stop()

    one.sweep()

    assert done == []


@pytest.mark.parametrize(("seconds", "expected"), [([], 2), ([1.0, 0.5], 0.5), ([30], 30), ([-5], 2), ([-5, 1], 1)])
def test_it_sleeps_until_the_next_reading(db, one, seconds, expected):
    at = database_now()
    for number, each in enumerate(seconds):
        make_source(f"source {number}", next_reading_at=at + timedelta(seconds=each))

    assert one._until_next(at) == pytest.approx(expected)


def test_a_paused_source_wakes_nobody(source, one):
    at = database_now()
    Source.objects.update(paused_at=at, next_reading_at=at + timedelta(seconds=0.5))

    assert one._until_next(at) == 2


def test_deadlines_come_before_work(source, one, done):
    late = make_disconnection(make_session(source), send_by=database_now() - timedelta(seconds=1))

    one.sweep()

    late.refresh_from_db()
    assert late.state == State.FAILED
    assert done == [("reading", source.pk)], "what is too late is not handed over any more"
