"""The pacer never lets the remote see more than it allows, and wastes next to nothing of it."""

import random
import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from agents import pacer
from agents.clock import EpochNow, database_now
from agents.models import Contract
from agents.pacer import Purpose, Slots

WINDOW = 60.0
START = 1_800_000_000.0
PURPOSES = list(Purpose)


# --- The arithmetic, in a time of the test's own ------------------------------------------------------------------


class Line:
    """The row's arithmetic without a database: what `take` does, as the UPDATE does it."""

    def __init__(self, requests_per_minute):
        self.n, self.now, self.next_at, self.calls = requests_per_minute, START, 0.0, []

    def take(self, purpose, wanted=1):
        count = min(wanted, pacer.free_now(self.now, self.next_at, self.n, purpose))
        self.next_at = max(self.next_at, self.now) + count * pacer.spacing(self.n) if count else self.next_at
        self.calls += [self.now] * count
        return count

    def wait(self, purpose):
        """Until the next slot for `purpose` is free."""
        self.now = max(self.now, self.next_at - pacer.early(self.n, purpose)) + 1e-6

    def most_in_a_window(self):
        """The most calls in any closed window of 60 s; only the beginnings of windows at a call matter."""
        most = end = 0
        for begin, first in enumerate(self.calls):
            while end < len(self.calls) and self.calls[end] <= first + WINDOW:
                end += 1
            most = max(most, end - begin)
        return most


arrivals = st.lists(
    st.tuples(st.sampled_from(PURPOSES), st.integers(1, 2000), st.floats(0, 1.5), st.integers(1, 40)),
    min_size=1,
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.integers(1, 120), st.integers(1, 60_000)), arrivals)
def test_no_window_sees_more_than_the_allowance(n, pattern):
    line = Line(n)

    for purpose, wanted, pause, repeats in pattern:
        for _ in range(repeats):
            line.take(purpose, wanted)
            # Pauses from none to a minute and a half, many of them right when a slot becomes free.
            line.wait(purpose) if pause < 0.75 else None
            line.now += (pause % 0.75) ** 4 * 200 if pause > 0.1 else 0

    assert line.most_in_a_window() <= n


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10, 49, 50, 51, 75, 99, 100, 101, 149, 150, 600, 5999, 60_000])
def test_greed_after_silence_stays_below_the_allowance(n):
    """The worst case: the whole burst at once, then every slot as soon as anybody may have it."""
    line = Line(n)

    while line.now < START + 4 * WINDOW and len(line.calls) < 20_000:
        line.take(Purpose.INTERACTIVE, 1000)
        line.wait(Purpose.INTERACTIVE)

    assert line.most_in_a_window() <= n


@pytest.mark.parametrize("n", [1, 5, 10, 50, 100, 600, 6000])
@pytest.mark.parametrize("purpose", [Purpose.INTERACTIVE, Purpose.CONFIRMING, Purpose.BULK])
def test_work_that_always_waits_gets_95_percent_though_it_wakes_late(n, purpose):
    """A worker that wakes up to 10 ms after its slot became free, as on a busy machine."""
    line, chance = Line(n), random.Random(1)
    length = 6000 * pacer.spacing(n)

    while line.now < START + length:
        line.take(purpose, 32)
        line.wait(purpose)
        line.now += chance.uniform(0, 0.010)

    assert len(line.calls) / (length / 60) >= 0.95 * n


def test_each_purpose_may_be_early_by_its_share_of_the_burst():
    at_once = {purpose: Line(600).take(purpose, 100) for purpose in PURPOSES}

    assert at_once == {Purpose.INTERACTIVE: 12, Purpose.CONFIRMING: 8, Purpose.BULK: 4, Purpose.POLLING: 1}


@pytest.mark.parametrize("n", [1, 10, 50, 100, 600, 60_000])
def test_a_click_goes_before_confirming_before_bulk_before_polling_at_every_allowance(n):
    earliness = [pacer.early(n, purpose) for purpose in PURPOSES]

    assert all(one > other for one, other in pairwise(earliness))
    assert earliness[-1] == 0


