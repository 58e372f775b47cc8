"""What makes the database itself refuse to change the audit log.

Made again after every `migrate`: SQLite rebuilds a table to alter it, and the triggers are gone without a word.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "the audit log is append-only"


def _sqlite(name: str, when: str) -> str:
    return f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"


_SQLITE = {
    name: _sqlite(name, when)
    for name, when in {
        "audit_event_no_update": "BEFORE UPDATE ON audit_event",
        "audit_event_no_delete": "BEFORE DELETE ON audit_event",
        # INSERT OR REPLACE removes whatever is in its way without firing a delete trigger.
        "audit_event_no_replace": (
            "BEFORE INSERT ON audit_event WHEN EXISTS (SELECT 1 FROM audit_event WHERE sequence = NEW.sequence)"
            " OR EXISTS (SELECT 1 FROM audit_event WHERE hash = NEW.hash)"
            " OR EXISTS (SELECT 1 FROM audit_event WHERE previous_hash = NEW.previous_hash)"
        ),
        "audit_head_only_forward": (
            "BEFORE UPDATE ON audit_head WHEN NEW.id IS NOT OLD.id OR NOT NEW.sequence > OLD.sequence"
        ),
        "audit_head_no_delete": "BEFORE DELETE ON audit_head",
        "audit_head_no_replace": "BEFORE INSERT ON audit_head WHEN EXISTS (SELECT 1 FROM audit_head)",
    }.items()
}

_POSTGRESQL_FUNCTION = f" BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation'; END "
_POSTGRESQL = {
    "audit_event_no_change": ("audit_event", "BEFORE UPDATE OR DELETE ON audit_event FOR EACH ROW"),
    "audit_event_no_truncate": ("audit_event", "BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT"),
    "audit_head_only_forward": (
        "audit_head",
        "BEFORE UPDATE ON audit_head FOR EACH ROW"
        " WHEN (NEW.id IS DISTINCT FROM OLD.id OR NOT NEW.sequence > OLD.sequence)",
    ),
    "audit_head_no_delete": ("audit_head", "BEFORE DELETE ON audit_head FOR EACH ROW"),
    "audit_head_no_truncate": ("audit_head", "BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT"),
}


def install(using: str = DEFAULT_DB_ALIAS) -> None:
    """Make every trigger as it should be, in one transaction, so that the log is at no time without them."""
    connection = connections[using]
    with transaction.atomic(using), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name, sql in _SQLITE.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(sql)
            return
        cursor.execute(
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql"
            f" AS $body${_POSTGRESQL_FUNCTION}$body$"
        )
        for name, (table, when) in _POSTGRESQL.items():
            cursor.execute(f"CREATE OR REPLACE TRIGGER {name} {when} EXECUTE FUNCTION audit_refuse()")
            # ALWAYS: `session_replication_role = replica` would skip an ordinary trigger.
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def remove(using: str = DEFAULT_DB_ALIAS) -> None:
    """For tests that tamper with the log. Nothing else calls this."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for name in _SQLITE if connection.vendor == "sqlite" else ():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        for name, (table, _) in {} if connection.vendor == "sqlite" else _POSTGRESQL.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")


def triggers_missing(using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """The names of the triggers that are absent, switched off or not as `install` makes them."""
    connection = connections[using]
    if connection.vendor == "sqlite":
        found = _sqlite_triggers(connection)
        return [name for name, sql in _SQLITE.items() if found.get(name) != sql]
    sound = _postgresql_triggers(connection)
    return [name for name in _POSTGRESQL if name not in sound]


def _sqlite_triggers(connection: BaseDatabaseWrapper) -> dict[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return dict(cursor.fetchall())


def _postgresql_triggers(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgenabled = 'A' AND p.proname = 'audit_refuse' AND p.prosrc = %s AND pg_table_is_visible(c.oid)",
            [_POSTGRESQL_FUNCTION],
        )
        return {name for name, table in cursor.fetchall() if name in _POSTGRESQL and _POSTGRESQL[name][0] == table}


def install_after_migrate(using: str, **kwargs: Any) -> None:
    """Receives `post_migrate`; does nothing while the tables are not there, e.g. after `migrate audit zero`."""
    if {"audit_event", "audit_head"} <= set(connections[using].introspection.table_names()):
        install(using)
