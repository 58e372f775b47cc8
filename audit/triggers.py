"""What makes the database itself refuse to change the audit log.

Made again after every `migrate`: SQLite rebuilds a table to alter it, and the triggers are gone without a word.
"""

from __future__ import annotations

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "the audit log is append-only"


#: Tables of statements that are made once, and their keys: nobody changes or removes their rows.
_STATEMENTS = {
    "audit_checkpoint": "id",
    "audit_check": "id",
    "audit_signing_key": "key_id",
    "audit_cut": "id",
    "audit_review": "id",
}
#: Rows up to here are in an archive, and may be removed.
_CUT_AT = "COALESCE((SELECT max(sequence) FROM audit_cut), 0)"
#: A cut continues the one before, names an event that is there, and is not made while a legal hold stands.
_CUT_IS_WRONG = (
    f"NEW.first <> {_CUT_AT} + 1 OR NEW.sequence < NEW.first"
    " OR NOT EXISTS (SELECT 1 FROM audit_event WHERE sequence = NEW.sequence AND hash = NEW.hash)"
    " OR EXISTS (SELECT 1 FROM audit_keeping WHERE held_at IS NOT NULL)"
)


def _sqlite(name: str, when: str) -> str:
    return f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"


_SQLITE = {
    name: _sqlite(name, when)
    for name, when in {
        "audit_event_no_update": "BEFORE UPDATE ON audit_event",
        "audit_event_no_delete": f"BEFORE DELETE ON audit_event WHEN OLD.sequence > {_CUT_AT}",
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
        "audit_cut_is_sound": f"BEFORE INSERT ON audit_cut WHEN {_CUT_IS_WRONG}",
        **{f"{table}_no_update": f"BEFORE UPDATE ON {table}" for table in _STATEMENTS},
        **{f"{table}_no_delete": f"BEFORE DELETE ON {table}" for table in _STATEMENTS},
        **{
            f"{table}_no_replace": (
                f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})"
            )
            for table, key in _STATEMENTS.items()
        },
    }.items()
}

_RAISE = f"RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'restrict_violation';"
_FUNCTIONS = {
    "audit_refuse": f" BEGIN {_RAISE} END ",
    "audit_refuse_uncut": f" BEGIN IF OLD.sequence > {_CUT_AT} THEN {_RAISE} END IF; RETURN OLD; END ",
    "audit_refuse_bad_cut": f" BEGIN IF {_CUT_IS_WRONG} THEN {_RAISE} END IF; RETURN NEW; END ",
}
#: Each with its table and its function.
_POSTGRESQL = {
    "audit_event_no_update": ("audit_event", "BEFORE UPDATE ON audit_event FOR EACH ROW", "audit_refuse"),
    "audit_event_no_delete": ("audit_event", "BEFORE DELETE ON audit_event FOR EACH ROW", "audit_refuse_uncut"),
    "audit_event_no_truncate": ("audit_event", "BEFORE TRUNCATE ON audit_event FOR EACH STATEMENT", "audit_refuse"),
    "audit_head_only_forward": (
        "audit_head",
        "BEFORE UPDATE ON audit_head FOR EACH ROW"
        " WHEN (NEW.id IS DISTINCT FROM OLD.id OR NOT NEW.sequence > OLD.sequence)",
        "audit_refuse",
    ),
    "audit_head_no_delete": ("audit_head", "BEFORE DELETE ON audit_head FOR EACH ROW", "audit_refuse"),
    "audit_head_no_truncate": ("audit_head", "BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT", "audit_refuse"),
    "audit_cut_is_sound": ("audit_cut", "BEFORE INSERT ON audit_cut FOR EACH ROW", "audit_refuse_bad_cut"),
    **{
        f"{table}_no_change": (table, f"BEFORE UPDATE OR DELETE ON {table} FOR EACH ROW", "audit_refuse")
        for table in _STATEMENTS
    },
    **{
        f"{table}_no_truncate": (table, f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT", "audit_refuse")
        for table in _STATEMENTS
    },
}
#: Triggers of earlier versions, which `install` removes.
_RETIRED = {"audit_event_no_change": "audit_event"}


def install(using: str = DEFAULT_DB_ALIAS) -> None:
    """Make every trigger as it should be, in one transaction, so that the log is at no time without them."""
    connection = connections[using]
    with transaction.atomic(using), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name, sql in _SQLITE.items():
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
                cursor.execute(sql)
            return
        cursor.execute("SELECT quote_ident(current_schema())")
        schema = cursor.fetchone()[0]
        for name, body in _FUNCTIONS.items():
            # A path of its own: somebody's temporary table `audit_cut` must not be taken for ours.
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql"
                f" SET search_path = {schema}, pg_temp AS $body${body}$body$"
            )
        for name, table in _RETIRED.items():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")
        for name, (table, when, function) in _POSTGRESQL.items():
            cursor.execute(f"CREATE OR REPLACE TRIGGER {name} {when} EXECUTE FUNCTION {function}()")
            # ALWAYS: `session_replication_role = replica` would skip an ordinary trigger.
            cursor.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}")


def remove(using: str = DEFAULT_DB_ALIAS) -> None:
    """For tests that tamper with the log. Nothing else calls this."""
    connection = connections[using]
    with connection.cursor() as cursor:
        for name in _SQLITE if connection.vendor == "sqlite" else ():
            cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        for name, (table, _, _) in {} if connection.vendor == "sqlite" else _POSTGRESQL.items():
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
            "SELECT t.tgname, c.relname, p.proname, p.prosrc FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " JOIN pg_class c ON c.oid = t.tgrelid"
            " WHERE t.tgenabled = 'A' AND p.proconfig = ARRAY[format('search_path=%I, pg_temp', current_schema())]"
            " AND pg_table_is_visible(c.oid)"
        )
        return {
            name
            for name, table, function, body in cursor.fetchall()
            if name in _POSTGRESQL
            and (table, function) == (_POSTGRESQL[name][0], _POSTGRESQL[name][2])
            and body == _FUNCTIONS[function]
        }


def install_after_migrate(using: str, **kwargs: Any) -> None:
    """Receives `post_migrate`; does nothing while the tables are not there, e.g. after `migrate audit zero`."""
    tables = {"audit_event", "audit_head", "audit_keeping", *_STATEMENTS}
    if tables <= set(connections[using].introspection.table_names()):
        install(using)
