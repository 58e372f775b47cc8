"""Readings: the sessions follow the list, and only what changed is written."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import readings
from agents.clock import database_now
from agents.kinds import NotUnderstood, ReadRateLimited, ReadRejected, Unreachable
from agents.models import AgentSession, Contract, Credential, Disconnection, Reading, Source
from agents.readings import due, read_source
from agents.states import State
from agents.tests.make import FakeRemote, actions, make_disconnection, make_row, make_session, make_source
from agents.webconnect.standin.hostile import hostile_rows


def sessions():
    return {each.session_id: each for each in AgentSession.objects.live()}


def test_new_sessions_are_kept_as_the_list_gives_them(source, remote):
    remote.lists("s1")

    reading = read_source(source.pk)

    session = sessions()["s1"]
    assert (reading.outcome, reading.listed, reading.new) == ("complete", 1, 1)
    assert (session.agent_id, session.endpoint) == ("agent-s1", "tokyo-service1.webconnect.hulft.com")
    assert session.started_text == "2026-06-30 14:22:00.942" and session.connections == "id1"
    assert session.received == make_row("s1") and session.version_number


def test_a_changed_row_is_written_and_keeps_when_it_began_to_close(source, remote):
    remote.lists("s1")
    read_source(source.pk)
    remote.lists("s1", willBeClosed=True)
    first = read_source(source.pk)
    remote.lists("s1", willBeClosed=True, connectionId=["id1", "id2"])
    second = read_source(source.pk)

    session = sessions()["s1"]
    assert (first.changed, second.changed, first.new) == (1, 1, 0)
    assert session.closing and session.closing_since == first.begun_at
    assert session.connection_ids == ["id1", "id2"]

    remote.lists("s1")
    read_source(source.pk)
    assert not sessions()["s1"].closing and sessions()["s1"].closing_since is None


def test_unchanged_rows_are_not_written(source, remote):
    remote.lists(*[f"s{number}" for number in range(500)])
    read_source(source.pk)

    with CaptureQueriesContext(connection) as queries:
        reading = read_source(source.pk)

    writes = [each["sql"] for each in queries if "agents_agentsession" in each["sql"]]
    assert not [sql for sql in writes if sql.startswith(('UPDATE "agents_agents', 'INSERT INTO "agents_agents'))]
    assert len(queries) < 30 and (reading.new, reading.changed, reading.gone) == (0, 0, 0)


def test_a_change_of_a_property_that_nobody_knows_is_a_change(source, remote):
    remote.lists("s1")
    read_source(source.pk)
    remote.lists("s1", tomorrow={"a": 1})

    assert read_source(source.pk).changed == 1
    assert sessions()["s1"].received["tomorrow"] == {"a": 1}


def test_the_order_of_properties_is_no_change(source, remote):
    remote.lists("s1")
    read_source(source.pk)
    remote.rows = [dict(reversed(make_row("s1").items()))]

    assert read_source(source.pk).changed == 0


def test_hostile_rows_are_kept_harmlessly(source, remote):
    odd = [row for row in hostile_rows() if isinstance(row, dict) and isinstance(row.get("sessionId"), str)]
    deep = {"a": 1}
    for _ in range(400):
        deep = {"deep": [deep]}
    odd += [
        make_row("nan", extra=float("nan"), more=float("inf"), agentVersion=float("-inf")),
        make_row("deep", extra=deep, agentId=deep),
        make_row("long", extra="x" * 1_000_000, connectionId=["y" * 10_000] * 10_000),
        make_row("big", extra=10**300, agentVersion=10**40),
        make_row("null", **{"a\x00b\ud800": "c\x00d\udfff", "agentId": "e\x00f\ud800"}),
        make_row("truth", agentId=True, direction={}, endpoint=[], startConnection=True, connectionId={"a": 1}),
    ]
    remote.rows = [row for row in odd if 0 < len(row["sessionId"]) <= 255]

    reading = read_source(source.pk)

    assert reading.outcome == "complete" and reading.new == len({row["sessionId"] for row in remote.rows})
    assert read_source(source.pk).changed == 0
    kept = sessions()
    assert "\x00" not in kept["null"].agent_id and kept["nan"].received["extra"] == "nan"
    assert len(str(kept["deep"].received)) < 1000 and len(str(kept["long"].received)) < 500_000
    assert len(kept["long"].connections) == 1000


def test_a_failure_of_the_console_itself_is_a_failed_reading(source, remote, caplog):
    remote.failure = ZeroDivisionError("nobody foresaw this")

    reading = read_source(source.pk)

    assert reading.outcome == "not_understood" and "see its log" in reading.note
    assert "nobody foresaw" in caplog.text and Source.objects.get().reading_token is None


# --- One at a time ------------------------------------------------------------------------------------------------


def test_a_source_that_is_being_read_or_paused_is_not_read(source, remote):
    Source.objects.update(reading_token=uuid4(), reading_until=database_now() + timedelta(seconds=30))
    assert read_source(source.pk) is None

    Source.objects.update(reading_token=None, reading_until=None, paused_at=database_now())
    assert read_source(source.pk) is None
    assert remote.reads == 0


def test_a_reader_that_died_holds_nobody_up_for_longer_than_its_lease(source, remote):
    Source.objects.update(reading_token=uuid4(), reading_until=database_now() - timedelta(seconds=1))

    assert read_source(source.pk).outcome == "complete"


def test_a_reader_that_lost_its_lease_keeps_nothing(source, remote):
    remote.lists("s1")
    other = uuid4()
    remote.during = lambda: Source.objects.update(reading_token=other)

    assert read_source(source.pk) is None

    assert not AgentSession.objects.exists() and not Reading.objects.exists()
    assert Source.objects.get().reading_token == other and Source.objects.get().read_at is None


def test_a_reader_that_lost_its_lease_and_then_fails_records_nothing(source, remote):
    remote.failure = Unreachable("gone")
    remote.during = lambda: Source.objects.update(reading_token=uuid4())

    assert read_source(source.pk) is None
    assert not Reading.objects.exists() and Source.objects.get().failures == 0


def test_of_two_readers_at_once_one_reads(committed_db, monkeypatch):
    source, remote = make_source(), FakeRemote(monkeypatch)
    reading, done = threading.Event(), threading.Event()

    def during():
        reading.set()
        done.wait(20)

    remote.during = during

    def second():
        reading.wait(20)
        try:
            return read_source(source.pk)
        finally:
            done.set()

    first, other = committed_db.in_threads(lambda: read_source(source.pk), second)

    assert first.outcome == "complete" and other is None
    assert remote.reads == 1


# --- Slots --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sleeps(monkeypatch):
    """What the reader slept, instead of sleeping; the contract's slots come free meanwhile."""
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        for contract in Contract.objects.all():
            moved = {"next_at": contract.next_at - seconds, "next_reading_at": contract.next_reading_at - seconds}
            Contract.objects.filter(pk=contract.pk).update(**moved)

    monkeypatch.setattr(readings, "sleep", sleep)
    return slept


