"""What a search finds, against a plain look at every event."""

from datetime import timedelta
from unittest import mock

import pytest
from django.db import transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.models import Chunk, Event, Head, Indexed, Posting
from audit.search import index, parse
from audit.search.facets import facets
from audit.search.find import find
from audit.search.histogram import histogram
from audit.services import record_many
from audit.tests.make import commit_events, make_entry
from audit.tests.searching import FIRST, entries, moments, searches

pytestmark = pytest.mark.django_db
#: Events before these were removed by the retention, and these lie on both sides of the end of a chunk.
BEFORE = 65_520


def begin_late():
    Head.objects.update(sequence=BEFORE, hash="a" * 64)


def record_at(moment, entry):
    with mock.patch("audit.services.timezone.now", return_value=moment):
        record_many([entry])


def brute_force(query):
    return [event.sequence for event in Event.objects.order_by("-sequence") if query.matches(event)]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(entries, moments), min_size=1, max_size=30),
    st.lists(searches(BEFORE - 2, BEFORE + 32), min_size=4, max_size=8),
    st.integers(0, 30),
    st.booleans(),
)
def test_it_finds_what_a_plain_look_finds(recorded, queries, unindexed, sorted_by_time):
    with transaction.atomic():
        begin_late()
        moments_of = [moment for _, moment in recorded]
        for (entry, _), moment in zip(recorded, sorted(moments_of) if sorted_by_time else moments_of, strict=True):
            record_at(moment, entry)
            if Event.objects.count() == len(recorded) - unindexed:
                while index.catch_up(least=1):
                    pass
        for query in queries:
            expected = brute_force(query)
            found = find(query)
            assert [event.sequence for event in query.events()] == expected
            assert list(found.newest()) == expected
            assert list(found.oldest(0)) == expected[::-1]
            assert sum(bar.count for bar in histogram(found)) == len(expected)
        transaction.set_rollback(True)


@given(searches(), st.lists(entries, max_size=5))
@settings(max_examples=20, deadline=None)
def test_a_line_of_the_search_finds_the_same(query, recorded):
    again = parse(str(query))

    with transaction.atomic():
        record_many(recorded)
        assert brute_force(again) == brute_force(query)
        transaction.set_rollback(True)


def test_the_index_goes_on_where_it_stopped():
    commit_events(5)
    index.catch_up(least=1)
    commit_events(5, target=make_entry().target, data={"reason": "flooded"})

    assert find(parse("flooded")).count == 5
    index.catch_up(least=1)

    assert index.behind() == 0
    assert find(parse("flooded")).count == 5
    assert find(parse("target:agent1")).count == 10


def test_it_waits_for_enough_events():
    commit_events(3)

    assert index.catch_up(least=4) == 0
    assert index.catch_up(least=3) == 3


def test_two_workers_index_an_event_once():
    commit_events(3)
    real = index._by_text

    def another_is_quicker(events):
        with mock.patch("audit.search.index._by_text", real):
            index.catch_up(least=1)
        return real(events)

    with mock.patch("audit.search.index._by_text", another_is_quicker):
        assert index.catch_up(least=1) == 0

    assert find(parse("target:agent1")).count == 3


def test_it_can_be_made_again():
    commit_events(3)
    index.catch_up(least=1)
    Posting.objects.all().delete()
    assert find(parse("target:agent1")).count == 0

    index.clear()
    index.catch_up(least=1)

    assert find(parse("target:agent1")).count == 3


def test_it_follows_the_retention():
    begin_late()
    commit_events(40)
    while index.catch_up(least=1):
        pass
    assert Chunk.objects.count() == 2

    index.forget_before(BEFORE + 30)

    assert set(Chunk.objects.values_list("chunk", flat=True)) == {1}
    assert set(Posting.objects.values_list("chunk", flat=True)) == {1}


def test_an_index_far_behind_is_not_asked():
    commit_events(5)

    with mock.patch("audit.search.find.LONGEST_TAIL", 4):
        assert find(parse("target:agent1")) is None


def test_a_clock_set_back_hides_nothing():
    for minutes in [0, 50, 1, 2]:
        record_at(FIRST + timedelta(minutes=minutes), make_entry())
    index.catch_up(least=1)

    assert not Chunk.objects.get().steady
    assert find(parse("after:2026-11-01T00:10Z")).count == 1
    assert find(parse("before:2026-11-01T00:10Z")).count == 3


def test_a_clock_set_back_behind_the_index_hides_nothing():
    for minutes in [0, 20]:
        record_at(FIRST + timedelta(minutes=minutes), make_entry())
    index.catch_up(least=1)
    for minutes in [0, 0]:
        record_at(FIRST + timedelta(minutes=minutes), make_entry())

    assert find(parse("after:2026-11-01T00:10Z")).count == 1
    assert find(parse("before:2026-11-01T00:10Z")).count == 3


def test_it_counts_by_names():
    begin_late()
    commit_events(20)
    while index.catch_up(least=1):
        pass
    commit_events(3, data={"source": "tokyo"})
    found = find(parse("outcome:queued"))

    with mock.patch("audit.search.facets.READ", 2):
        by_index = facets(found)
    one_by_one = facets(found)

    assert one_by_one.names["source"] == [("tokyo", 3)]
    assert one_by_one.names["target"] == [("agent1", 23)]
    assert one_by_one.among == 23
    # The window ends with enough events; what the index lacks is read, as many as that may be.
    assert by_index.names["target"] == [("agent1", 22)]
    assert Indexed.objects.get().sequence == BEFORE + 20
