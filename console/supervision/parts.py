"""The parts of the console on one machine: what `up` starts, and how each shows that it lives."""

import socket
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from console import broker, bundled_redis, heartbeats
from console.supervision.bridge import bridge_beat, bridge_port, bridge_process
from console.supervision.child import Child, Look
from console.supervision.demo import demo_process
from console.supervision.demo_agents import demo_agents


def parts(*, port: int, url: str, demo: bool, bridge: bool) -> Iterator[Child]:
    env = {"CONSOLE_URL": url, "CONSOLE_PORT": str(port)}
    if not settings.REDIS_URL:
        yield redis_part(settings.CONSOLE_DATA_DIR)
    command = demo_process() if demo else None
    if command:
        yield Child("standin", command, env, stage=1)
    yield _worker(f"up-{port}@{socket.gethostname()}", env)
    yield _beat(env)
    command = bridge_process() if bridge else None
    if command:
        yield _bridge(command, env)
        if demo:
            yield from demo_agents(env)
    yield _web(port, env)


def redis_part(data_dir: Path) -> Child:
    def answering() -> int | None:
        return bundled_redis.answering_pid(data_dir)

    return Child(
        "redis",
        bundled_redis.command(data_dir),
        stage=0,
        ready=lambda: answering() is not None,
        adopt=answering,
        log=bundled_redis.log_path(data_dir),
    )


def _worker(hostname: str, env: dict[str, str]) -> Child:
    command = _celery("worker", "--hostname", hostname, "--loglevel", "INFO", "--without-gossip", "--without-mingle")
    return Child("worker", command, env, stage=2, look=_row_look(heartbeats.worker(hostname)))


def _beat(env: dict[str, str]) -> Child:
    def a_worker_is_at_work() -> bool:
        """It writes the row that beat asks for, so without one nothing can be told of beat."""
        return heartbeats.any_worker_since(timezone.now() - settings.CONSOLE_HEARTBEAT_SILENCE)

    command = _celery("beat", "--loglevel", "WARNING", "--pidfile=")
    # Last, so that the page is there sooner: each start is two seconds of imports.
    return Child("beat", command, env, stage=3, look=_row_look(heartbeats.BEAT, fair=a_worker_is_at_work))


def _bridge(command: list[str], env: dict[str, str]) -> Child:
    def listens() -> bool:
        close_old_connections()
        return bridge_port() is not None

    return Child("bridge", command, env, stage=3, ready=listens, look=_look(bridge_beat))


def _web(port: int, env: dict[str, str]) -> Child:
    def answers() -> bool:
        return _get_status(port, "/livez") == 200

    return Child(
        "web",
        [sys.executable, "-m", "gunicorn", "--config", "python:console.gunicorn_config", "console.wsgi"],
        env,
        stage=2,
        ready=answers,
        look=lambda: Look.BEATING if answers() else Look.SILENT,
    )


def _celery(*words: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "--app", "console", *words]


def _get_status(port: int, path: str) -> int | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def _row_look(name: str, *, fair: Callable[[], bool] = lambda: True) -> Callable[[], Look]:
    """Beating when the row has changed since the last look: no clock is compared with another."""
    return _look(lambda: heartbeats.last(name), fair=lambda: not broker.trouble() and fair())


def _look(beat: Callable[[], datetime | None], *, fair: Callable[[], bool] = lambda: True) -> Callable[[], Look]:
    before: datetime | None = None

    def look() -> Look:
        nonlocal before
        close_old_connections()
        try:
            if not fair():
                return Look.UNFAIR
            now = beat()
        except DatabaseError:
            return Look.UNFAIR
        changed, before = now != before, now
        return Look.BEATING if changed else Look.SILENT

    return look
