"""Lists that are not what they seem: nothing is ended or confirmed that one look alone does not prove."""

import json
from datetime import timedelta

from agents.models import AgentSession
from agents.states import State
from agents.tests.survival.harness import (
    assert_proven,
    finished,
    freeze,
    in_state,
    posts,
    reread,
    row_of,
    story,
    wait_for,
)
from audit.models import Event

POST = "agent-disconnection"


def test_a_session_that_ends_by_itself_just_before_the_call(console, standin):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    with console.running_worker() as worker:
        console.session(source, session_id)
        freeze(worker)
        operation = console.disconnect(source, session_id)
        standin.end_sessions(session_id)
        worker.resume()
        [row] = finished(operation)

    assert row.state == State.ALREADY_GONE
    assert row.session.ended_by == "itself"
    assert len(posts(standin, session_id)) <= 1
    assert_proven(operation, standin)


def test_a_session_that_closes_for_ever_and_goes_later(busy_console, standin, source):
    standin.switch("closing-delay", 3600)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    type(source).objects.filter(pk=source.pk).update(confirm_seconds=1)

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)
    standin.advance(3600)
    wait_for(lambda: row_of(operation).seen_gone_at)

    assert row.state == row_of(operation).state == State.STILL_CONNECTED
    assert row_of(operation).finished_at == row.finished_at
    assert story(operation) == ["requested", "queued", "sent", "accepted", "still_connected", "seen_gone"]
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_a_list_that_cant_be_read_until_the_very_end(console, standin):
    source = console.add_source(standin, confirm_seconds=1)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    with console.running_worker(unreadable_limit=2):
        console.session(source, session_id)
        standin.fault("status", "agent-status", status=500, times=None)
        operation = console.disconnect(source, session_id)
        [row] = finished(operation)

    assert row.state == State.UNKNOWN
    assert "status 500" in row.explanation
    assert (row.finished_at - row.accepted_at).total_seconds() >= 3
    assert story(operation) == ["requested", "queued", "sent", "accepted", "unknown"]
    assert_proven(operation, standin)


def test_a_list_that_can_be_read_again_before_the_very_end(console, standin):
    """What could not be read is added to the time to confirm, so that the outcome is still proved."""
    standin.switch("closing-delay", 3600)
    source = console.add_source(standin, confirm_seconds=2)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    with console.running_worker():
        operation = console.disconnect(source, session_id)
        accepted = in_state(operation, State.ACCEPTED)
        standin.fault("status", "agent-status", status=500, times=None)
        wait_for(lambda: source.readings.filter(ended_at__gt=accepted.accepted_at + timedelta(seconds=3)).exists())
        assert row_of(operation).state == State.ACCEPTED
        standin.clear_faults()
        standin.advance(3600)
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert_proven(operation, standin)


def test_a_list_too_long_to_be_read_whole(console, standin):
    """Past 11,000 rows of a direction absence proves nothing, and the row says so."""
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0", direction="send")
    standin.add_sessions(11_500, direction="send")
    source = console.add_source(standin, confirm_seconds=1, polling_seconds=60)

    with console.running_worker(attempt=1, lease_margin=1):
        operation = console.disconnect(source, session_id)
        [row] = finished(operation, within=60)

    assert session_id not in standin.session_ids()
    assert row.state == State.UNKNOWN
    assert "11,000" in row.explanation
    assert AgentSession.objects.get(source=source, session_id=session_id).ended_at is None
    assert_proven(operation, standin)


def test_rows_that_move_between_pages(console, standin):
    """Each reading misses some sessions that live: none is ended, and what is gone is confirmed only by two."""
    standin.switch("paging", "moving")
    standin.add_sessions(1_200)
    source = console.add_source(standin, polling_seconds=0.2, confirm_seconds=30)
    [going, staying] = standin.add_sessions(2, agentVersion="3.1.0")

    with console.running_worker():
        console.session(source, going)
        console.session(source, staying)
        standin.fault("not-json", POST, session=staying, times=None)
        first, second = console.disconnect(source, going), console.disconnect(source, staying)
        [confirmed], [failed] = finished(first), finished(second)
        missed = AgentSession.objects.filter(source=source).exclude(absent_since=None)
        assert wait_for(missed.count), "no reading missed a row: this test proves nothing"

    ended = AgentSession.objects.filter(source=source).exclude(ended_at=None)
    assert (confirmed.state, failed.state) == (State.CONFIRMED, State.FAILED)
    assert [each.session_id for each in ended] == [going]
    proving = source.readings.filter(
        begun_at__gt=confirmed.attempts.get().ended_at, ended_at__lte=confirmed.finished_at
    )
    assert proving.count() >= 2
    assert_proven(first, standin)
    assert_proven(second, standin)


def test_a_reading_that_began_before_the_answer_proves_nothing(console, standin):
    """The session is gone from it already; but what was listed before the call was over counts for nothing."""
    source = console.add_source(standin)
    [session_id, _] = standin.add_sessions(2, agentVersion="3.1.0")

    with console.running_worker(read=10, attempt=10):
        console.session(source, session_id)
        standin.fault("slow-body", POST, seconds=2)
        operation = console.disconnect(source, session_id)
        [post] = wait_for(lambda: posts(standin, session_id))
        standin.fault("slow-body", "agent-status", seconds=4)
        [row] = finished(operation)

    listings = standin.requests("/agent/status", after=post["number"])
    slow = next(each for each in listings if each["fault"])
    assert slow["received"] < row.attempt_ended_at.timestamp() < row.finished_at.timestamp() - 0.5
    assert row.state == State.CONFIRMED
    assert_proven(operation, standin)


def test_a_list_that_is_empty_once_ends_nobody(busy_console, standin, source):
    standin.add_sessions(5)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    busy_console.session(source, session_id)

    standin.fault("status", "agent-status", status=204)
    wait_for(lambda: source.readings.filter(outcome="complete", listed=0).count() > 1)
    reread(source)

    assert AgentSession.objects.filter(source=source, ended_at=None, absent_since=None).count() == 6
    assert not AgentSession.objects.filter(source=source).exclude(ended_at=None).exists()


def test_a_list_that_lost_more_than_half_once_ends_nobody_and_confirms_nothing(busy_console, standin, source):
    standin.switch("closing", "never")
    session_ids = standin.add_sessions(6, agentVersion="3.1.0")
    for session_id in session_ids:
        busy_console.session(source, session_id)
    operation = busy_console.disconnect(source, session_ids[0])
    in_state(operation, State.ACCEPTED)

    short_list = {"totalSize": 1, "status": standin.sessions()[-1:]}
    standin.fault("status", "agent-status", status=200, body=json.dumps(short_list))
    wait_for(lambda: source.readings.filter(outcome="complete", listed=1).exists())
    [row] = finished(operation)

    assert row.state == State.STILL_CONNECTED
    assert AgentSession.objects.filter(source=source).exclude(ended_at=None).count() == 0
    assert not Event.objects.filter(action="disconnection.confirmed", target_id=str(row.pk)).exists()
    assert_proven(operation, standin)
