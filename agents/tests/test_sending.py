"""Claim, call, write: what each answer does to a row, and that nobody sends what is not theirs."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db.models import Q
from django.utils import timezone

from agents import sending
from agents.clock import database_now
from agents.kinds import Accepted, AnswerLost, CredentialRejected, NotArrived, RateLimited, Refused
from agents.models import AgentSession, Attempt, Contract, Credential, Disconnection, Source
from agents.sending import _call, _Result, back_off, claim, due_operations, send_operation, write_results
from agents.states import State
from agents.tests.make import FakeRemote, actions, make_disconnection, make_operation, make_session, make_source
from agents.webconnect import client
from console.tests.factory import make_person


@pytest.fixture
def source(db):
    return make_source(read_at=database_now())


class Posts:
    """Plays the remote's answer to each POST."""

    def __init__(self, monkeypatch):
        self.answers, self.sent, self.asks = [Accepted(200)], [], []
        self.lock = threading.Lock()
        monkeypatch.setattr(client, "disconnect", self._disconnect)

    def _disconnect(self, remote, secret, session_id, endpoint, *, still_ours):
        with self.lock:
            self.asks.append(still_ours)
            if not still_ours():
                return NotArrived("too late")
            self.sent.append((session_id, endpoint, secret.value))
            return self.answers[min(len(self.sent), len(self.answers)) - 1]


@pytest.fixture
def posts(monkeypatch):
    return Posts(monkeypatch)


def order(source, *session_ids, **overrides):
    """A queued disconnection of each; the first."""
    operation = make_operation(size=len(session_ids), **overrides)
    rows = [make_disconnection(make_session(source, each), operation=operation) for each in session_ids]
    return rows[0]


def send(row):
    send_operation(row.operation_id)
    row.refresh_from_db()
    return row


# --- What each answer does ----------------------------------------------------------------------------------------


def test_it_claims_posts_and_writes_what_came_back(source, posts):
    row = send(order(source, "s1"))

    assert posts.sent == [("s1", row.endpoint_then, "k3y-of-the-contract-0123456789")]
    assert (row.state, row.posts, row.tries, row.lease_token) == ("accepted", 1, 1, None)
    assert row.accepted_at == row.attempt_ended_at and row.confirm_by == row.accepted_at + timedelta(minutes=2)
    attempt = row.attempts.get()
    assert (attempt.number, attempt.result, attempt.status) == (1, "accepted", 200)
    assert actions() == ["disconnection.sent", "disconnection.accepted"]


def test_an_answer_of_no_and_a_lost_one_wait_for_a_reading(source, posts):
    posts.answers = [Refused(400, "E1", "unknown session"), AnswerLost("status 500", 500)]
    no, lost = send(order(source, "s1")), send(order(source, "s2"))

    assert (no.state, no.answer, lost.state, lost.answer) == ("sending", "no", "sending", "lost")
    assert "E1 unknown session" in no.explanation and "status 500" in lost.explanation
    assert not no.lease_token and no.attempt_ended_at and no.confirm_by
    assert len(posts.sent) == 2, "neither is sent again before a reading"
    source.refresh_from_db()
    assert source.next_reading_at is None or source.next_reading_at <= database_now() + source.settle


def test_what_never_arrived_is_queued_again_and_no_attempt_counts(source, posts):
    posts.answers = [NotArrived("the connection was refused")]

    row = send(order(source, "s1"))

    assert (row.state, row.posts, row.tries, row.attempt_ended_at) == ("queued", 0, 1, None)
    assert row.not_before > database_now() and "refused" in row.explanation
    assert row.attempts.get().result == "not_arrived"
    assert actions()[-1] == "disconnection.requeued"


def test_where_an_earlier_attempt_may_have_arrived_it_stays_sending(source, posts):
    row = order(source, "s1")
    earlier = database_now() - timedelta(minutes=1)
    columns = {"state": State.SENDING, "answer": "lost", "resend": True, "posts": 1, "tries": 1}
    Disconnection.objects.update(**columns, attempt_ended_at=earlier)
    Attempt.objects.create(disconnection=row, number=1, begun_at=earlier, ended_at=earlier, result="lost")
    posts.answers = [NotArrived("the connection was refused")]

    send(row)

    assert (row.state, row.answer, row.resend, row.posts, row.tries) == ("sending", "lost", True, 1, 2)
    assert row.attempt_ended_at == earlier


def test_a_second_attempt_that_is_accepted_counts_from_its_own_end(source, posts):
    """Readings between the two attempts prove nothing of the second."""
    row = order(source, "s1")
    earlier = database_now() - timedelta(minutes=1)
    columns = {"state": State.SENDING, "answer": "lost", "resend": True, "posts": 1, "tries": 1}
    Disconnection.objects.update(**columns, attempt_ended_at=earlier)

    send(row)

    assert row.state == "accepted" and row.attempt_ended_at == row.accepted_at > earlier


