from collections.abc import Iterator

import pytest
import requests

from agents.webconnect.standin.process import StandIn


@pytest.fixture(scope="package")
def process() -> Iterator[StandIn]:
    with StandIn(rate_limit=0) as standin:
        yield standin


@pytest.fixture
def standin(process: StandIn) -> StandIn:
    """A real process, as it was at its start."""
    process.reset()
    return process


@pytest.fixture
def client(standin: StandIn) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {standin.full_key}"
        yield session
