"""A far side that answers wrongly, late, or not at all: each call ends in what can be proved of it."""

import socket
from datetime import timedelta
from email.utils import format_datetime

import pytest

from agents import sources
from agents.clock import database_now
from agents.credentials import Secret
from agents.models import Attempt, Credential, Disconnection
from agents.states import State
from agents.tests.survival.harness import (
    assert_proven,
    finished,
    in_state,
    posts,
    reread,
    row_of,
    story,
    wait_for,
)
from agents.webconnect.standin.process import StandIn
from apikeys.actors import command_line_actor
from audit.models import Event

POST = "agent-disconnection"
ACCEPTED = ["requested", "queued", "sent", "accepted", "confirmed"]
LOST = ["requested", "queued", "sent", "answer_lost"]


def one_session(standin):
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")
    return session_id


def test_it_takes_json_with_a_2xx_for_accepted(busy_console, standin, source):
    standin.switch("success-body", "json")
    standin.switch("success-status", "202")
    session_id = one_session(standin)

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    assert (row.state, story(operation)) == (State.CONFIRMED, ACCEPTED)
    assert row.attempts.get().status == 202
    assert_proven(operation, standin)


#: What the far side does to the call, having closed the session all the same.
LOST_BUT_DONE = {
    "cut after it took the request": {"kind": "cut-after"},
    "cut within the answer": {"kind": "cut-midway"},
    "500": {"kind": "status", "status": 500, "applies": True},
    "headers trickling past the limit": {"kind": "trickle-headers", "applies": True},
    "a body trickling past the limit": {"kind": "trickle", "applies": True},
    "no answer": {"kind": "hang", "applies": True},
    "5 MB of HTML with 200": {"kind": "html", "applies": True},
    "text with 200": {"kind": "not-json", "applies": True},
    "a wrong Content-Length": {"kind": "wrong-length"},
    "bytes that are not HTTP": {"kind": "garbage", "applies": True},
    "404": {"kind": "status", "status": 404, "applies": True},
}


@pytest.mark.parametrize("fault", LOST_BUT_DONE.values(), ids=LOST_BUT_DONE)
def test_an_answer_is_lost_and_the_list_tells_that_it_was_done(busy_console, standin, source, fault):
    session_id = one_session(standin)
    standin.fault(endpoint=POST, **fault)

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    assert (row.state, story(operation)) == (State.CONFIRMED, [*LOST, "confirmed"])
    assert len(posts(standin, session_id)) == 1
    assert row.attempts.get().result == Attempt.Result.LOST
    assert_proven(operation, standin)


def test_an_answer_is_lost_and_the_list_says_closing(busy_console, standin, source):
    standin.switch("closing-delay", 3600)
    session_id = one_session(standin)
    standin.fault("cut-after", POST)

    operation = busy_console.disconnect(source, session_id)
    in_state(operation, State.ACCEPTED)
    standin.advance(3600)
    [row] = finished(operation)

    assert (row.state, story(operation)) == (State.CONFIRMED, [*LOST, "accepted", "confirmed"])
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_500_twice_and_then_it_works(busy_console, standin, source):
    session_id = one_session(standin)
    standin.fault("status", POST, status=500, times=2)

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == [*LOST, "sent", "answer_lost", "sent", "accepted", "confirmed"]
    assert [post["status"] for post in posts(standin, session_id)] == [500, 500, 200]
    assert_proven(operation, standin)


def test_it_gives_up_after_three_calls_without_an_answer(busy_console, standin, source):
    session_id = one_session(standin)
    standin.fault("cut-before", POST, times=None)

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    assert (row.state, len(posts(standin, session_id))) == (State.FAILED, 3)
    assert story(operation) == [*LOST, *["sent", "answer_lost"] * 2, "failed"]
    assert_proven(operation, standin)


def test_it_follows_no_redirect_and_tells_the_other_place_nothing(busy_console, standin, source):
    session_id = one_session(standin)
    with StandIn(rate_limit=0) as elsewhere:
        location = f"{elsewhere.base_url}/agent/disconnection"
        standin.fault("redirect", POST, location=location, times=None)

        operation = busy_console.disconnect(source, session_id)
        [row] = finished(operation)

        assert elsewhere.requests() == []
    assert row.state == State.FAILED
    assert [post["status"] for post in posts(standin, session_id)] == [302] * 3
    assert_proven(operation, standin)


# --- The remote says no --------------------------------------------------------------------------------------------


def test_400_for_a_session_that_is_gone(busy_console, standin, source):
    session_id = one_session(standin)
    busy_console.session(source, session_id)
    standin.fault("latency", POST, seconds=0.5)

    operation = busy_console.disconnect(source, session_id)
    wait_for(lambda: posts(standin, session_id))
    standin.end_sessions(session_id)
    [row] = finished(operation)

    assert row.state == State.ALREADY_GONE
    assert story(operation) == ["requested", "queued", "sent", "answered_no", "already_gone"]
    assert row.session.ended_by == "itself"
    assert_proven(operation, standin)


def test_400_for_a_session_that_is_still_listed(busy_console, standin, source):
    session_id = one_session(standin)
    standin.fault("status", POST, status=400, body='{"code": "E17", "message": "Not now"}')

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    assert row.state == State.REFUSED
    assert "E17 Not now" in row.explanation
    assert story(operation) == ["requested", "queued", "sent", "answered_no", "refused"]
    assert len(posts(standin, session_id)) == 1
    assert_proven(operation, standin)


