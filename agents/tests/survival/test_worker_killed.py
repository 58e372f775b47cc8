"""A worker that is killed, at each point at which that could lose or repeat a disconnection."""

from agents.states import State
from agents.tests.survival.harness import (
    Doorstep,
    assert_proven,
    finished,
    freeze,
    held_writes,
    in_state,
    posts,
    row_of,
    story,
    wait_for,
)

CONFIRMED = ["requested", "queued", "sent", "accepted", "confirmed"]
LOST_ONCE = ["requested", "queued", "sent", "answer_lost"]


def test_killed_before_the_claim_the_next_worker_does_it(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as worker:
        console.session(source, session_id)
        freeze(worker)  # so that it gets the task and can't claim the row
        operation = console.disconnect(source, session_id)
        worker.kill()
    assert row_of(operation).state == State.QUEUED

    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == CONFIRMED
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_killed_after_the_claim_and_before_the_call(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker(connect=30) as worker, Doorstep() as doorstep:
        console.session(source, session_id)
        console.point(source, doorstep.base_url)
        operation = console.disconnect(source, session_id)
        in_state(operation, State.SENDING)
        worker.kill()
    console.point(source, standin.base_url)
    assert posts(standin, session_id) == []

    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == [*LOST_ONCE, "sent", "accepted", "confirmed"]
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_killed_during_the_call_the_list_tells_that_it_arrived(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as worker:
        console.session(source, session_id)
        standin.fault("hang", "agent-disconnection", applies=True)
        operation = console.disconnect(source, session_id)
        wait_for(lambda: posts(standin, session_id))
        worker.kill()

    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == [*LOST_ONCE, "confirmed"]
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_killed_during_a_call_that_did_nothing_it_is_made_again(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as worker:
        console.session(source, session_id)
        standin.fault("hang", "agent-disconnection", applies=False)
        operation = console.disconnect(source, session_id)
        wait_for(lambda: posts(standin, session_id))
        worker.kill()

    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == [*LOST_ONCE, "sent", "accepted", "confirmed"]
    assert len(posts(standin, session_id)) == 2
    assert_proven(operation, standin)


def test_killed_after_the_call_and_before_its_result_is_written(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as worker:
        console.session(source, session_id)
        standin.fault("latency", "agent-disconnection", seconds=0.5)
        operation = console.disconnect(source, session_id)
        wait_for(lambda: posts(standin, session_id))
        with held_writes():
            wait_for(lambda: posts(standin, session_id)[0]["status"] == 200)
            worker.kill()

    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == [*LOST_ONCE, "confirmed"]
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_killed_while_it_confirms(console, standin):
    standin.switch("closing-delay", 3600)
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as worker:
        console.session(source, session_id)
        operation = console.disconnect(source, session_id)
        in_state(operation, State.ACCEPTED)
        standin.fault("latency", "agent-status", seconds=1)
        before = len(standin.requests("/agent/status"))
        wait_for(lambda: len(standin.requests("/agent/status")) > before)
        worker.kill()
    standin.advance(3600)

    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == CONFIRMED
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)
