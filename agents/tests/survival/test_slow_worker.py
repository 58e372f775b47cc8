"""A worker that lives but was held up for longer than its lease: another one has taken over meanwhile."""

from agents.models import Attempt, Disconnection
from agents.states import State
from agents.tests.survival.harness import (
    Doorstep,
    assert_proven,
    finished,
    freeze,
    in_state,
    posts,
    story,
    wait_for,
)
from audit.models import Event


def test_it_makes_no_late_call(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker(connect=30) as slow, Doorstep() as doorstep:
        console.session(source, session_id)
        console.point(source, doorstep.base_url)
        operation = console.disconnect(source, session_id)
        in_state(operation, State.SENDING)
        freeze(slow)
        doorstep.open()
        console.point(source, standin.base_url)
        with console.running_worker():
            [row] = finished(operation)
            slow.resume()
            wait_for(lambda: "late_answer" in story(operation))
        assert doorstep.received() == b""

    assert row.state == State.CONFIRMED
    assert len(posts(standin, session_id)) == 1
    told = ["requested", "queued", "sent", "answer_lost", "sent", "accepted", "confirmed", "late_answer"]
    assert story(operation) == told
    assert_proven(operation, standin)


def test_its_late_answer_says_nothing_of_the_call_that_another_one_makes(console, standin):
    """It comes while the second call is under way: that one's lease and result stay its own."""
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as slow:
        console.session(source, session_id)
        standin.fault("hang", "agent-disconnection")
        operation = console.disconnect(source, session_id)
        wait_for(lambda: posts(standin, session_id))
        freeze(slow)
        standin.fault("latency", "agent-disconnection", seconds=4)
        with console.running_worker(read=10, attempt=10):
            wait_for(lambda: len(posts(standin, session_id)) == 2)
            slow.resume()
            wait_for(lambda: "late_answer" in story(operation))
            [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert [attempt.result for attempt in row.attempts.order_by("number")] == ["lost", "accepted"]
    told = ["requested", "queued", "sent", "answer_lost", "sent", "late_answer", "accepted", "confirmed"]
    assert story(operation) == told
    assert_proven(operation, standin)


def test_its_late_answer_changes_nothing_and_is_on_record(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    with console.running_worker() as slow:
        console.session(source, session_id)
        standin.fault("latency", "agent-disconnection", seconds=1)
        operation = console.disconnect(source, session_id)
        wait_for(lambda: posts(standin, session_id))
        freeze(slow)
        with console.running_worker():
            [row] = finished(operation)
            before = _columns(row)
            slow.resume()
            wait_for(lambda: "late_answer" in story(operation))

    assert row.state == State.CONFIRMED
    assert _columns(row) == before
    assert story(operation) == ["requested", "queued", "sent", "answer_lost", "confirmed", "late_answer"]
    assert len(posts(standin, session_id)) == 1
    assert Event.objects.get(action="disconnection.late_answer").details["attempt"] == 1
    assert_proven(operation, standin)


def _columns(row):
    return Disconnection.objects.filter(pk=row.pk).values().get(), list(Attempt.objects.values())
