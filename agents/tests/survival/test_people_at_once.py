"""Several people, or one who clicks twice: one session is one disconnection and one call."""

from functools import partial
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model

from agents.models import Disconnection, Operation
from agents.readings import read_source
from agents.services import AlreadyOpen, cancel_disconnection, request_disconnection
from agents.sources import pause_source, resume_source
from agents.states import State
from agents.tests.survival.harness import (
    assert_proven,
    finished,
    make_operator,
    posts,
    reread,
    row_of,
    story,
    wait_for,
)
from apikeys.actors import command_line_actor, person_actor
from audit.models import Event


def click(person, session, token=None):
    """What the button does for this person; the operation, or what stood in the way."""
    try:
        return request_disconnection(
            sessions=[session],
            reason=f"asked by {person.username}",
            actor=person_actor(person),
            token=token or uuid4(),
            person_id=person.pk,
        )
    except AlreadyOpen as open_already:
        return open_already


def test_two_administrators_at_once(console, standin, committed_db):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    alice, bob, carol = make_operator("alice"), make_operator("bob"), make_operator("carol")
    read_source(source.pk)
    session = console.session(source, session_id)

    results = committed_db.in_threads(*(partial(click, person, session) for person in (alice, bob, carol)))
    with console.running_worker():
        [operation] = [each for each in results if isinstance(each, Operation)]
        [row] = finished(operation)

    others = [each for each in results if isinstance(each, AlreadyOpen)]
    assert Disconnection.objects.count() == 1
    assert [each.existing.pk for each in others] == [row.pk] * 2
    assert len(posts(standin, session_id)) == 1
    assert sorted(story(operation)) == sorted(
        ["requested", "queued", "already_open", "already_open", "sent", "accepted", "confirmed"]
    )
    told = Event.objects.filter(action="disconnection.already_open")
    assert {each.actor_label for each in told} == {"alice", "bob", "carol"} - {operation.actor_label}
    assert_proven(operation, standin)


def test_one_form_sent_twice_at_once(console, standin, committed_db):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    alice, token = make_operator("alice"), uuid4()
    read_source(source.pk)
    session = console.session(source, session_id)

    first, second, third = committed_db.in_threads(*[partial(click, alice, session, token)] * 3)
    with console.running_worker():
        [row] = finished(first)

    assert first == second == third
    assert (row.state, len(posts(standin, session_id))) == (State.CONFIRMED, 1)
    assert story(first) == ["requested", "queued", "sent", "accepted", "confirmed"]
    assert_proven(first, standin)


def test_two_of_many_that_overlap(console, standin, committed_db):
    """Each session goes to the one or the other operation, and to no other."""
    source = console.add_source(standin)
    session_ids = standin.add_sessions(30, agentVersion="3.1.0")
    read_source(source.pk)

    first, second = committed_db.in_threads(
        partial(console.disconnect, source, *session_ids[:20]), partial(console.disconnect, source, *session_ids[10:])
    )
    with console.running_worker():
        rows = finished(first) + finished(second)

    assert sorted(row.session_id_then for row in rows) == sorted(session_ids)
    assert {row.state for row in rows} == {State.CONFIRMED}
    assert {len(posts(standin, each)) for each in session_ids} == {1}
    assert_proven(first, standin)
    assert_proven(second, standin)


def test_cancelled_while_a_worker_takes_it(console, standin, committed_db):
    """Either it is cancelled and nothing was sent, or it was sent and can't be cancelled."""
    source = console.add_source(standin)
    session_ids = standin.add_sessions(8, agentVersion="3.1.0")
    read_source(source.pk)

    with console.running_worker():
        for session_id in session_ids:
            operation = console.disconnect(source, session_id)
            cancelled = cancel_disconnection(disconnection=row_of(operation), actor=command_line_actor())
            [row] = finished(operation)
            assert row.state == (State.CANCELLED if cancelled else State.CONFIRMED)
            assert len(posts(standin, session_id)) == (0 if cancelled else 1)
            assert_proven(operation, standin)


def test_a_paused_source_waits_and_a_resumed_one_sends(console, standin):
    source, other = (console.add_source(standin, contract="both") for _ in range(2))
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    read_source(source.pk)
    operation = console.disconnect(source, session_id)
    pause_source(source=source, actor=command_line_actor())

    with console.running_worker():
        reread(other)  # So the worker has looked for what is due.
        assert row_of(operation).state == State.QUEUED
        assert posts(standin, session_id) == []
        resume_source(source=source, actor=command_line_actor())
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


@pytest.mark.parametrize("loss", ["the role", "the account"])
def test_a_right_that_is_lost_between_click_and_call(console, standin, loss):
    source = console.add_source(standin)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    alice = make_operator("alice")
    read_source(source.pk)
    operation = click(alice, console.session(source, session_id))

    take_right(alice, loss)
    with console.running_worker():
        [row] = finished(operation)

    assert row.state == State.REFUSED
    assert "alice no longer has the right" in row.explanation
    assert story(operation) == ["requested", "queued", "refused"]
    assert posts(standin, session_id) == []
    assert_proven(operation, standin)


@pytest.mark.parametrize("loss", ["the role", "the account"])
def test_a_right_that_is_lost_while_many_are_sent(console, standin, loss):
    """Ten a second: whoever is deactivated in the middle of it has the rest refused."""
    source = console.add_source(standin, requests_per_minute=600)
    session_ids = standin.add_sessions(60, agentVersion="3.1.0")
    alice = make_operator("alice")
    read_source(source.pk)

    with console.running_worker():
        operation = console.disconnect(source, *session_ids, actor=person_actor(alice), person_id=alice.pk)
        wait_for(standin.disconnections)
        take_right(alice, loss)
        rows = finished(operation)

    states = {state: [row for row in rows if row.state == state] for state in {row.state for row in rows}}
    assert set(states) == {State.CONFIRMED, State.REFUSED}
    assert len(standin.disconnections()) == len(states[State.CONFIRMED]) < 40
    assert_proven(operation, standin)


def test_a_right_that_is_lost_before_a_call_is_made_again(console, standin):
    source = console.add_source(standin, settle_seconds=1)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    alice = make_operator("alice")

    with console.running_worker():
        session = console.session(source, session_id)
        standin.fault("cut-before", "agent-disconnection")
        operation = click(alice, session)
        wait_for(lambda: "answer_lost" in story(operation))
        take_right(alice, "the account")
        [row] = finished(operation)

    assert row.state == State.FAILED
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def take_right(person, loss):
    if loss == "the role":
        person.groups.clear()
    else:
        get_user_model().objects.filter(pk=person.pk).update(is_active=False)
