"""Agents that come back, and session IDs that come back: the order was for one session, and for no other."""

from agents.models import AgentSession, Disconnection
from agents.readings import read_source
from agents.states import State
from agents.tests.survival.harness import assert_proven, finished, in_state, posts, row_of, story, wait_for


def test_an_agent_that_reconnects_while_its_old_session_closes(busy_console, standin, source):
    standin.switch("closing-delay", 3600)
    standin.switch("after-disconnection", "while-closing")
    standin.switch("return-delay", 0.5)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    operation = busy_console.disconnect(source, session_id)
    in_state(operation, State.ACCEPTED)
    wait_for(lambda: row_of(operation).came_back_as_id)
    standin.advance(3600)
    [row] = finished(operation)

    old, new = AgentSession.objects.filter(source=source, agent_id=row.agent_id_then).order_by("pk")
    assert (row.state, row.session, row.came_back_as) == (State.CONFIRMED, old, new)
    assert (old.ended_by, new.ended_at) == ("us", None)
    assert story(operation) == ["requested", "queued", "sent", "accepted", "came_back", "confirmed"]
    assert posts(standin, new.session_id) == []
    assert_proven(operation, standin)


def test_an_agent_that_reconnects_after_its_session_is_gone(busy_console, standin, source):
    standin.switch("after-disconnection", "new-session")
    standin.switch("return-delay", 1)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    operation = busy_console.disconnect(source, session_id)
    wait_for(lambda: row_of(operation).came_back_as_id)

    assert row_of(operation).state == State.CONFIRMED
    assert story(operation) == ["requested", "queued", "sent", "accepted", "confirmed", "came_back"]
    assert_proven(operation, standin)


def test_a_session_id_that_is_used_again_before_the_call(console, standin):
    """The order was for the session before: the one that has its ID now is left alone."""
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0", agentId="plant")
    read_source(source.pk)
    operation = console.disconnect(source, session_id)
    standin.add_rows({"sessionId": session_id, "agentId": "plant", "agentVersion": "3.1.0"})
    read_source(source.pk)

    with console.running_worker():
        [row] = finished(operation)

    old, new = AgentSession.objects.filter(source=source, session_id=session_id).order_by("pk")
    assert (row.state, row.session) == (State.ALREADY_GONE, old)
    assert (old.ended_by, new.ended_at) == ("itself", None)
    assert posts(standin, session_id) == []
    assert_proven(operation, standin)


def test_a_session_id_that_is_used_again_after_a_lost_answer(busy_console, standin, source):
    """The old session is gone, which is what was asked for; no second call may hit the new one."""
    standin.switch("after-disconnection", "same-session")
    standin.switch("return-delay", 0)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    standin.fault("cut-after", "agent-disconnection")

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    old, new = AgentSession.objects.filter(source=source, session_id=session_id).order_by("pk")
    assert (row.state, row.session, new.ended_at) == (State.CONFIRMED, old, None)
    assert len(posts(standin, session_id)) == 1
    assert Disconnection.objects.filter(session=new).count() == 0
    assert_proven(operation, standin)
