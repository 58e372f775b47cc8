"""Fixtures of every app's tests.

The audit log refuses DELETE and TRUNCATE, so nothing here may flush a database: a test that commits takes
`committed_db`, a database of its own, and never `transactional_db`, `live_server` or `TransactionTestCase`.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.conf import settings as django_settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TestCase, TransactionTestCase, override_settings
from django.test.utils import setup_databases, teardown_databases

from audit.tests.unrecorded import Watch

FLUSHING = {"transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback", "live_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        marker = item.get_closest_marker("django_db")
        flushes = FLUSHING & set(getattr(item, "fixturenames", ()))
        if marker and (marker.kwargs.get("transaction") or marker.args[:1] == (True,)):
            flushes.add("django_db(transaction=True)")
        if getattr(item, "cls", None) and _is_flushing_class(item.cls):
            flushes.add("TransactionTestCase")
        if flushes:
            raise pytest.UsageError(
                f"{item.nodeid} uses {', '.join(sorted(flushes))}, which would flush the audit log,"
                " and the audit log refuses that. Take the fixture committed_db instead."
            )


def _is_flushing_class(cls: type) -> bool:
    return issubclass(cls, TransactionTestCase) and not issubclass(cls, TestCase)


@pytest.fixture(scope="session", autouse=True)
def static_root() -> None:
    """WhiteNoise warns where nothing has been collected yet, and a warning is an error here."""
    Path(django_settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def nothing_remembered_of_keys() -> Iterator[None]:
    """A rolled-back test leaves its key's number to the next one; what this process counted for it must not stay.

    Nor must it be written later: by then `default` may be another database than the test's.
    """
    from apikeys import throttling, use

    throttling._portions.clear()
    yield
    with use._lock:
        for timer in use._timers:
            timer.cancel()
        for counted in (use._timers, use._requests, use._refused):
            counted.clear()


@pytest.fixture(autouse=True)
def nothing_changes_without_an_event(request) -> Iterator[None]:
    """Whatever a test has the console do: each of its transactions that changes something holds an event."""
    if not (
        request.node.get_closest_marker("django_db") or issubclass(getattr(request, "cls", None) or object, TestCase)
    ):
        yield
        return
    watch = Watch()
    with connections["default"].execute_wrapper(watch):
        yield
    forgotten = {
        each for each in watch.found if not each.startswith("console.made_up.")
    }  # audit/tests/test_unrecorded.py
    assert not forgotten, "\n".join(sorted(forgotten))


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment, django_db_blocker, django_db_keepdb, django_db_modify_db_settings):
    """pytest-django's own sets up only what `django_db` marks ask for, and leaves `committed_db` the real database."""
    with django_db_blocker.unblock():
        databases = setup_databases(verbosity=0, interactive=False, keepdb=django_db_keepdb)
        _set_template_aside()
    yield
    if not django_db_keepdb:
        with django_db_blocker.unblock():
            if connections["default"].vendor == "postgresql":
                _administer(f'DROP DATABASE "{_template_name()}" WITH (FORCE)')
            teardown_databases(databases, verbosity=0)


def _set_template_aside() -> None:
    """PostgreSQL copies only a database that nobody is connected to, and to the test database some thread may be."""
    connection = connections["default"]
    if connection.vendor == "postgresql":
        connection.close()
        _administer(f'DROP DATABASE IF EXISTS "{_template_name()}" WITH (FORCE)')
        _administer(f'CREATE DATABASE "{_template_name()}" TEMPLATE "{connection.settings_dict["NAME"]}"')


def _template_name() -> str:
    return f"{(_put_aside[0] if _put_aside else connections['default']).settings_dict['NAME']}_template"


@dataclass(frozen=True)
class CommittedDatabase:
    """A migrated, empty database that one test has to itself, in every thread of this process.

    `env` is a whole environment in which `manage.py` and other child processes run on it, with the same secrets.
    """

    env: dict[str, str]
    data_dir: Path

    @staticmethod
    def in_threads[T](*calls: Callable[[], T]) -> list[T]:
        """The results of `calls`, each made in a thread with a connection of its own, all at once."""

        def call_and_close(call: Callable[[], T]) -> T:
            try:
                return call()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(calls)) as threads:
            return list(threads.map(call_and_close, calls))


@pytest.fixture
def committed_db(request, django_db_setup, django_db_blocker) -> Iterator[CommittedDatabase]:
    """What is written here is really committed: for tests of threads, processes, `on_commit` and rollback."""
    if request.node.get_closest_marker("django_db") or "db" in request.fixturenames:
        pytest.fail("A test takes either db or committed_db.")
    with _committed_database(django_db_blocker) as database:
        yield database


@pytest.fixture(scope="module")
def committed_db_of_module(django_db_setup, django_db_blocker) -> Iterator[CommittedDatabase]:
    """One such database for all tests of a module, where what runs on it takes long to start."""
    with _committed_database(django_db_blocker) as database:
        yield database


@contextmanager
def _committed_database(django_db_blocker) -> Iterator[CommittedDatabase]:
    # Not tmp_path: the socket of the bundled Redis lies in here, and its path must stay short.
    data_dir = Path(tempfile.mkdtemp(prefix="console-"))
    try:
        with django_db_blocker.unblock(), _fresh_copy(data_dir) as (name, database_env):
            secrets = {
                "CONSOLE_SECRET_KEY": django_settings.SECRET_KEY,
                "CONSOLE_CREDENTIAL_KEYS": ",".join(django_settings.CONSOLE_CREDENTIAL_KEYS),
                "CONSOLE_API_KEY_PEPPERS": ",".join(django_settings.CONSOLE_API_KEY_PEPPERS),
                "CONSOLE_AUDIT_SIGNING_KEYS": ",".join(django_settings.CONSOLE_AUDIT_SIGNING_KEYS),
            }
            env = {**os.environ, **secrets, "CONSOLE_DATA_DIR": str(data_dir), **database_env}
            with _default_connection_to(name), override_settings(CONSOLE_DATA_DIR=data_dir):
                yield CommittedDatabase(env, data_dir)
    finally:
        shutil.rmtree(data_dir, ignore_errors=True)


@contextmanager
def _fresh_copy(data_dir: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A copy of the migrated test database: its name and the variables by which a child process finds it."""
    # Not the copy that a module's tests are on at the moment: others are connected to that one.
    template = _put_aside[0] if _put_aside else connections["default"]
    if template.vendor == "sqlite":
        name = str(data_dir / "console.sqlite3")
        template.ensure_connection()
        with closing(sqlite3.connect(name)) as copy:
            template.connection.backup(copy)
        yield name, {}
        return
    name = f"console_test_{uuid4().hex[:12]}"
    _administer(f'CREATE DATABASE {name} TEMPLATE "{_template_name()}"')
    try:
        yield name, {"DATABASE_URL": urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()}
    finally:
        _administer(f"DROP DATABASE {name} WITH (FORCE)")


def _administer(sql: str) -> None:
    with connections["default"]._nodb_cursor() as cursor:
        cursor.execute(sql)


#: The connections that `default` meant before it meant a copy; the first is the test database's.
_put_aside: list[BaseDatabaseWrapper] = []


@contextmanager
def _default_connection_to(name: str) -> Iterator[None]:
    """Let `default` mean the database `name`, here and in threads begun from now on.

    The old connection is put aside, not closed: closing it would end the test database in memory.
    """
    template, settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = {**settings, "NAME": name}
    connections["default"] = connections.create_connection("default")
    _put_aside.append(template)
    try:
        yield
    finally:
        _put_aside.pop()
        connections["default"].close()
        connections.settings["default"] = settings
        connections["default"] = template
