"""Ordering disconnections and taking them back, whoever asks."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import ValidationError
from django.template import Context, Template
from django.utils import timezone

from agents import services
from agents.clock import database_now
from agents.models import AgentSession, Contract, Disconnection, Operation, Source
from agents.services import AlreadyOpen, NotOffered, cancel_disconnection, request_disconnection
from agents.states import State
from agents.tests.make import ALICE, VIEWER, actions, make_disconnection, make_row, make_session, make_source
from apikeys.rights import NotAllowed
from audit.models import Event


@pytest.fixture
def session(source):
    return make_session(source)


def request(*sessions, reason="upkeep", actor=ALICE, token=None):
    return request_disconnection(sessions=sessions, reason=reason, actor=actor, token=token or uuid4())


def test_it_records_row_operation_and_story_at_once(session):
    operation = request(session)

    row = operation.disconnections.get()
    assert (row.state, row.session_id_then, row.endpoint_then) == ("queued", "s1", session.endpoint)
    assert (row.agent_id_then, row.started_then) == (session.agent_id, session.started_text)
    assert (operation.reason, operation.actor_label, operation.size) == ("upkeep", "alice", 1)
    assert actions(operation=operation.pk) == ["operation.requested", "disconnection.queued"]


# --- The reason ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", "   ", "\n\t", "\x00\x1b", "\u200b\u202e", "\u3000"])
def test_a_blank_reason_is_refused(session, reason):
    with pytest.raises(ValidationError, match="Give a reason"):
        request(session, reason=reason)
    assert not Operation.objects.exists() and actions() == []


def test_500_characters_are_the_most(session):
    assert request(session, reason="x" * 500).reason == "x" * 500
    with pytest.raises(ValidationError, match="501 characters"):
        services.clean_reason("x" * 501)


def test_control_characters_go_and_line_breaks_stay():
    assert services.clean_reason(" a\x00b\x1b[31m\r\nc\td\x7f\x85\ud800 ") == "ab[31m\nc\td"


@pytest.mark.parametrize(
    "reason", ["障害\u3000対応", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "👩\u200d🔧", "a\u00a0b"]
)
def test_marks_that_scripts_need_are_kept(reason):
    assert services.clean_reason(reason) == reason


def test_an_override_of_direction_is_kept_and_shown_harmlessly(session):
    operation = request(session, reason="invoice\u202egnp.exe <b>")

    assert operation.reason == "invoice\u202egnp.exe <b>"
    shown = Template("{% load harmless %}{{ text|harmless }}").render(Context({"text": operation.reason}))
    assert "\u202e" not in shown and "<b>" not in shown


# --- The right ----------------------------------------------------------------------------------------------------


def test_without_the_right_nothing_is_ordered_and_it_is_on_record(session):
    with pytest.raises(NotAllowed, match="victor may not disconnect"):
        request(session, actor=VIEWER, reason="")

    assert not Operation.objects.exists()
    event = Event.objects.get()
    assert (event.action, event.actor_label, event.target_label) == (
        "disconnection.not_allowed",
        "victor",
        "agent-s1 (s1)",
    )


def test_cancelling_needs_the_right_too(session):
    row = make_disconnection(session)

    with pytest.raises(NotAllowed):
        cancel_disconnection(disconnection=row, actor=VIEWER)
    assert cancel_disconnection(disconnection=row, actor=ALICE)
    row.refresh_from_db()
    assert row.state == "cancelled" and "alice" in row.explanation


@pytest.mark.parametrize("state", [State.SENDING, State.ACCEPTED, State.CONFIRMED])
def test_what_was_sent_cannot_be_taken_back(session, state):
    row = make_disconnection(session, state)

    assert not cancel_disconnection(disconnection=row, actor=ALICE)
    row.refresh_from_db()
    assert row.state == state


# --- What is not offered ------------------------------------------------------------------------------------------


def blocked(source):
    Contract.objects.update(blocked_until=database_now() + timedelta(minutes=5))


def paused(source):
    Source.objects.update(paused_at=database_now())


@pytest.mark.parametrize(
    ("row", "columns", "prepare", "words"),
    [
        ({}, {"ended_at": timezone.now(), "ended_by": "itself"}, None, "has ended"),
        ({}, {}, paused, "Tokyo is paused"),
        ({}, {}, blocked, "rate limit refuses every request until"),
        ({"willBeClosed": True}, {"closing_since": timezone.now()}, None, "will be closed already"),
        ({"agentVersion": "1.1.9"}, {}, None, "below version 1.2.0.*1.1.9"),
        ({"supportingDisconnectApi": False}, {}, None, "supportingDisconnectApi"),
        ({"endpoint": ""}, {}, None, "no endpoint"),
    ],
)
def test_it_says_why_it_is_not_offered(source, row, columns, prepare, words):
    session = make_session(source, row=make_row("s1", **row), **columns)
    if prepare:
        prepare(source)

    with pytest.raises(NotOffered, match=words):
        request(AgentSession.objects.get(pk=session.pk))
    assert not Disconnection.objects.exists()


def test_closing_may_be_asked_for_again_after_the_time_to_confirm(source):
    old = make_session(source, row=make_row("s1", willBeClosed=True), closing_since=database_now() - timedelta(hours=1))
    ours = make_session(source, "s2", row=make_row("s2", willBeClosed=True), closing_since=database_now())
    make_disconnection(ours, State.STILL_CONNECTED)

    assert request(old, ours).size == 2


def test_a_stale_list_is_no_reason(source, session):
    Source.objects.update(read_at=database_now() - timedelta(days=1), unreadable_since=database_now())

    assert request(AgentSession.objects.get(pk=session.pk)).size == 1


def test_no_session_is_no_order(db):
    with pytest.raises(NotOffered):
        request()


# --- Twice --------------------------------------------------------------------------------------------------------


def test_a_session_that_is_being_disconnected_gets_no_second_row(session):
    first = request(session)

    with pytest.raises(AlreadyOpen, match="agent-s1 is already being disconnected by alice") as caught:
        request(session)

    assert caught.value.existing.operation == first
    assert Operation.objects.count() == Disconnection.objects.count() == 1
    assert actions(operation=first.pk)[-1] == "disconnection.already_open"


def test_the_same_form_twice_is_one_operation(session):
    token = uuid4()

    assert request(session, token=token) == request(session, token=token)
    assert Disconnection.objects.count() == 1 and actions().count("operation.requested") == 1


def test_of_the_same_form_and_of_two_people_at_once_one_gets_through(committed_db):
    session, token = make_session(make_source()), uuid4()

    def same():
        return request(AgentSession.objects.select_related("source__contract").get(), token=token)

    def other():
        try:
            return request(AgentSession.objects.select_related("source__contract").get())
        except AlreadyOpen as error:
            return error

    operations = committed_db.in_threads(same, same)
    assert operations[0] == operations[1] and session.disconnections.count() == 1

    cancel_disconnection(disconnection=Disconnection.objects.get(), actor=ALICE)
    results = committed_db.in_threads(*[other] * 4)
    assert sorted(type(each).__name__ for each in results) == ["AlreadyOpen"] * 3 + ["Operation"]
    assert Disconnection.objects.open().count() == 1


# --- Many ---------------------------------------------------------------------------------------------------------


def test_many_have_as_much_longer_as_their_allowance_takes(db):
    source = make_source(requests_per_minute=96)
    sessions = [make_session(source, f"s{number}") for number in range(100)]
    at = database_now()

    operation = request(*sessions)

    late = operation.disconnections.values_list("send_by", flat=True).distinct().get() - at
    expected = timedelta(minutes=15, seconds=100 * 60 / (0.96 * 96))
    assert abs(late - expected) < timedelta(seconds=5) and operation.size == 100


def test_those_that_cannot_be_are_refused_in_the_same_operation_and_never_due(source, session, monkeypatch):
    old = make_session(source, "s2", row=make_row("s2", agentVersion="1.0.0"))
    seen = []
    advance = services.outcomes.advance

    def before(*args, **kwargs):
        seen.extend(Disconnection.objects.due(database_now()).values_list("session_id_then", flat=True))
        return advance(*args, **kwargs)

    monkeypatch.setattr(services.outcomes, "advance", before)
    operation = request(session, old)

    states = dict(operation.disconnections.values_list("session_id_then", "state"))
    assert states == {"s1": "queued", "s2": "refused"} and operation.size == 2
    assert seen == ["s1"], "a worker may look before the refusal is written"
    assert "1.0.0" in operation.disconnections.get(session=old).explanation


def test_those_that_are_open_already_are_left_out_and_said(source, session):
    first = request(session)
    second = request(session, make_session(source, "s2"))

    assert second.size == 1 and second.disconnections.get().session_id_then == "s2"
    assert actions(operation=second.pk).count("disconnection.already_open") == 1
    assert first.disconnections.get().state == "queued"


def test_one_session_given_twice_is_one(session):
    assert request(session, session).size == 1


# --- The nudge ----------------------------------------------------------------------------------------------------


def test_a_nudge_that_fails_leaves_the_order_on_record(committed_db, monkeypatch, caplog):
    def fail(operation_id):
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr(services, "nudge", fail)

    operation = request(make_session(make_source()))

    assert Disconnection.objects.get().operation == operation and "nobody foresaw" in caplog.text
