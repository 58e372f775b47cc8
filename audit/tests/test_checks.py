"""Checks: by schedule and on demand, what they leave behind, and how loud an unsound chain is."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from audit import checks, triggers
from audit.actions import Action
from audit.actors import CONSOLE
from audit.checks import chain_state, check_all, check_if_due, check_new
from audit.models import Check, Event
from audit.tests.make import ALICE, commit_events

pytestmark = pytest.mark.django_db


def run(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def test_a_check_of_what_is_new_walks_only_over_that():
    commit_events(5)
    assert check_new().count == 5
    commit_events(3)

    check = check_new()

    assert (check.full, check.first, check.count, check.sequence) == (False, 6, 3, 8)
    assert not Event.objects.filter(action__startswith="audit.").exists(), (
        "a sound one of the schedule is not on record"
    )


def test_a_check_of_what_is_new_sees_that_the_end_of_the_last_one_was_rewritten():
    commit_events(5)
    check_new()
    triggers.remove()
    run("DELETE FROM audit_event WHERE sequence > 3")
    run("UPDATE audit_head SET sequence = 3, hash = (SELECT hash FROM audit_event WHERE sequence = 3)")
    commit_events(4)

    assert (check_new().flaw, check_new().flaw_sequence) == ("rewritten", 5)


def test_one_that_somebody_asked_for_is_on_record():
    commit_events(5)

    checks.ask(actor=ALICE)
    check = check_if_due(timezone.now())

    assert (check.full, check.asked_by, check.flaw) == (True, "alice", "")
    last = Event.objects.latest("sequence")
    assert (last.action, last.actor_id, last.details["count"]) == (Action.AUDIT_CHECKED, ALICE.id, 5)
    assert not checks.is_asked_for()


def test_the_schedule(settings):
    commit_events(2)
    at = timezone.now()
    assert check_if_due(at).full
    commit_events(2)
    assert check_if_due(at) is None

    assert not check_if_due(at + settings.CONSOLE_AUDIT_CHECK + timedelta(seconds=5)).full
    assert check_if_due(at + settings.CONSOLE_AUDIT_FULL_CHECK + timedelta(seconds=5)).full


@pytest.fixture
def changed():
    commit_events(9)
    check_new()
    triggers.remove()
    run("UPDATE audit_event SET actor_label = 'mallory' WHERE sequence = 4")
    triggers.install()


def test_an_unsound_chain_stays_so_until_a_check_of_all_of_it_says_otherwise(changed):
    assert check_new().flaw == "", "what is new holds"
    assert check_all(actor=CONSOLE).flaw_sequence == 4
    check_all(actor=CONSOLE)
    check_new()

    assert chain_state().flaw.flaw == "changed"
    found = Event.objects.get(action=Action.AUDIT_FOUND_UNSOUND)
    assert found.details["sequence"] == 4, "once, however often it is found"
    triggers.remove()
    run("UPDATE audit_event SET actor_label = 'alice' WHERE sequence = 4")
    check_all(actor=CONSOLE)
    assert chain_state().flaw is None


def test_the_command_leaves_a_row_too(changed):
    with pytest.raises(CommandError, match="Event 4 was changed"):
        call_command("verifyaudit")

    assert Check.objects.latest("pk").asked_by.startswith("command line")
    assert chain_state().flaw
    call_command("verifyaudit", "--from", "6")
    call_command("verifyaudit", "--to", "3")
    with pytest.raises(CommandError, match="Event 4 was changed"):
        call_command("verifyaudit", "--to", "4")
    assert Check.objects.latest("pk").flaw, "a part says nothing of the whole"


def test_a_check_survives_a_head_that_is_gone():
    commit_events(2)
    triggers.remove()
    run("DELETE FROM audit_head")

    check = check_all(actor=CONSOLE)

    assert (check.flaw, check.flaw_sequence) == ("missing", 0)
    assert chain_state().flaw
