"""The database's clock: leases, deadlines and the pacer of several hosts must agree on one."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection, models
from django.db.models.sql.compiler import SQLCompiler


def database_now() -> datetime:
    """The time by the database's clock. SQLite's is this machine's, so no query is spent on it."""
    if connection.vendor == "sqlite":
        return datetime.now(UTC)
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now


class EpochNow(models.Func):
    """The database's clock inside a statement, as seconds since 1970, read when the statement runs."""

    output_field = models.FloatField()

    def as_sqlite(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        return "((julianday('now') - 2440587.5) * 86400.0)", []

    def as_postgresql(self, compiler: SQLCompiler, connection: Any, **extra: Any) -> Any:
        return "EXTRACT(EPOCH FROM clock_timestamp())::double precision", []
