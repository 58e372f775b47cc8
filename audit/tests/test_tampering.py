"""Every way of changing the log behind the console's back is found, and named."""

from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from audit import triggers
from audit.canonical import COLUMNS
from audit.chain import Kind, verify
from audit.models import Event, Head
from audit.services import _chained, _insert
from audit.tests.make import commit_events

pytestmark = pytest.mark.django_db
COUNT = 12


@pytest.fixture(autouse=True)
def unguarded():
    """Twelve events that nothing guards."""
    commit_events(COUNT, operation=uuid4())
    triggers.remove()


def flaw():
    found = verify().flaw
    return found and (found.sequence, found.kind)


def run(sql, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)


def forge(sequence, previous_hash):
    """Put an event with a well-made hash in the place `sequence`."""
    model = Event.objects.order_by("sequence").first()
    middle = [str(value) for name, value in _columns(model) if name not in ("sequence", "at", "previous_hash")]
    row = _chained([middle], Head(sequence=sequence - 1, hash=previous_hash), "2026-11-21T14:05:00.000000Z")[0]
    _insert([row], connection.ops.adapt_datetimefield_value(model.at.replace(2026, 11, 21, 14, 5, 0, 0)))
    return row[-1]


def _columns(event):
    return [(name, getattr(event, name)) for name in COLUMNS]


def test_an_untouched_log_holds():
    verdict = verify()

    assert verdict.flaw is None
    assert (verdict.count, verdict.sequence, verdict.hash) == (COUNT, COUNT, Head.objects.get().hash)


CHANGES = {
    "at": "2001-01-01 00:00:00.000001+00:00",
    "operation": "1b4e28ba2fa141d2883f0016d3cca427",
    "previous_hash": "e" * 64,
    "hash": "e" * 64,
}


@pytest.mark.parametrize("column", [name for name in (*COLUMNS, "hash") if name != "sequence"])
def test_a_changed_column(column):
    run(f"UPDATE audit_event SET {column} = %s WHERE sequence = 5", CHANGES.get(column, "x"))

    assert flaw() == (5, Kind.CHANGED)


def test_an_operation_taken_out():
    run("UPDATE audit_event SET operation = NULL WHERE sequence = 5")

    assert flaw() == (5, Kind.CHANGED)


def test_a_microsecond():
    event = Event.objects.get(sequence=5)
    run("UPDATE audit_event SET at = %s WHERE sequence = 5", event.at.replace(microsecond=event.at.microsecond ^ 1))

    assert flaw() == (5, Kind.CHANGED)


def test_a_character_moved_over_the_edge_of_its_column():
    run("UPDATE audit_event SET actor_id = '1a', actor_label = 'lice' WHERE sequence = 5")

    assert flaw() == (5, Kind.CHANGED)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL lets nobody store such values")
@pytest.mark.parametrize(
    "change",
    ["at = 'yesterday'", "operation = 'none'", "data = x'00ff'", "data = CAST(x'ff' AS TEXT)", "address = x'41'"],
)
def test_a_value_that_can_not_be_read(change):
    run(f"UPDATE audit_event SET {change} WHERE sequence = 5")

    assert flaw() == (5, Kind.CHANGED)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps one form of each value only")
@pytest.mark.parametrize(
    "change",
    [
        "at = replace(at, ' ', 'T') || 'Z'",
        "at = CAST(at AS BLOB)",
        "operation = substr(operation, 1, 8) || '-' || substr(operation, 9, 4) || '-' || substr(operation, 13, 4)"
        " || '-' || substr(operation, 17, 4) || '-' || substr(operation, 21)",
        "operation = CAST(operation AS BLOB)",
    ],
)
def test_the_same_value_in_another_form_by_which_no_search_finds_it(change):
    run(f"UPDATE audit_event SET {change} WHERE sequence = 5")

    assert flaw() == (5, Kind.CHANGED)