@pytest.mark.parametrize("n", [1, 2, 4, 10])
def test_a_reading_of_many_pages_waits_for_its_slots_and_is_not_taken_for_refused(db, remote, sleeps, n):
    source = make_source(requests_per_minute=n)
    remote.calls = 4

    reading = read_source(source.pk)

    assert reading.outcome == "complete"
    assert sum(sleeps) == pytest.approx(3 * 60 / (0.96 * n), rel=0.05)
    assert max(sleeps) <= 20, "the lease is renewed meanwhile"
    assert Contract.objects.get().blocked_until is None


def test_a_reading_begun_as_polling_becomes_urgent_when_an_outcome_waits(db, remote, sleeps):
    """Else one of many pages that began before a bulk order would starve behind it."""
    source = make_source(requests_per_minute=100)
    session = make_session(source)
    asked = []
    take = readings.pacer.take_for_reading

    def noting(contract, *, purpose, posts_wait):
        asked.append(purpose.name)
        if len(asked) == 1:
            make_disconnection(session, State.ACCEPTED)
        return take(contract, purpose=purpose, posts_wait=posts_wait)

    remote.calls = 2
    readings.pacer.take_for_reading, restore = noting, take
    try:
        read_source(source.pk)
    finally:
        readings.pacer.take_for_reading = restore

    assert asked[0] == "POLLING" and set(asked[1:]) == {"CONFIRMING"}


def test_a_refused_contract_is_not_called(db, remote):
    source = make_source(requests_per_minute=100)
    until = database_now() + timedelta(seconds=300)
    Contract.objects.update(blocked_until=until)

    reading = read_source(source.pk)

    assert reading.outcome == "rate_limited"
    assert abs(Contract.objects.get().blocked_until - until) < timedelta(seconds=1)
    assert due(database_now()) == []


