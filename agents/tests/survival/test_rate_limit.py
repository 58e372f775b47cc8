"""The remote's limit: never overstepped by us, and waited out where somebody else overstepped it."""

import time
from itertools import pairwise

import pytest

from agents.pacer import spacing
from agents.readings import read_source
from agents.states import State
from agents.tests.survival.harness import assert_proven, finished, freeze, held_writes, in_state, posts, story, wait_for
from agents.webconnect.standin.process import StandIn

BLOCK = 4


def test_a_block_while_a_hundred_wait(console, standin):
    source = console.add_source(standin, requests_per_minute=6000)
    session_ids = standin.add_sessions(100, agentVersion="3.1.0")
    read_source(source.pk)
    standin.fault("status", "agent-disconnection", status=429, retry_after=str(BLOCK), skip=10)

    with console.running_worker():
        operation = console.disconnect(source, *session_ids)
        rows = finished(operation)

    assert {row.state for row in rows} == {State.CONFIRMED}
    refused = [each for each in standin.requests() if each["status"] == 429]
    assert len(refused) == 1
    begun = refused[0]["received"]
    during = [each for each in standin.requests() if begun + 0.3 < each["received"] < begun + BLOCK]
    assert during == []
    assert sorted(len(posts(standin, each)) for each in session_ids) == [1] * 99 + [2]
    assert_proven(operation, standin)


def test_the_time_to_confirm_stands_still_while_everything_is_refused(console, standin):
    """The remote closes the session only after the block, which is longer than the time to confirm."""
    standin.switch("closing-delay", 3600)
    source = console.add_source(standin, confirm_seconds=2, polling_seconds=0.3)
    [session_id] = standin.add_sessions(1, agentVersion="3.1.0")

    with console.running_worker():
        operation = console.disconnect(source, session_id)
        in_state(operation, State.ACCEPTED)
        standin.fault("status", "agent-status", status=429, retry_after=str(BLOCK))
        wait_for(lambda: source.readings.filter(outcome="rate_limited").exists())
        standin.advance(3600)
        [row] = finished(operation)

    assert row.state == State.CONFIRMED
    assert (row.finished_at - row.accepted_at).total_seconds() > BLOCK
    assert story(operation) == ["requested", "queued", "sent", "accepted", "confirmed"]
    assert_proven(operation, standin)


@pytest.mark.parametrize(("requests_per_minute", "sessions"), [(600, 40), (100, 8)])
def test_two_workers_never_make_the_remote_refuse(console, requests_per_minute, sessions):
    """Sending, confirming and polling together keep within the limit that the remote itself counts by."""
    with StandIn(rate_limit=requests_per_minute, switches={"closing-delay": "0", "rate-window": "sliding"}) as standin:
        session_ids = standin.add_sessions(sessions, agentVersion="3.1.0")
        source = console.add_source(
            standin, requests_per_minute=requests_per_minute, polling_seconds=0.1, confirm_seconds=60
        )
        with console.running_worker(), console.running_worker():
            operation = console.disconnect(source, *session_ids)
            rows = finished(operation, within=60)

        arrivals = [each["monotonic"] for each in standin.requests()]
        assert {row.state for row in rows} == {State.CONFIRMED}
        assert [each for each in standin.requests() if each["status"] == 429] == []
        assert_spread(arrivals, requests_per_minute)
        assert_proven(operation, standin)


def assert_spread(arrivals, requests_per_minute):
    """What a minute of it would come to: no stretch of it holds more than its share and the burst."""
    allowed = requests_per_minute / 50 + 1.5
    for start, _ in pairwise(range(len(arrivals))):
        for end in range(start, len(arrivals)):
            share = (arrivals[end] - arrivals[start] + 0.3) / spacing(requests_per_minute)
            assert end - start + 1 <= share + allowed


def test_two_workers_on_two_hundred_rows_call_once_for_each(console, standin):
    source = console.add_source(standin, confirm_seconds=60)
    session_ids = standin.add_sessions(200, agentVersion="3.1.0")
    read_source(source.pk)
    standin.fault("latency", "agent-disconnection", seconds=0.05, times=None)

    with console.running_worker() as one, console.running_worker() as other:
        wait_for(lambda: console.awake_workers() == 2)
        for worker in (one, other):
            freeze(worker)
        operation = console.disconnect(source, *session_ids)
        with held_writes():  # Both choose the same rows, and neither can claim them yet.
            one.resume()
            other.resume()
            time.sleep(0.5)
        rows = finished(operation, within=60)

    assert {row.state for row in rows} == {State.CONFIRMED}
    assert len(standin.disconnections()) == 200
    assert {len(posts(standin, each)) for each in session_ids} == {1}
    assert_proven(operation, standin)
