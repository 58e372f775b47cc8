"""/metrics: who may read it, and what it says."""

import pytest

from agents.tests.make import make_disconnection, make_session, make_source
from apikeys.tests.factory import bearer, make_key
from console import heartbeats


@pytest.fixture
def source(db):
    source = make_source()
    make_disconnection(make_session(source))
    make_session(source, "s2")
    return source


def lines(answer):
    assert answer.status_code == 200
    return answer.content.decode().splitlines()


def test_it_tells_this_machine_of_everything(client, source):
    heartbeats.write("worker one@host")

    told = lines(client.get("/metrics"))

    assert f'console_sessions{{source="{source.name}"}} 2.0' in told
    assert 'console_disconnections_open{state="queued"} 1.0' in told
    assert any(line.startswith("console_worker_age_seconds ") for line in told)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"REMOTE_ADDR": "192.0.2.7"},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Forwarded": "for=127.0.0.1"}},
        {"REMOTE_ADDR": ""},
    ],
)
def test_others_need_a_key(client, source, elsewhere):
    answer = client.get("/metrics", **elsewhere)

    assert answer.status_code == 401 and b"console_sessions" not in answer.content


def test_a_key_reads_it_from_anywhere_with_the_scope(client, source):
    _, text = make_key("prometheus", "source:get")
    _, other = make_key("other", "agent:get")

    assert f'console_sessions{{source="{source.name}"}} 2.0' in lines(
        client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers=bearer(text))
    )
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers=bearer(other)).status_code == 403


def test_a_key_is_told_only_of_its_sources(client, source):
    elsewhere = make_source(name="elsewhere")
    _, text = make_key("prometheus", "source:get", all_sources=False, sources=[elsewhere.name])

    answer = client.get("/metrics", REMOTE_ADDR="192.0.2.7", headers=bearer(text))

    told = answer.content.decode()
    assert "elsewhere" in told and source.name not in told and 'state="queued"' not in told
