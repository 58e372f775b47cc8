"""Whether absence from the list proves that a session is gone (design, section 6), seen through whole readings."""

from datetime import timedelta

import pytest

from agents import sources
from agents.clock import database_now
from agents.credentials import Secret
from agents.models import AgentSession, Reading, Source
from agents.readings import read_source
from agents.tests.make import ALICE, Purpose


@pytest.fixture
def known(source, remote):
    """Four sessions, known from a first complete reading."""
    remote.lists("s1", "s2", "s3", "s4")
    read_source(source.pk)
    return source


def live():
    return set(AgentSession.objects.live().values_list("session_id", flat=True))


def absent():
    return set(AgentSession.objects.live().exclude(absent_since=None).values_list("session_id", flat=True))


def test_absence_from_one_list_of_one_answer_counts(known, remote):
    remote.lists("s1", "s2", "s3")

    reading = read_source(known.pk)

    assert live() == {"s1", "s2", "s3"} and reading.gone == 1
    gone = AgentSession.objects.get(session_id="s4")
    assert gone.ended_at == gone.absent_since == reading.begun_at
    assert gone.ended_by == "itself"


def test_absence_from_a_list_of_several_answers_counts_the_second_time(known, remote):
    remote.lists("s1", "s2", "s3")
    remote.in_one_answer = False

    first = read_source(known.pk)
    assert (live(), absent(), first.gone) == ({"s1", "s2", "s3", "s4"}, {"s4"}, 0)

    assert read_source(known.pk).gone == 1
    assert AgentSession.objects.get(session_id="s4").absent_since == first.begun_at


def test_a_row_that_only_moved_between_pages_is_back_unharmed(known, remote):
    remote.in_one_answer = False
    for listed in (["s1", "s2", "s3"], ["s1", "s2", "s3", "s4"], ["s1", "s2", "s3"]):
        remote.lists(*listed)
        read_source(known.pk)

    assert "s4" in live() and absent() == {"s4"}


@pytest.mark.parametrize("listed", [[], ["s1"], ["n1", "n2", "n3", "n4", "n5"]])
def test_a_list_that_became_empty_or_lost_more_than_half_must_say_so_twice(known, remote, listed):
    remote.lists(*listed)

    read_source(known.pk)
    assert {"s1", "s2", "s3", "s4"} <= live()

    read_source(known.pk)
    assert live() == set(listed)


def test_a_list_that_lost_just_half_is_believed(known, remote):
    remote.lists("s1", "s2")

    read_source(known.pk)

    assert live() == {"s1", "s2"}


def test_the_first_reading_of_all_proves_no_absence(source, remote):
    from agents.tests.make import make_session

    make_session(source, "old")
    make_session(source, "s1")
    remote.lists("s1", "s2")

    read_source(source.pk)

    assert live() == {"old", "s1", "s2"}


def change_url(source):
    source.webconnect.base_url = "http://127.0.0.1:9/another"
    change(source)


def change(source, **overrides):
    sources.change_source(
        source=source,
        own=source.webconnect,
        contract="Tokyo",
        requests_per_minute=0,
        secrets={},
        actor=ALICE,
        **overrides,
    )


def change_key(source):
    sources.replace_credential(source=source, purpose=Purpose.READING, secret=Secret("another-key"), actor=ALICE)


@pytest.mark.parametrize("do", [change_url, change_key])
def test_after_another_url_or_key_two_readings_are_needed(known, remote, do):
    do(Source.objects.get())
    remote.lists("s1", "s2", "s3")

    read_source(known.pk)
    assert "s4" in live()

    read_source(known.pk)
    assert "s4" not in live()


@pytest.mark.parametrize("do", [change_url, change_key])
def test_a_reading_under_way_at_such_a_change_counts_for_nothing(known, remote, do):
    remote.lists("s1", "s2", "s3")
    remote.during = lambda: do(Source.objects.get())

    assert read_source(known.pk) is None

    assert Source.objects.get().read_begun_at is None
    remote.during = lambda: None
    read_source(known.pk)
    assert "s4" in live()


def test_an_absence_noted_before_such_a_change_does_not_count_as_the_first_of_two(known, remote):
    remote.in_one_answer = False
    remote.lists("s1", "s2", "s3")
    read_source(known.pk)
    change_key(Source.objects.get())

    read_source(known.pk)

    assert "s4" in live()


def test_changing_only_another_setting_keeps_what_is_known(known, remote):
    source = Source.objects.get()
    source.polling_seconds = 77
    change(source)
    remote.lists("s1", "s2", "s3")

    read_source(known.pk)

    assert "s4" not in live()


def test_replacing_only_the_disconnecting_key_keeps_what_is_known(known, remote):
    source = Source.objects.get()
    sources.replace_credential(source=source, purpose=Purpose.DISCONNECTING, secret=Secret("another"), actor=ALICE)
    remote.lists("s1", "s2", "s3")

    read_source(known.pk)

    assert "s4" not in live()


def test_absence_from_an_incomplete_list_means_nothing_however_often(known, remote):
    remote.lists("s1", "s2", "s3")
    remote.incomplete = "Too many."

    readings = [read_source(known.pk) for _ in range(3)]

    assert {reading.outcome for reading in readings} == {Reading.Outcome.INCOMPLETE}
    assert "s4" in live() and not absent()
    assert Source.objects.get().incomplete == "Too many."


def test_an_incomplete_reading_between_is_not_one_of_the_two(known, remote):
    remote.in_one_answer = False
    remote.lists("s1", "s2", "s3")
    read_source(known.pk)
    remote.incomplete = "Too many."
    read_source(known.pk)
    assert "s4" in live()

    remote.incomplete = ""
    read_source(known.pk)
    assert "s4" not in live()


def test_presence_in_an_incomplete_list_still_counts(known, remote):
    remote.in_one_answer = False
    remote.lists("s1", "s2", "s3")
    read_source(known.pk)
    remote.incomplete = "Too many."
    remote.lists("s4", "s5")
    read_source(known.pk)

    assert "s5" in live() and not absent()


def test_a_failed_reading_between_two_changes_nothing(known, remote):
    from agents.kinds import Unreachable

    remote.in_one_answer = False
    remote.lists("s1", "s2", "s3")
    read_source(known.pk)
    remote.failure = Unreachable("gone away")
    read_source(known.pk)
    assert "s4" in live()

    remote.failure = None
    read_source(known.pk)
    assert "s4" not in live()


def test_an_id_used_again_ends_the_old_session_even_in_a_list_of_many_pages(known, remote):
    remote.in_one_answer = False
    remote.lists("s1", startConnection="2026-07-01 00:00:00.000")

    reading = read_source(known.pk)

    old, new = AgentSession.objects.filter(session_id="s1").order_by("pk")
    assert old.ended_at == reading.begun_at and old.ended_by == "itself"
    assert new.ended_at is None and new.started_text == "2026-07-01 00:00:00.000"


def test_times_come_from_the_beginning_of_the_reading(known, remote):
    begun = database_now()
    remote.lists("s2", "s3", "s4", "s5")

    read_source(known.pk)

    gone, new = AgentSession.objects.get(session_id="s1"), AgentSession.objects.get(session_id="s5")
    assert begun <= gone.ended_at == new.first_seen_at <= database_now() - timedelta(0)
