"""Redis is only a wake-up: whatever becomes of it, what was asked for is done. Beat runs in none of these."""

import time

from agents.readings import read_source
from agents.states import State
from agents.tests.survival.harness import assert_proven, finished, freeze, posts, row_of, story

CONFIRMED = ["requested", "queued", "sent", "accepted", "confirmed"]
#: A click must not feel that Redis is away. The machine of the tests may be busy; a person waits less.
QUICKLY = 1.5


def clicked(console, source, session_id):
    """The operation, and the seconds that the click took."""
    console.session(source, session_id)
    begun = time.monotonic()
    operation = console.disconnect(source, session_id)
    return operation, time.monotonic() - begun


def assert_done_once(operation, standin, session_id):
    [row] = finished(operation)
    assert row.state == State.CONFIRMED
    assert story(operation) == CONFIRMED
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_down_at_the_click_and_when_the_worker_starts(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    console.redis.kill()

    with console.running_worker():
        operation, took = clicked(console, source, session_id)
        assert_done_once(operation, standin, session_id)

    assert took < QUICKLY


def test_down_while_the_worker_runs(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    with console.running_worker():
        console.session(source, session_id)
        console.redis.kill()
        operation, took = clicked(console, source, session_id)
        assert_done_once(operation, standin, session_id)

    assert took < QUICKLY


def test_hanging(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    with console.running_worker():
        console.session(source, session_id)
        console.redis.pause()
        operation, took = clicked(console, source, session_id)
        assert_done_once(operation, standin, session_id)

    assert took < QUICKLY


def test_emptied_with_rows_queued(console, standin):
    source = console.add_source(standin)
    session_ids = standin.add_sessions(3, agentVersion="3.1.0")
    read_source(source.pk)
    operations = [console.disconnect(source, each) for each in session_ids]
    console.redis.flush()
    assert [row_of(each).state for each in operations] == [State.QUEUED] * 3

    with console.running_worker():
        for operation, session_id in zip(operations, session_ids, strict=True):
            assert_done_once(operation, standin, session_id)


def test_killed_and_started_again_with_rows_queued(console, standin):
    source = console.add_source(standin)
    early, late = standin.add_sessions(2, agentVersion="3.1.0")

    with console.running_worker() as worker:
        console.session(source, late)
        freeze(worker)
        operation = console.disconnect(source, early)
        console.redis.kill()
        worker.resume()
        assert_done_once(operation, standin, early)
        console.redis.start()
        operation, took = clicked(console, source, late)
        assert_done_once(operation, standin, late)

    assert took < QUICKLY
