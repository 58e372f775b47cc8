"""A database of its own for each benchmark: a folder for SQLite, a new database on the given PostgreSQL server."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def fresh_data(database_url: str) -> Iterator[dict[str, str]]:
    """The environment of a new, empty console, with nothing of the one that runs here; it is removed afterwards.

    In the data folder of the console rather than in /tmp, which may lie in memory, where a commit costs nothing.
    """
    parent = Path(os.environ.get("CONSOLE_DATA_DIR") or ROOT / "var")
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=parent))
    others = {name: value for name, value in os.environ.items() if not name.startswith("CONSOLE_")}
    try:
        with _fresh_database(database_url) as url:
            # A Redis of its own too: the bundled one, in the folder.
            yield {**others, "CONSOLE_DATA_DIR": str(folder), "DATABASE_URL": url, "REDIS_URL": ""}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _fresh_database(database_url: str) -> Iterator[str]:
    if not database_url:
        yield ""
        return
    name = f"console_bench_{uuid4().hex[:12]}"
    with psycopg.connect(database_url, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(database_url)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")
