"""What a reading proves for each open disconnection, and what a deadline ends (design, section 5)."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from agents import outcomes
from agents.clock import database_now
from agents.models import AgentSession, Attempt, Disconnection, Source
from agents.outcomes import Evidence
from agents.readings import read_source
from agents.states import State
from agents.tests.make import FakeRemote, actions, make_disconnection, make_row, make_session, make_source

LOST, NO = Disconnection.Answer.LOST, Disconnection.Answer.NO


@pytest.fixture
def source(db):
    """Read before, so that absence from the next list counts; no settle time."""
    return make_source(settle_seconds=0, read_begun_at=database_now() - timedelta(minutes=5))


@pytest.fixture
def session(source):
    make_session(source, "other")
    return make_session(source)


def outcome(row):
    row.refresh_from_db()
    return row.state


def gone(remote):
    remote.lists("other", "more")


def listed(remote):
    remote.lists("other", "s1")


def closing(remote):
    remote.rows = [make_row("other"), make_row("s1", willBeClosed=True)]


GONE, LISTED, CLOSING = gone, listed, closing


@pytest.mark.parametrize(
    ("state", "columns", "finds", "becomes"),
    [
        (State.QUEUED, {}, GONE, State.ALREADY_GONE),
        (State.QUEUED, {}, LISTED, State.QUEUED),
        (State.QUEUED, {}, CLOSING, State.QUEUED),
        (State.SENDING, {"answer": LOST}, GONE, State.CONFIRMED),
        (State.SENDING, {"answer": LOST, "resend": True}, GONE, State.CONFIRMED),
        (State.SENDING, {"answer": LOST}, CLOSING, State.ACCEPTED),
        (State.SENDING, {"answer": LOST}, LISTED, State.SENDING),
        (State.SENDING, {"answer": LOST, "posts": 3}, LISTED, State.FAILED),
        (State.SENDING, {"answer": LOST, "posts": 3}, CLOSING, State.ACCEPTED),
        (State.SENDING, {"answer": LOST, "posts": 3}, GONE, State.CONFIRMED),
        (State.SENDING, {"answer": NO}, GONE, State.ALREADY_GONE),
        (State.SENDING, {"answer": NO}, LISTED, State.REFUSED),
        (State.SENDING, {"answer": NO}, CLOSING, State.REFUSED),
        (State.ACCEPTED, {}, GONE, State.CONFIRMED),
        (State.ACCEPTED, {}, LISTED, State.ACCEPTED),
        (State.ACCEPTED, {"confirm_by": "past"}, LISTED, State.STILL_CONNECTED),
        (State.ACCEPTED, {"confirm_by": "past"}, CLOSING, State.STILL_CONNECTED),
        (State.ACCEPTED, {"confirm_by": "past"}, GONE, State.CONFIRMED),
        (State.CONFIRMED, {}, LISTED, State.CONFIRMED),
        (State.FAILED, {}, GONE, State.FAILED),
    ],
)
def test_a_decisive_reading_decides(source, session, remote, state, columns, finds, becomes):
    if columns.get("confirm_by"):
        columns = {"confirm_by": database_now() - timedelta(seconds=1)}
    row = make_disconnection(session, state, **columns)
    finds(remote)

    read_source(source.pk)

    assert outcome(row) == becomes
    assert (f"disconnection.{becomes}" in actions()) == (becomes != state)


def test_a_row_on_a_lease_is_nobodys_to_judge(source, session, remote):
    at = database_now()
    row = make_disconnection(session, State.SENDING, lease_token=uuid4(), lease_until=at + timedelta(minutes=1))
    gone(remote)

    read_source(source.pk)

    assert outcome(row) == State.SENDING


@pytest.mark.parametrize(
    ("state", "answer"), [(State.ACCEPTED, ""), (State.SENDING, LOST), (State.SENDING, NO), (State.QUEUED, "")]
)
@pytest.mark.parametrize("finds", [GONE, CLOSING])
def test_a_reading_begun_before_the_attempt_ended_proves_nothing(source, session, remote, state, answer, finds):
    """It ends, or is asked for, while the list is on its way."""
    row = make_disconnection(session, state, answer=answer)
    finds(remote)
    at = "requested_at" if state == State.QUEUED else "attempt_ended_at"
    remote.during = lambda: Disconnection.objects.update(**{at: database_now()})

    read_source(source.pk)
    assert outcome(row) == state

    remote.during = lambda: None
    read_source(source.pk)
    if finds is GONE:
        assert outcome(row) not in (state, State.UNKNOWN)


@pytest.mark.parametrize("finds", [GONE, LISTED])
def test_of_several_answers_two_begun_after_the_attempt_must_agree(source, session, remote, finds):
    row = make_disconnection(session, State.ACCEPTED)
    remote.in_one_answer = False
    finds(remote)

    read_source(source.pk)
    assert outcome(row) == State.ACCEPTED

    read_source(source.pk)
    assert outcome(row) == (State.CONFIRMED if finds is GONE else State.ACCEPTED)


def test_an_absence_seen_before_the_attempt_is_not_one_of_the_two(source, session, remote):
    remote.in_one_answer = False
    gone(remote)
    read_source(source.pk)
    row = make_disconnection(AgentSession.objects.get(pk=session.pk), State.ACCEPTED, attempt_ended_at=database_now())

    read_source(source.pk)
    assert outcome(row) == State.ACCEPTED

    read_source(source.pk)
    assert outcome(row) == State.CONFIRMED


def test_an_incomplete_list_confirms_nothing_but_shows_what_is_still_there(source, session, remote):
    accepted = make_disconnection(session, State.ACCEPTED)
    other = AgentSession.objects.get(session_id="other")
    late = make_disconnection(other, State.ACCEPTED, confirm_by=database_now() - timedelta(seconds=1))
    remote.incomplete = "Too many."
    gone(remote)

    read_source(source.pk)

    assert (outcome(accepted), outcome(late)) == (State.ACCEPTED, State.STILL_CONNECTED)


def test_evidence_of_the_very_moment_of_the_attempt_is_too_early():
    at = timezone.now()
    session = AgentSession(session_id="s1", absent_since=at, ended_at=at)
    evidence = Evidence(at, listed=frozenset({"s2"}), decisive=True, whole=True, previous_begun_at=None)

    assert not evidence.proves_gone(session, at)
    assert evidence.proves_gone(session, at - timedelta(microseconds=1))


def test_an_id_used_again_is_not_the_session_that_was_meant(source, session, remote):
    row = make_disconnection(session, State.ACCEPTED)
    remote.rows = [make_row("other"), make_row("s1", startConnection="2026-07-01 00:00:00.000")]

    read_source(source.pk)

    assert outcome(row) == State.CONFIRMED
    assert AgentSession.objects.get(pk=session.pk).ended_by == "us"


# --- Calling again ------------------------------------------------------------------------------------------------


def resend(row):
    row.refresh_from_db()
    return row.resend


def test_a_lost_answer_is_repeated_only_after_the_settle_time(session, remote):
    source = session.source
    Source.objects.update(settle_seconds=30)
    row = make_disconnection(session, State.SENDING, answer=LOST, attempt_ended_at=database_now())
    listed(remote)

    read_source(source.pk)
    assert not resend(row)

    Disconnection.objects.update(attempt_ended_at=database_now() - timedelta(seconds=31))
    read_source(source.pk)
    assert resend(row) and row.state == State.SENDING


@pytest.mark.parametrize("finds", [GONE, CLOSING])
def test_it_is_not_repeated_for_what_is_gone_or_closing(source, session, remote, finds):
    row = make_disconnection(session, State.SENDING, answer=LOST)
    remote.in_one_answer = False
    finds(remote)

    read_source(source.pk)

    assert not resend(row)


def test_it_is_not_repeated_a_fourth_time_nor_after_a_no(source, session, remote):
    spent = make_disconnection(session, State.SENDING, answer=LOST, posts=3)
    refused = make_disconnection(make_session(source, "s2"), State.SENDING, answer=NO)
    remote.lists("other", "s1", "s2")

    read_source(source.pk)

    assert (outcome(spent), outcome(refused)) == (State.FAILED, State.REFUSED)


# --- What becomes of sessions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "columns", "ended_by"),
    [
        (State.ACCEPTED, {}, "us"),
        (State.SENDING, {"answer": LOST}, "us"),
        (State.SENDING, {"answer": NO}, "itself"),
        (State.QUEUED, {}, "itself"),
        (State.CANCELLED, {}, "itself"),
        (State.STILL_CONNECTED, {"posts": 1}, "us"),
        (State.REFUSED, {"posts": 1, "answer": NO}, "itself"),
    ],
)
def test_a_session_ended_by_us_only_where_an_order_may_have_arrived(source, session, remote, state, columns, ended_by):
    make_disconnection(session, state, **columns)
    gone(remote)

    read_source(source.pk)

    assert AgentSession.objects.get(pk=session.pk).ended_by == ended_by


def test_seen_gone_later_is_noted_once_and_changes_no_outcome(source, session, remote):
    row = make_disconnection(session, State.STILL_CONNECTED, posts=1)
    gone(remote)

    read_source(source.pk)
    read_source(source.pk)

    assert outcome(row) == State.STILL_CONNECTED and row.seen_gone_at
    assert actions(target_kind="disconnection") == ["disconnection.seen_gone"]


def came_back(row):
    row.refresh_from_db()
    return row.came_back_as and row.came_back_as.session_id


@pytest.mark.parametrize("state", [State.ACCEPTED, State.CONFIRMED])
def test_what_a_dying_worker_could_not_note_the_next_reading_notes(source, session, remote, state):
    row = make_disconnection(session, state, attempt_ended_at=database_now() - timedelta(minutes=1))
    late = make_disconnection(make_session(source, "late"), State.STILL_CONNECTED, posts=1)
    make_session(source, "more")
    remote.rows = [make_row("other"), make_row("more"), make_row("s9", agentId="agent-s1", connectionId=["id0", "id1"])]

    with pytest.raises(OperationalError), connection.execute_wrapper(dies_at_its_first_note):
        read_source(source.pk)
    read_source(source.pk)
    read_source(source.pk)

    late.refresh_from_db()
    assert came_back(row) == "s9" and late.seen_gone_at
    assert actions().count("disconnection.came_back") == actions().count("disconnection.seen_gone") == 1


def dies_at_its_first_note(execute, sql, params, many, context):
    if sql.startswith("UPDATE") and '"seen_gone_at" = ' in sql:
        raise OperationalError("The worker is gone.")
    return execute(sql, params, many, context)


@pytest.mark.parametrize("state", [State.ACCEPTED, State.CONFIRMED])
def test_an_agent_that_came_back_is_noted(source, session, remote, state):
    row = make_disconnection(session, state, attempt_ended_at=database_now() - timedelta(minutes=1))
    remote.rows = [make_row("other"), make_row("s9", agentId="agent-s1", connectionId=["id0", "id1"])]

    read_source(source.pk)

    assert came_back(row) == "s9"
    assert actions().count("disconnection.came_back") == 1


@pytest.mark.parametrize(
    "other", [{"agentId": "agent-s2"}, {"direction": "receive"}, {"connectionId": ["id7"]}, {"connectionId": []}]
)
def test_another_agent_direction_or_connection_is_no_return(source, session, remote, other):
    row = make_disconnection(session, State.ACCEPTED)
    remote.rows = [make_row("other"), make_row("s9", **({"agentId": "agent-s1"} | other))]

    read_source(source.pk)

    assert came_back(row) is None


def test_a_session_known_before_the_attempt_is_a_duplicate_not_a_return(source, session, remote):
    make_session(source, "s9", row=make_row("s9", agentId="agent-s1"))
    row = make_disconnection(session, State.ACCEPTED)
    remote.rows = [make_row("other"), make_row("s9", agentId="agent-s1", willBeClosed=True)]

    read_source(source.pk)

    assert outcome(row) == State.CONFIRMED and came_back(row) is None


def test_after_three_hours_it_is_no_return(source, session, remote):
    ended = database_now() - timedelta(hours=3, minutes=1)
    row = make_disconnection(session, State.CONFIRMED, attempt_ended_at=ended)
    remote.rows = [make_row("other"), make_row("s9", agentId="agent-s1")]

    read_source(source.pk)

    assert came_back(row) is None


def test_a_return_among_very_many_new_sessions_is_noticed(source, session, remote):
    row = make_disconnection(session, State.ACCEPTED)
    remote.lists("other", *[f"n{number}" for number in range(600)])
    remote.rows.append(make_row("s9", agentId="agent-s1"))

    read_source(source.pk)

    assert came_back(row) == "s9"


# --- Deadlines ----------------------------------------------------------------------------------------------------


def past(seconds):
    return database_now() - timedelta(seconds=seconds)


def test_an_order_that_could_not_be_sent_in_time_failed_and_says_why(session):
    row = make_disconnection(session, send_by=past(1), explanation="Not sent: the connection was refused.")

    outcomes.expire(database_now())

    assert outcome(row) == State.FAILED and "refused" in row.explanation


def test_a_lease_that_ran_out_is_a_lost_answer_for_a_reading_to_settle(session):
    row = make_disconnection(session, State.SENDING, lease_token=uuid4(), lease_until=past(1), attempt_ended_at=None)
    Attempt.objects.create(disconnection=row, number=1, begun_at=past(60))

    outcomes.expire(database_now())

    assert outcome(row) == State.SENDING
    assert (row.answer, row.lease_token, row.attempt_ended_at) == (LOST, None, row.attempts.get().ended_at)
    assert row.attempts.get().result == "lost"
    assert actions() == ["disconnection.answer_lost"]


def test_a_lease_that_holds_is_left_alone(session):
    lease = {"lease_token": uuid4(), "lease_until": past(-5)}
    row = make_disconnection(session, State.SENDING, attempt_ended_at=None, **lease)

    outcomes.expire(database_now())

    assert row.lease_token and not actions()


@pytest.mark.parametrize(
    ("state", "answer", "becomes"),
    [
        (State.ACCEPTED, "", State.UNKNOWN),
        (State.SENDING, LOST, State.UNKNOWN),
        (State.SENDING, NO, State.REFUSED),
    ],
)
def test_what_no_reading_decided_in_time_ends_unknown_or_as_the_remote_said(session, state, answer, becomes):
    row = make_disconnection(session, state, answer=answer, confirm_by=past(70), confirm_latest=past(-999))

    outcomes.expire(database_now())

    assert outcome(row) == becomes


def test_an_unknown_outcome_says_that_the_list_is_incomplete(session):
    Source.objects.update(incomplete="The remote lists 30,000 sessions.")
    row = make_disconnection(session, State.ACCEPTED, confirm_by=past(70))

    outcomes.expire(database_now())

    assert outcome(row) == State.UNKNOWN and "30,000" in row.explanation


def test_right_after_the_deadline_a_reading_on_its_way_is_waited_for(session):
    row = make_disconnection(session, State.ACCEPTED, confirm_by=past(5))

    outcomes.expire(database_now())

    assert outcome(row) == State.ACCEPTED


@pytest.mark.parametrize("why", ["unreadable", "paused", "blocked"])
def test_while_the_list_cannot_be_read_the_clock_stands_to_a_limit(session, why):
    contract = session.source.contract
    if why == "blocked":
        contract.blocked_until = past(-300)
        contract.save()
    else:
        Source.objects.update(**{{"unreadable": "unreadable_since", "paused": "paused_at"}[why]: past(600)})
    row = make_disconnection(session, State.ACCEPTED, confirm_by=past(600), confirm_latest=past(-1))

    outcomes.expire(database_now())
    assert outcome(row) == State.ACCEPTED

    outcomes.expire(past(-2))
    assert outcome(row) == State.UNKNOWN


def test_a_source_readable_again_gives_the_time_back(source, session, remote):
    Source.objects.update(unreadable_since=past(300))
    row = make_disconnection(session, State.ACCEPTED, attempt_ended_at=past(400), confirm_by=past(280))
    before = row.confirm_by
    listed(remote)

    read_source(source.pk)

    assert outcome(row) == State.ACCEPTED
    assert row.confirm_by - before == pytest.approx(timedelta(seconds=300), abs=timedelta(seconds=10))
    assert Source.objects.get().unreadable_since is None and "source.readable" in actions()


def test_time_before_the_attempt_ended_is_not_given_and_never_more_than_the_limit(source, session, remote):
    Source.objects.update(unreadable_since=past(7200))
    recent = make_disconnection(session, State.ACCEPTED, attempt_ended_at=past(10), confirm_by=past(-110))
    other = AgentSession.objects.get(session_id="other")
    old = make_disconnection(other, State.ACCEPTED, attempt_ended_at=past(9000), confirm_by=past(8880))
    Disconnection.objects.filter(pk=old.pk).update(confirm_latest=past(2000))
    before = recent.confirm_by
    listed(remote)

    read_source(source.pk)

    outcome(recent), outcome(old)
    assert timedelta(seconds=9) < recent.confirm_by - before < timedelta(seconds=30)
    assert old.confirm_by == old.confirm_latest


def test_deadlines_are_extended_before_anybody_sees_the_source_readable(source, session, monkeypatch):
    """In one transaction: a sweep in between would end the row as unknown."""
    Source.objects.update(unreadable_since=past(600))
    make_disconnection(session, State.ACCEPTED, attempt_ended_at=past(900), confirm_by=past(590))
    FakeRemote(monkeypatch).lists("other", "s1")
    seen = []
    extend = outcomes.extend_deadlines

    def look(*args):
        from django.db import connection

        seen.append(connection.atomic_blocks[-1].durable)
        extend(*args)

    monkeypatch.setattr(outcomes, "extend_deadlines", look)
    read_source(source.pk)

    assert seen == [True]