def test_403_refuses_its_own_row_only(busy_console, standin, source):
    refused, other = one_session(standin), one_session(standin)
    standin.fault("status", POST, status=403, session=refused)

    first, second = busy_console.disconnect(source, refused), busy_console.disconnect(source, other)

    assert [row.state for row in finished(first) + finished(second)] == [State.REFUSED, State.CONFIRMED]
    assert_proven(first, standin)
    assert_proven(second, standin)


def test_401_holds_every_row_back_until_the_credential_is_replaced(busy_console, standin, source):
    rejected, waiting = one_session(standin), one_session(standin)
    standin.remove_key("disconnector")

    first = busy_console.disconnect(source, rejected)
    wait_for(lambda: "requeued" in story(first))
    second = busy_console.disconnect(source, waiting)
    reread(source)
    assert [row_of(first).state, row_of(second).state] == [State.QUEUED, State.QUEUED]
    assert len(standin.disconnections()) == 1
    standin.set_key("disconnector", "a-new-secret", ["agent:disconnect"])
    secret = Secret("a-new-secret")
    sources.replace_credential(
        source=source, purpose=Credential.Purpose.DISCONNECTING, secret=secret, actor=command_line_actor()
    )

    assert [row.state for row in finished(first) + finished(second)] == [State.CONFIRMED] * 2
    assert story(first) == ["requested", "queued", "sent", "requeued", "sent", "accepted", "confirmed"]
    assert story(second) == ACCEPTED
    assert_proven(first, standin)


def test_401_ends_with_a_test_that_goes_well(busy_console, standin, source):
    session_id = one_session(standin)
    standin.fault("status", POST, status=401)

    operation = busy_console.disconnect(source, session_id)
    wait_for(lambda: "requeued" in story(operation))
    reread(source)
    assert len(posts(standin, session_id)) == 1
    findings = sources.test_source(source=source, actor=command_line_actor())

    assert all(finding.works for finding in findings), findings
    assert [row.state for row in finished(operation)] == [State.CONFIRMED]
    assert_proven(operation, standin)


# --- 429 -----------------------------------------------------------------------------------------------------------

#: The value of Retry-After, and between how many seconds the silence then lasts; CONSOLE_REFUSAL_SECONDS is 1.5.
RETRY_AFTER = {
    "seconds": (lambda: "1", 1, 2),
    "a date": (lambda: format_datetime(database_now() + timedelta(seconds=2), usegmt=True), 1, 3),
    "nothing": (lambda: "", 1.5, 1.5),
    "a day": (lambda: "86400", 1.5, 1.5),
}


@pytest.mark.parametrize(("value", "least", "most"), RETRY_AFTER.values(), ids=RETRY_AFTER)
def test_429_stops_everything_for_as_long_as_it_says(busy_console, standin, source, value, least, most):
    session_id = one_session(standin)
    busy_console.session(source, session_id)
    standin.fault("status", POST, status=429, retry_after=value())

    operation = busy_console.disconnect(source, session_id)
    [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert story(operation) == ["requested", "queued", "sent", "requeued", "sent", "accepted", "confirmed"]
    refused, _ = posts(standin, session_id)
    noted = Event.objects.of_operation(operation.pk).get(action="disconnection.requeued").at.timestamp()
    source.contract.refresh_from_db()
    end = source.contract.blocked_until.timestamp()
    assert refused["received"] + least <= end <= noted + most
    # What was on its way when the refusal came doesn't count.
    assert not [each for each in standin.requests() if noted < each["received"] < end - 0.05]
    assert_proven(operation, standin)


# --- Nobody there --------------------------------------------------------------------------------------------------


def test_it_goes_on_trying_while_nobody_is_there(busy_console, standin, source):
    session_id = one_session(standin)
    busy_console.session(source, session_id)
    with refused_port() as nobody:
        busy_console.point(source, nobody)
        operation = busy_console.disconnect(source, session_id)
        wait_for(lambda: Attempt.objects.filter(disconnection__operation=operation).count() >= 4)
        busy_console.point(source, standin.base_url)
        [row] = finished(operation)

    tries = row.tries - 1
    assert row.state == State.CONFIRMED
    assert story(operation) == ["requested", "queued", *["sent", "requeued"] * tries, *ACCEPTED[2:]]
    assert len(posts(standin, session_id)) == 1
    assert_backed_off(row)
    assert_proven(operation, standin)


def test_it_gives_up_at_its_latest_time_to_be_sent(busy_console, standin, source, settings):
    settings.CONSOLE_SEND_WITHIN = timedelta(seconds=2)
    session_id = one_session(standin)
    busy_console.session(source, session_id)
    with refused_port() as nobody:
        busy_console.point(source, nobody)
        operation = busy_console.disconnect(source, session_id)
        [row] = finished(operation)
    busy_console.point(source, standin.base_url)
    reread(source)

    assert row.state == State.FAILED
    assert "the connection was refused" in row.explanation
    assert posts(standin, session_id) == []
    assert Disconnection.objects.get(pk=row.pk).finished_at == row.finished_at
    assert_proven(operation, standin)


def refused_port():
    """A base URL where nobody listens, and nobody else will meanwhile."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))

    class Nobody:
        def __enter__(self):
            return f"http://127.0.0.1:{taken.getsockname()[1]}/api/v2"

        def __exit__(self, *error):
            taken.close()

    return Nobody()


def assert_backed_off(row):
    begun = [attempt.begun_at for attempt in row.attempts.order_by("number")]
    pauses = [(later - earlier).total_seconds() for earlier, later in zip(begun, begun[1:], strict=False)]
    assert min(pauses) >= 0.1, pauses
    assert pauses[2] >= 0.4, pauses