# --- Failures -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (Unreachable("down"), "unreachable"),
        (NotUnderstood("html"), "not_understood"),
        (ReadRejected("401"), "rejected"),
        (ReadRateLimited("429", until=timezone.now() + timedelta(seconds=60)), "rate_limited"),
    ],
)
def test_a_failure_is_on_record_and_ends_no_session(source, remote, failure, outcome):
    remote.lists("s1")
    read_source(source.pk)
    remote.failure = failure

    reading = read_source(source.pk)

    source.refresh_from_db()
    assert (reading.outcome, source.failures, source.failure) == (outcome, 1, str(failure))
    assert source.unreadable_since == reading.begun_at and source.reading_token is None
    assert "s1" in sessions() and "source.unreachable" in actions()


def test_pauses_between_failures_grow_to_a_limit(source, remote):
    remote.failure = Unreachable("down")
    pauses = []
    for _ in range(6):
        at = database_now()
        read_source(source.pk)
        pauses.append((Source.objects.get().next_reading_at - at).total_seconds())

    assert pauses[0] < 13 and pauses[1] > pauses[0] and pauses[2] > 30
    assert max(pauses) < 75
    assert actions().count("source.unreachable") == 1


def test_a_rejected_credential_stops_polling_until_it_is_replaced(source, remote):
    remote.failure = ReadRejected("status 401")
    read_source(source.pk)
    Source.objects.update(next_reading_at=None)

    assert due(database_now()) == []
    assert Credential.objects.get(purpose="reading").rejected_at
    assert Credential.objects.get(purpose="disconnecting").rejected_at is None
    assert actions().count("credential.rejected") == 1

    Credential.objects.update(rejected_at=None)
    assert due(database_now()) == [source.pk]


def test_a_rejected_disconnecting_credential_does_not_stop_polling(source, remote):
    Credential.objects.filter(purpose="disconnecting").update(rejected_at=database_now())

    assert due(database_now()) == [source.pk]


def test_429_stops_every_source_of_the_contract(db, remote):
    source = make_source(requests_per_minute=100)
    other = make_source("Osaka", contract=source.contract)
    until = database_now() + timedelta(seconds=60)
    remote.failure = ReadRateLimited("429", until=until)

    read_source(source.pk)

    assert Contract.objects.get(name="Tokyo").blocked_until == until
    assert other.pk not in due(database_now())
    other.refresh_from_db()
    assert other.unreadable_since and actions().count("source.rate_limited") == 1


def test_the_first_reading_that_works_again_says_so(source, remote):
    remote.failure = Unreachable("down")
    read_source(source.pk)
    remote.failure = None

    read_source(source.pk)

    source.refresh_from_db()
    assert (source.failures, source.failure, source.unreadable_since) == (0, "", None)
    assert actions() == ["source.unreachable", "source.readable"]


# --- When the next one is due -------------------------------------------------------------------------------------


def next_in():
    return (Source.objects.get().next_reading_at - database_now()).total_seconds()


def test_it_polls_at_the_sources_interval(source, remote):
    read_source(source.pk)

    assert 8 < next_in() <= 10 and due(database_now()) == []


@pytest.mark.parametrize(("waited", "soonest", "latest"), [(0, 0, 1.1), (10, 3, 5.5), (60, 8, 10)])
def test_it_reads_promptly_for_what_waits_then_less_often(source, remote, waited, soonest, latest):
    ended = database_now() - timedelta(seconds=waited)
    make_disconnection(make_session(source), State.ACCEPTED, attempt_ended_at=ended)
    remote.lists("s1")

    read_source(source.pk)

    assert soonest - 0.5 <= next_in() <= latest


@pytest.mark.parametrize("n", [1, 5])
def test_at_a_small_allowance_it_still_reads_before_the_time_to_confirm_is_over(db, remote, n):
    source = make_source(requests_per_minute=n, polling_seconds=600)
    now = database_now()
    make_disconnection(make_session(source), State.ACCEPTED, attempt_ended_at=now)
    make_disconnection(make_session(source, "s2"))
    remote.lists("s1", "s2")

    read_source(source.pk)

    assert next_in() <= source.confirm_seconds / 2


def test_a_wish_for_an_earlier_one_made_meanwhile_is_kept(source, remote):
    Source.objects.update(next_reading_at=database_now())
    wish = []

    def during():
        wish.append(database_now() + timedelta(seconds=1))
        Source.objects.update(next_reading_at=wish[0])

    remote.during = during
    read_source(source.pk)

    assert Source.objects.get().next_reading_at == wish[0]


def test_old_records_of_readings_are_pruned_and_sessions_are_not(source, remote):
    remote.lists("s1")
    read_source(source.pk)
    Reading.objects.update(ended_at=database_now() - timedelta(days=2))
    read_source(source.pk)

    assert readings.prune(database_now()) == 1
    assert Reading.objects.count() == 1 and "s1" in sessions() and not Disconnection.objects.exists()
