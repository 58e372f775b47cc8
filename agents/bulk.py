"""Writing many rows of one table at once.

By hand: `bulk_create` and, far more, `bulk_update` take several times as long, and a large list waits for both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection
from django.db.models import Field, Model

type Columns = Mapping[str, Any]


def insert_many(model: type[Model], rows: Sequence[Columns]) -> None:
    """Insert rows, given by attribute names, each with the same ones; what they lack gets its default."""
    if not rows:
        return
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = [
        _prepared(field, [row[field.attname] for row in rows] if field.attname in rows[0] else [field.get_default()])
        for field in fields
    ]
    names, marks = ", ".join(_quoted(field) for field in fields), ", ".join(["%s"] * len(fields))
    _execute(f"INSERT INTO {_table(model)} ({names}) VALUES ({marks})", columns, len(rows))


def update_many(model: type[Model], rows: Sequence[Columns]) -> None:
    """Update rows by their `id` with the other columns given; each has the same ones."""
    if not rows:
        return
    by_name = {field.attname: field for field in model._meta.concrete_fields}
    fields = [by_name[name] for name in rows[0] if name != "id"]
    columns = [_prepared(field, [row[field.attname] for row in rows]) for field in [*fields, by_name["id"]]]
    settings = ", ".join(f"{_quoted(field)} = %s" for field in fields)
    _execute(f"UPDATE {_table(model)} SET {settings} WHERE {_quoted(by_name['id'])} = %s", columns, len(rows))


def _prepared(field: "Field[Any, Any]", values: list[Any]) -> list[Any]:
    """As the database takes them; one value where all are the same."""
    first = values[0]
    if all(value is first for value in values):
        values = values[:1]
    return [field.get_db_prep_save(value, connection) for value in values]


def _execute(sql: str, columns: list[list[Any]], count: int) -> None:
    full = [column if len(column) == count else column * count for column in columns]
    with connection.cursor() as cursor:
        cursor.executemany(sql, list(zip(*full, strict=True)))


def _table(model: type[Model]) -> str:
    return connection.ops.quote_name(model._meta.db_table)


def _quoted(field: "Field[Any, Any]") -> str:
    return connection.ops.quote_name(str(field.column))
