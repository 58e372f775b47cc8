"""Each survival test has a database, a Redis and a far side of its own; most also want a worker that runs."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agents.clock import database_now
from agents.models import Source
from agents.tests.survival.harness import Console, Nursery, nudges_to
from agents.webconnect.standin.process import StandIn


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.end()


@pytest.fixture
def console(committed_db, nursery) -> Iterator[Console]:
    """The console with Redis, and no worker yet."""
    with _console(committed_db, nursery) as console:
        yield console


@pytest.fixture(scope="module")
def busy_console(committed_db_of_module, nursery) -> Iterator[Console]:
    """The console with a worker, shared by the tests of a module: for those that leave both alive and well."""
    with _console(committed_db_of_module, nursery) as console, console.running_worker():
        yield console


@contextmanager
def _console(database, nursery) -> Iterator[Console]:
    console = Console(database.env, database.data_dir, nursery)
    try:
        console.redis.start()
        with nudges_to(console.redis.url):
            yield console
    finally:
        console.end()


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """The far side: no rate limit, and a session that is closed ends at once."""
    with StandIn(rate_limit=0, switches={"closing-delay": "0"}) as standin:
        yield standin


@pytest.fixture
def source(busy_console, standin) -> Iterator[Source]:
    """A source of its own for one test of a module that shares its console."""
    source = busy_console.add_source(standin)
    yield source
    Source.objects.filter(pk=source.pk).update(paused_at=database_now())
