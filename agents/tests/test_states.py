"""The table of moves is the law: for the engine, for the database and for what is written down."""

import re
from datetime import timedelta
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.models import Q

from agents.clock import database_now
from agents.models import AgentSession, Attempt, Credential, Disconnection
from agents.outcomes import Verdict, advance
from agents.states import BY_SEVERITY, FINAL, MOVES, OPEN, State, may_become, worst
from agents.tests.make import actions, make_disconnection, make_session, make_source
from audit.actions import Action

#: Design, section 5, copied by hand: a move that is added or lost in the code alone is seen here.
DESIGN = {
    "queued": {"sending", "cancelled", "already_gone", "refused", "failed"},
    "sending": {"accepted", "queued", "confirmed", "already_gone", "refused", "failed", "unknown"},
    "accepted": {"confirmed", "still_connected", "unknown"},
}
DOCS = Path(__file__).parents[2] / "docs" / "webconnect.md"


@pytest.fixture
def session(source):
    return make_session(source)


def test_the_table_is_the_designs():
    ours = {(move.source.value, move.target.value) for move in MOVES}

    assert ours == {(source, target) for source, targets in DESIGN.items() for target in targets}
    assert len(MOVES) == len(ours)


@pytest.mark.parametrize(("source_state", "target"), list(product(State, State)))
def test_it_moves_exactly_as_the_table_says(session, source_state, target):
    row = make_disconnection(session, source_state)
    finished = row.finished_at

    moved = advance([row], Verdict(target, Action.DISCONNECTION_QUEUED, "because"), at=database_now(), still=Q())

    row.refresh_from_db()
    assert bool(moved) == may_become(source_state, target)
    assert row.state == (target if moved else source_state)
    assert len(actions()) == len(moved)
    if not moved:
        assert (row.finished_at, row.explanation) == (finished, "")


def test_no_final_state_can_be_left():
    assert not [move for move in MOVES if move.source in FINAL]
    assert {move.source for move in MOVES} == OPEN


def test_it_gives_up_the_lease_with_the_end(session):
    lease = {"lease_token": uuid4(), "lease_until": database_now(), "resend": True}
    row = make_disconnection(session, State.SENDING, **lease)

    advance([row], Verdict(State.FAILED, Action.DISCONNECTION_FAILED, "x" * 2000), at=database_now(), still=Q())

    row.refresh_from_db()
    assert (row.lease_token, row.lease_until, row.resend) == (None, None, False)
    assert row.finished_at and len(row.explanation) == 1000


def test_it_leaves_what_somebody_quicker_moved(session):
    row = make_disconnection(session)
    Disconnection.objects.update(explanation="other")

    verdict = Verdict(State.CANCELLED, Action.DISCONNECTION_CANCELLED, "")
    assert advance([row], verdict, at=database_now(), still=Q(explanation="")) == []
    assert actions() == []


def refused(**columns):
    with pytest.raises(IntegrityError), transaction.atomic():
        Disconnection.objects.update(**columns)


def test_the_database_refuses_a_second_open_one_of_a_session(session):
    make_disconnection(session, State.ACCEPTED)
    make_disconnection(session, State.CONFIRMED)

    with pytest.raises(IntegrityError), transaction.atomic():
        make_disconnection(session)


def test_the_database_refuses_an_end_without_a_time_and_a_time_without_an_end(session):
    make_disconnection(session)

    refused(state=State.CONFIRMED)
    refused(finished_at=database_now())
    refused(state="on its way")


def test_the_database_refuses_a_lease_on_what_is_not_sending(session):
    make_disconnection(session)

    refused(lease_token=uuid4())


def test_the_database_refuses_attempts_that_contradict_themselves(session):
    row, at = make_disconnection(session, State.SENDING), database_now()
    Attempt.objects.create(disconnection=row, number=1, begun_at=at)

    for wrong in (
        {"ended_at": at},
        {"result": "accepted"},
        {"ended_at": at - timedelta(seconds=1), "result": "accepted"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Attempt.objects.update(**wrong)
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(disconnection=row, number=1, begun_at=at)


def test_the_database_refuses_two_live_sessions_of_one_id_but_keeps_history(session):
    at = database_now()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_session(session.source)

    AgentSession.objects.update(ended_at=at, ended_by="itself")
    make_session(session.source)

    with pytest.raises(IntegrityError), transaction.atomic():
        AgentSession.objects.filter(ended_at=None).update(ended_by="us")


def test_the_database_refuses_a_credential_of_an_unknown_purpose(source):
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.filter(purpose="reading").update(purpose="writing")
    with pytest.raises(IntegrityError), transaction.atomic():
        Credential.objects.update(purpose="reading")


def test_the_worst_of_several_is_what_says_least():
    assert set(BY_SEVERITY) == FINAL
    assert worst([State.CONFIRMED, State.ALREADY_GONE]) == State.ALREADY_GONE
    assert worst([State.UNKNOWN, State.FAILED, State.CONFIRMED]) == State.UNKNOWN
    assert worst([State.CONFIRMED]) == State.CONFIRMED
    with pytest.raises(ValueError):
        worst([])


def test_the_docs_show_the_same_table():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.+) \|$", DOCS.read_text(), re.MULTILINE)

    assert rows == [(move.source.value, move.target.value, move.when) for move in MOVES]


def test_two_sources_may_list_the_same_session_id(source):
    make_session(source)

    assert make_session(make_source("Osaka")).pk