# --- The row ------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """The database's clock inside the pacer's statements, set by the test."""

    class Clock:
        now = START

    def as_sql(self, compiler, connection, **extra):
        # Without the type, PostgreSQL would take the parameter for text.
        return "CAST(%s AS double precision)", [Clock.now]

    monkeypatch.setattr(EpochNow, "as_sqlite", as_sql)
    monkeypatch.setattr(EpochNow, "as_postgresql", as_sql)
    return Clock


def make_contract(requests_per_minute, **overrides):
    return Contract.objects.create(name="Tokyo", requests_per_minute=requests_per_minute, **overrides).pk


@pytest.mark.parametrize("n", [1, 7, 100, 600, 60_000])
def test_the_row_gives_what_the_arithmetic_says(db, clock, n):
    pk, line, chance = make_contract(n), Line(n), random.Random(n)

    for _ in range(60):
        purpose, wanted = chance.choice(PURPOSES), chance.choice([1, 3, 32, 2000])
        line.now = clock.now
        slots = pacer.take(pk, purpose=purpose, wanted=wanted)
        assert slots.taken == line.take(purpose, wanted)
        assert slots.taken or slots.wait > 0
        clock.now += chance.choice([0, slots.wait, chance.uniform(0, 2), 0.5 / n])

    assert Contract.objects.get().next_at == pytest.approx(line.next_at)


def test_what_it_says_to_wait_is_enough_and_not_too_long(db, clock):
    pk = make_contract(100)
    pacer.take(pk, purpose=Purpose.INTERACTIVE, wanted=2)

    wait = pacer.take(pk, purpose=Purpose.BULK).wait
    clock.now += wait * 0.99
    assert not pacer.take(pk, purpose=Purpose.BULK).taken
    clock.now += wait * 0.0101
    assert pacer.take(pk, purpose=Purpose.BULK).taken


def test_0_requests_a_minute_means_no_limit(db):
    pk = make_contract(0)

    assert pacer.take(pk, purpose=Purpose.POLLING, wanted=10_000) == Slots(10_000)
    assert pacer.take_for_reading(pk, purpose=Purpose.POLLING, posts_wait=True).taken
    assert pacer.take_for_reading(pk, purpose=Purpose.POLLING, posts_wait=True).taken


@pytest.mark.parametrize("n", [0, 100])
def test_a_block_stops_everything_and_says_so(db, n):
    pk, until = make_contract(n), database_now() + timedelta(seconds=600)

    assert pacer.block(pk, until) is True

    for purpose in PURPOSES:
        for slots in (
            pacer.take(pk, purpose=purpose),
            pacer.take_for_reading(pk, purpose=purpose, posts_wait=True),
        ):
            assert (slots.taken, slots.blocked) == (0, True)
            assert slots.wait == pytest.approx(600, abs=60)
    assert pacer.is_blocked(pk)


def test_a_block_is_only_ever_lengthened(db):
    pk, at = make_contract(100), database_now()

    assert pacer.block(pk, at + timedelta(seconds=600)) is True
    assert pacer.block(pk, at + timedelta(seconds=60)) is False
    assert Contract.objects.get().blocked_until == at + timedelta(seconds=600)
    assert pacer.block(pk, at + timedelta(seconds=900)) is False
    assert Contract.objects.get().blocked_until == at + timedelta(seconds=900)


def test_a_block_that_is_over_blocks_nothing_and_a_new_one_counts_as_new(db):
    pk, at = make_contract(100, blocked_until=database_now() - timedelta(seconds=1)), database_now()

    assert pacer.take(pk, purpose=Purpose.POLLING).taken
    assert not pacer.is_blocked(pk)
    assert pacer.block(pk, at + timedelta(seconds=60)) is True


# --- Readings beside POSTs ----------------------------------------------------------------------------------------


