import pytest

from agents.tests.make import FakeRemote, make_source


@pytest.fixture
def remote(monkeypatch):
    """The source's remote, played by the test."""
    return FakeRemote(monkeypatch)


@pytest.fixture
def source(db):
    return make_source()
