"""Redis is only a wake-up: where it is away, a click waits next to nothing and nothing is lost."""

import socket
import time
from contextlib import suppress

import pytest
from celery import current_app

from agents import services, sweeper, tasks
from agents.models import Disconnection
from agents.services import request_disconnection
from agents.tests.make import ALICE, make_session, make_source, some_token


@pytest.fixture
def broker(monkeypatch):
    """Points publishing at another broker."""

    def use(url):
        monkeypatch.setattr(current_app.conf, "broker_url", url)
        monkeypatch.setattr(current_app.conf, "broker_write_url", url)
        current_app.pool.force_close_all()
        current_app._pool = None

    yield use
    with suppress(Exception):
        current_app.pool.force_close_all()
    current_app._pool = None


def nudged_in(caplog):
    begun = time.monotonic()
    services.nudge(some_token())
    assert "sweep will find" in caplog.text
    return time.monotonic() - begun


def test_where_nobody_listens_it_is_a_log_line_and_quick(broker, caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    broker(f"redis://127.0.0.1:{port}/0")

    assert nudged_in(caplog) < 1.5


def test_where_the_socket_is_missing_it_is_a_log_line_and_quick(broker, caplog, tmp_path):
    broker(f"redis+socket://{tmp_path}/none.sock")

    assert nudged_in(caplog) < 1.5


def test_where_redis_hangs_it_is_a_log_line_and_quick(broker, caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        broker(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")

        assert nudged_in(caplog) < 2.5


def test_an_order_is_on_record_without_redis(committed_db, broker, tmp_path):
    broker(f"redis+socket://{tmp_path}/none.sock")
    session = make_session(make_source())

    operation = request_disconnection(sessions=[session], reason="x", actor=ALICE, token=some_token())

    assert Disconnection.objects.get().operation == operation


def test_a_task_that_comes_twice_or_too_late_does_no_harm(db, monkeypatch):
    sent = []
    monkeypatch.setattr(tasks.sending, "send_operation", lambda pk: sent.append(pk))
    token = some_token()

    tasks.send_operation(operation_id=str(token))
    tasks.send_operation(operation_id=str(token))

    assert sent == [token, token]


def test_beats_reminder_wakes_the_sweep():
    sweeper._woken.clear()

    tasks.sweep()

    assert sweeper._woken.is_set()