def compete(pk, clock, n, minutes, *, reading, posting=Purpose.INTERACTIVE):
    """POSTs always wait and are always quicker to ask; one reader asks when it was told to. Counts of both."""
    posts = reads = 0
    end, reader_at, poster_at = clock.now + 60 * minutes, clock.now, clock.now
    while min(reader_at, poster_at) < end:
        clock.now = min(reader_at, poster_at)
        if poster_at <= reader_at:
            slots = pacer.take(pk, purpose=posting, wanted=4)
            posts += slots.taken
            poster_at = clock.now + max(slots.wait, 1e-5)
        else:
            slots = pacer.take_for_reading(pk, purpose=reading, posts_wait=True)
            reads += slots.taken
            reader_at = clock.now + max(slots.wait, 1e-5)
    return posts, reads


@pytest.mark.parametrize(("n", "minutes"), [(1, 30), (2, 20), (5, 10), (10, 6), (50, 2), (100, 1), (600, 0.2)])
@pytest.mark.parametrize("posting", [Purpose.INTERACTIVE, Purpose.BULK])
def test_a_confirming_reading_gets_its_turn_but_no_more_than_half(db, clock, n, minutes, posting):
    pk = make_contract(n)

    posts, reads = compete(pk, clock, n, minutes, reading=Purpose.CONFIRMING, posting=posting)

    # Never behind more than the burst that is ahead of it, and the pause that leaves POSTs their half.
    assert reads >= (posts + reads) / (pacer.early(n, posting) / pacer.spacing(n) + 3.2) - 1
    assert reads <= 0.5 * (posts + reads) + 1
    assert 0.95 * n * minutes - 1 <= posts + reads <= n * minutes + max(1, n / 50)


def test_polling_stands_back_while_posts_wait(db, clock):
    posts, reads = compete(make_contract(600), clock, 600, 0.2, reading=Purpose.POLLING, posting=Purpose.BULK)

    assert reads <= 1 < posts


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_a_reading_of_many_pages_goes_on_at_a_small_allowance(db, clock, n):
    pk, pages, begun = make_contract(n), 0, clock.now

    while pages < 11:
        slots = pacer.take_for_reading(pk, purpose=Purpose.CONFIRMING, posts_wait=True)
        pacer.take(pk, purpose=Purpose.INTERACTIVE, wanted=100)
        pages += slots.taken
        clock.now += max(slots.wait, 1e-5)

    assert clock.now - begun <= 11 * 3 * pacer.spacing(n)


def test_a_booked_slot_counts_for_everybody(db, clock):
    pk, space = make_contract(60), pacer.spacing(60)
    pacer.take(pk, purpose=Purpose.INTERACTIVE)
    pacer.take(pk, purpose=Purpose.INTERACTIVE)
    before = Contract.objects.get().next_at

    slots = pacer.take_for_reading(pk, purpose=Purpose.CONFIRMING, posts_wait=True)

    assert slots.taken and slots.wait == pytest.approx(before - clock.now)
    assert Contract.objects.get().next_at == pytest.approx(before + space)


# --- Many at once -------------------------------------------------------------------------------------------------


def test_eight_at_once_take_no_slot_twice(committed_db):
    """All want everything; the row has room for the burst and for the time that the test took."""
    pk, n = make_contract(3000), 3000
    together, begun = threading.Barrier(8), []

    def take_some():
        together.wait(20)
        begun.append(database_now().timestamp())
        return sum(pacer.take(pk, purpose=Purpose.INTERACTIVE, wanted=7).taken for _ in range(25))

    taken = sum(committed_db.in_threads(*[take_some] * 8))

    length = database_now().timestamp() - min(begun)
    assert 60 <= taken <= n / 50 + length / pacer.spacing(n) + 1
    # What was taken is what the row says was taken.
    assert Contract.objects.get().next_at >= min(begun) + taken * pacer.spacing(n) - 0.01


def test_the_databases_clock_is_this_machines(db):
    with connection.cursor():
        now = Contract.objects.annotate(now=EpochNow()).get(pk=make_contract(1)).now

    assert now == pytest.approx(database_now().timestamp(), abs=5)