def test_a_429_stops_the_contract_and_the_row_waits_until_it_is_over(db, posts):
    source = make_source(requests_per_minute=100, read_at=database_now())
    until = database_now() + timedelta(seconds=500)
    posts.answers = [RateLimited(until, 429)]

    row = send(order(source, "s1"))

    assert (row.state, row.posts, row.not_before) == ("queued", 0, until)
    assert Contract.objects.get().blocked_until == until and due_operations(database_now()) == []
    assert row.attempts.get().result == "rate_limited" and "source.rate_limited" in actions()


def test_a_401_stops_sending_until_the_credential_is_replaced(source, posts):
    posts.answers = [CredentialRejected(401, "", "expired")]
    row = send(order(source, "s1"))
    second = order(source, "s2")

    assert row.state == "queued" and Credential.objects.get(purpose="disconnecting").rejected_at
    assert Credential.objects.get(purpose="reading").rejected_at is None
    assert due_operations(database_now() + timedelta(hours=1)) == [] and send(second).state == "queued"
    assert len(posts.sent) == 1 and actions().count("credential.rejected") == 1

    posts.answers = [Accepted(200)]
    Credential.objects.update(rejected_at=None)
    assert send(second).state == "accepted"


def test_a_source_without_a_disconnecting_key_is_not_tried_without_a_pause(source, posts):
    Credential.objects.filter(purpose="disconnecting").delete()

    row = send(order(source, "s1"))

    assert (row.state, row.tries) == ("queued", 1) and row.not_before > database_now()
    assert "no credential for disconnecting" in row.explanation and posts.sent == []


def test_what_nobody_foresaw_is_a_lost_answer(source, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(client, "disconnect", fail)

    row = send(order(source, "s1"))

    assert (row.state, row.answer) == ("sending", "lost") and "nobody foresaw" in caplog.text


def test_texts_of_the_remote_that_a_database_refuses_are_written(source, posts):
    from agents.webconnect.transport import Response

    nasty = Response(400, {}, b'{"code": "a\\u0000", "message": "\\ud800 ' + b"m" * 5000 + b'"}')
    posts.answers = [client.read_answer(nasty)]

    assert send(order(source, "s1")).answer == "no"


# --- Whose it is --------------------------------------------------------------------------------------------------


def test_an_answer_that_came_too_late_changes_nothing_and_is_on_record(source):
    rows = claim([order(source, "s1")])
    Disconnection.objects.update(lease_token=None, lease_until=None, answer="lost")
    rows[0].source = source

    write_results([_Result(rows[0], Accepted(200))])

    row = Disconnection.objects.get()
    assert (row.state, row.answer) == ("sending", "lost")
    assert actions() == ["disconnection.sent", "disconnection.late_answer"]


def test_of_many_workers_one_claims_a_row(committed_db):
    row = order(make_source(), "s1", "s2")
    together = threading.Barrier(6)

    def one():
        rows = list(Disconnection.objects.select_related("operation"))
        together.wait(20)
        return len(claim(rows))

    assert sum(committed_db.in_threads(*[one] * 6)) == 2
    assert Attempt.objects.count() == 2 and set(Disconnection.objects.values_list("tries", flat=True)) == {1}
    assert row.operation.disconnections.filter(~Q(lease_token=None)).count() == 2


def test_a_call_held_up_since_its_claim_is_not_made(source, monkeypatch):
    """Counted from the claim, not from when a thread was free for it."""
    asked = []

    def call(row, still_ours):
        asked.append(still_ours())
        return Accepted(200)

    row = order(source, "s1")
    import time

    _call(call, row, time.monotonic())
    _call(call, row, time.monotonic() - 16)

    assert asked == [True, False]


def test_no_claimed_row_waits_for_a_thread(committed_db, monkeypatch, settings):
    """Two orders of many at once, and a remote that hangs: only as many are claimed as can be called now."""
    settings.CONSOLE_BULK_CALLS = 4
    pool = ThreadPoolExecutor(4)
    monkeypatch.setattr(sending, "_callers", lambda: pool)
    source = make_source(read_at=database_now())
    orders = [order(source, *[f"{name}{number}" for number in range(6)]) for name in "ab"]
    go_on, busy, most = threading.Event(), threading.Semaphore(0), []

    def hang(remote, secret, session_id, endpoint, *, still_ours):
        busy.release()
        go_on.wait(20)
        return Accepted(200)

    monkeypatch.setattr(client, "disconnect", hang)

    def watch():
        for _ in range(4):
            busy.acquire(timeout=20)
        most.append(Disconnection.objects.filter(state=State.SENDING).count())
        go_on.set()

    committed_db.in_threads(*[lambda each=each: send_operation(each.operation_id) for each in orders], watch)

    assert most == [4]
    assert set(Disconnection.objects.values_list("state", flat=True)) == {"accepted"}
    pool.shutdown()
    assert sending._room._taken == 0


# --- What is looked at again --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "state", "words"),
    [
        ({"ended_by": "itself", "ended_at": timezone.now()}, "already_gone", "ended by itself"),
        ({"endpoint": "osaka"}, "refused", "another agent, endpoint or start"),
        ({"agent_id": "somebody"}, "refused", "another agent"),
        ({"started_text": "2026-07-01 00:00:00.000"}, "refused", "another agent"),
        ({"supports_disconnection": False}, "refused", "supportingDisconnectApi"),
        ({"version_number": 1, "version": "0.0.1"}, "refused", "0.0.1"),
    ],
)
def test_a_session_that_is_no_longer_the_one_meant_is_not_touched(source, posts, change, state, words):
    row = order(source, "s1")
    AgentSession.objects.update(**change)

    send(row)

    assert row.state == state and words in row.explanation
    assert posts.sent == [] and not Attempt.objects.exists()


