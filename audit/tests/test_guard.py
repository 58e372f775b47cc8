"""The database itself refuses to change the log, whatever SQL somebody sends."""

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from audit import triggers
from audit.chain import verify
from audit.models import Event
from audit.tests.make import commit_events

pytestmark = pytest.mark.django_db
COLUMNS = [field.column for field in Event._meta.fields]
SQLITE = connection.vendor == "sqlite"

REFUSED = [
    "UPDATE audit_event SET actor_label = 'mallory'",
    "UPDATE audit_event SET actor_label = 'mallory' WHERE sequence = 2",
    "DELETE FROM audit_event",
    "DELETE FROM audit_event WHERE sequence = 3",
    "DELETE FROM audit_head",
    "UPDATE audit_head SET sequence = 1",
    "UPDATE audit_head SET hash = 'x'",
    "UPDATE audit_head SET id = 2",
    "INSERT INTO audit_head (id, sequence, hash) VALUES (2, 9, 'x')",
]
REPLACE = "INSERT OR REPLACE INTO audit_event SELECT {} FROM audit_event WHERE sequence = 2"
if SQLITE:
    REFUSED += [
        REPLACE.format(", ".join({"actor_label": "'mallory'"}.get(name, name) for name in COLUMNS)),
        REPLACE.format(", ".join({"sequence": "9", "hash": f"'{'f' * 64}'"}.get(name, name) for name in COLUMNS)),
        REPLACE.format(", ".join({"sequence": "9", "previous_hash": "'x'"}.get(name, name) for name in COLUMNS)),
        "INSERT OR REPLACE INTO audit_head (id, sequence, hash) VALUES (1, 0, 'x')",
        "REPLACE INTO audit_head (id, sequence, hash) VALUES (1, 99, 'x')",
        "UPDATE OR REPLACE audit_event SET sequence = 1 WHERE sequence = 2",
    ]
else:
    REFUSED += [
        "TRUNCATE audit_event",
        "TRUNCATE audit_head",
        "TRUNCATE audit_event, audit_head CASCADE",
        "SET LOCAL session_replication_role = replica; DELETE FROM audit_event",
        "INSERT INTO audit_event SELECT * FROM audit_event ON CONFLICT (sequence) DO UPDATE SET address = 'x'",
    ]


@pytest.mark.parametrize("sql", REFUSED)
def test_it_refuses(sql):
    commit_events(3)

    with (
        pytest.raises(DatabaseError, match=f"{triggers.REFUSAL}|audit_head_one_row"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)

    assert verify().flaw is None
    assert verify().count == 3


@pytest.mark.parametrize("name", [*(triggers._SQLITE if SQLITE else triggers._POSTGRESQL)])
def test_a_trigger_comes_back_after_migrate(name):
    _drop(name)
    assert triggers.triggers_missing() == [name]

    call_command("migrate", verbosity=0)

    assert triggers.triggers_missing() == []


def _drop(name):
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + ("" if SQLITE else f" ON {triggers._POSTGRESQL[name][0]}"))


@pytest.mark.skipif(not SQLITE, reason="only SQLite rebuilds tables")
def test_a_rebuilt_table_loses_its_triggers_and_migrate_brings_them_back():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_event RENAME TO old")
        cursor.execute("CREATE TABLE audit_event AS SELECT * FROM old")
        cursor.execute("DROP TABLE old")
    assert "audit_event_no_update" in triggers.triggers_missing()
    assert not Event.objects.exists()

    call_command("migrate", verbosity=0)

    assert triggers.triggers_missing() == []


def test_a_trigger_that_refuses_nothing_counts_as_missing():
    with connection.cursor() as cursor:
        if SQLITE:
            cursor.execute("DROP TRIGGER audit_event_no_delete")
            cursor.execute("CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event BEGIN SELECT 1; END")
        else:
            cursor.execute("ALTER TABLE audit_event DISABLE TRIGGER audit_event_no_delete")

    assert triggers.triggers_missing() == ["audit_event_no_delete"]


@pytest.mark.skipif(SQLITE, reason="only PostgreSQL's triggers call a function")
def test_a_hollowed_function_counts_as_missing():
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'"
        )

    hollow = {name for name, (_, _, function) in triggers._POSTGRESQL.items() if function == "audit_refuse"}
    assert set(triggers.triggers_missing()) == hollow
