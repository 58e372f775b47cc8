"""Each survival test has a database, a Redis and a far side of its own; most also want a worker that runs."""

from collections.abc import Iterator

import pytest

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
    console = Console(committed_db.env, committed_db.data_dir, nursery)
    console.redis.start()
    try:
        with nudges_to(console.redis.url):
            yield console
    finally:
        console.end()


@pytest.fixture
def standin() -> Iterator[StandIn]:
    """The far side: no rate limit, and a session that is closed ends at once."""
    with StandIn(rate_limit=0, switches={"closing-delay": "0"}) as standin:
        yield standin