@pytest.mark.parametrize("lost", ["role", "person"])
def test_whoever_lost_the_right_meanwhile_has_nothing_sent(source, posts, lost):
    person = make_person("olga", "Operator")
    row = order(source, "s1", requested_by=person, actor_kind="person", actor_label="olga")
    if lost == "role":
        person.groups.clear()
    else:
        type(person).objects.update(is_active=False)

    send(row)

    assert row.state == "refused" and "olga no longer has the right" in row.explanation
    assert posts.sent == []


def test_whoever_still_has_it_has_it_sent(source, posts):
    person = make_person("olga", "Operator")

    assert send(order(source, "s1", requested_by=person, actor_kind="person")).state == "accepted"


def test_an_order_from_before_its_time_to_be_sent_is_not_sent(source, posts):
    row = order(source, "s1")
    Disconnection.objects.update(send_by=database_now() - timedelta(seconds=1))

    assert send(row).state == "failed" and posts.sent == []


@pytest.mark.parametrize("why", ["paused", "blocked"])
def test_a_paused_source_or_a_refused_contract_is_not_called(source, posts, why):
    row = order(source, "s1")
    if why == "paused":
        Source.objects.update(paused_at=database_now())
    else:
        Contract.objects.update(blocked_until=database_now() + timedelta(minutes=5))

    assert send(row).state == "queued" and posts.sent == []
    assert due_operations(database_now()) == []


def test_where_the_list_is_stale_it_reads_before_it_sends(source, posts, remote):
    Source.objects.update(read_at=database_now() - timedelta(minutes=5), next_reading_at=None)
    row = order(source, "s1")
    remote.lists("s1", endpoint="moved")

    assert send(row).state == "refused"
    assert (remote.reads, posts.sent) == (1, [])


def test_where_it_cannot_be_read_it_keeps_to_the_readings_pauses(source, posts, remote):
    from agents.kinds import ReadRejected, Unreachable

    Source.objects.update(read_at=database_now() - timedelta(minutes=5), next_reading_at=None)
    row = order(source, "s1")
    remote.failure = Unreachable("down")
    for _ in range(5):
        assert send(row).state == "queued"
    assert remote.reads == 1

    remote.failure = ReadRejected("401")
    Source.objects.update(next_reading_at=None)
    for _ in range(3):
        send(row)
        Source.objects.update(next_reading_at=None)
    assert remote.reads == 2 and posts.sent == []


# --- In which order -----------------------------------------------------------------------------------------------


def test_single_ones_go_before_many(source):
    many, single = order(source, "s1", "s2"), order(source, "s3")

    assert due_operations(database_now()) == [single.operation_id, many.operation_id]


def test_an_operation_of_many_is_sent_whole(committed_db, monkeypatch):
    posts = Posts(monkeypatch)
    source = make_source(read_at=database_now())
    row = order(source, *[f"s{number}" for number in range(70)])

    send_operation(row.operation_id)

    assert len({session_id for session_id, *_ in posts.sent}) == len(posts.sent) == 70
    assert set(Disconnection.objects.values_list("state", "posts")) == {("accepted", 1)}


def test_pauses_between_tries_grow_to_a_limit_with_jitter():
    pauses = [back_off(tries).total_seconds() for tries in (1, 2, 3, 7, 50, 10_000)]

    assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2 <= pauses[2] <= 4
    assert all(30 <= pause <= 60 for pause in pauses[3:])
    assert len({back_off(5) for _ in range(5)}) > 1


def test_two_readings_of_a_source_are_not_needed_for_two_orders(source, posts, monkeypatch):
    FakeRemote(monkeypatch)
    first, second = order(source, "s1"), order(source, "s2")

    assert send(first).state == send(second).state == "accepted"