@pytest.mark.parametrize("sequence", [1, 5])
def test_a_removed_row(sequence):
    run("DELETE FROM audit_event WHERE sequence = %s", sequence)

    assert flaw() == (sequence, Kind.MISSING)


def test_a_removed_row_whose_followers_moved_up():
    run("DELETE FROM audit_event WHERE sequence = 5")
    for sequence in range(6, COUNT + 1):
        run("UPDATE audit_event SET sequence = %s WHERE sequence = %s", sequence - 1, sequence)

    assert flaw() == (5, Kind.REORDERED)


def test_a_removed_tail():
    run("DELETE FROM audit_event WHERE sequence > 9")

    assert flaw() == (10, Kind.CUT_OFF)
    assert "events 10 to 12 are missing" in verify().flaw.message


def test_everything_removed():
    run("DELETE FROM audit_event")

    assert flaw() == (1, Kind.CUT_OFF)


@pytest.mark.parametrize(("one", "other"), [(5, 6), (4, 9), (2, 12)])
def test_two_swapped_rows(one, other):
    run("UPDATE audit_event SET sequence = 99 WHERE sequence = %s", one)
    run("UPDATE audit_event SET sequence = %s WHERE sequence = %s", one, other)
    run("UPDATE audit_event SET sequence = %s WHERE sequence = 99", other)

    assert flaw() == (one, Kind.REORDERED)
    assert f"it was recorded as event {other}" in verify().flaw.message


def test_an_event_added_at_the_end_with_a_well_made_hash():
    forge(COUNT + 1, Head.objects.get().hash)

    assert flaw() == (COUNT + 1, Kind.ADDED)


def test_an_event_added_before_the_first():
    run(
        "PRAGMA ignore_check_constraints = ON"
        if connection.vendor == "sqlite"
        else "ALTER TABLE audit_event DROP CONSTRAINT audit_event_first_begins_the_chain"
    )
    try:
        forge(0, "e" * 64)
    finally:
        if connection.vendor == "sqlite":
            run("PRAGMA ignore_check_constraints = OFF")

    assert flaw() == (1, Kind.ADDED)


def test_an_event_put_in_the_place_of_another_with_a_well_made_hash():
    before = Event.objects.get(sequence=4)
    run("DELETE FROM audit_event WHERE sequence = 5")
    forge(5, before.hash)

    assert flaw() == (5, Kind.ADDED)


def test_the_last_event_replaced_by_one_with_a_well_made_hash():
    before = Event.objects.get(sequence=COUNT - 1)
    run("DELETE FROM audit_event WHERE sequence = %s", COUNT)
    forge(COUNT, before.hash)

    assert flaw() == (COUNT, Kind.ADDED)


def test_a_removed_head():
    run("DELETE FROM audit_head")

    assert flaw() == (0, Kind.MISSING)


def test_a_walk_from_the_middle_continues_the_event_before():
    assert verify(from_sequence=5).count == COUNT - 4
    assert verify(from_sequence=COUNT + 1).flaw is None
    assert verify(from_sequence=COUNT + 9).flaw.kind == Kind.MISSING

    run("UPDATE audit_event SET hash = %s WHERE sequence = 4", "e" * 64)
    assert verify(from_sequence=5).flaw.sequence == 4


def test_the_command_says_that_it_holds(capsys):
    head = Head.objects.get().hash

    call_command("verifyaudit")

    printed = capsys.readouterr()
    assert printed.out == f"The audit log holds: {COUNT} events, head {COUNT} {head}\n"
    assert "the database does not guard it" in printed.err


def test_the_command_names_the_first_bad_event():
    run("UPDATE audit_event SET action = 'person.signed_in' WHERE sequence IN (5, 7)")

    with pytest.raises(CommandError, match="The audit log does not hold. Event 5 was changed") as failure:
        call_command("verifyaudit")
    assert failure.value.returncode == 1
