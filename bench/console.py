"""The console under measurement: started as a person starts it, with sources on a stand-in."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import requests
from django.conf import settings
from django.test import Client

from agents import readings, sources
from agents.credentials import Secret
from agents.models import AgentSession, Credential, Disconnection, Operation, Source
from agents.webconnect.kind import WEBCONNECT
from agents.webconnect.models import WebConnectSource
from agents.webconnect.standin.process import StandIn
from apikeys.actors import command_line_actor
from bench.databases import ROOT
from bench.measure import wait_until
from console.models import User
from console.supervision import die_with_parent

READY = "Agent Console runs at"
ENDPOINT = "bench.example"


class Console:
    """`manage.py up --no-demo`: its web, worker, beat and Redis, on the database of this process."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._said: deque[str] = deque(maxlen=40)
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        up = [sys.executable, str(ROOT / "manage.py"), "up", "--no-demo", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", die_with_parent.__file__, str(os.getpid()), *up],
            cwd=ROOT,
            env={**os.environ, "CONSOLE_LOG_LEVEL": "WARNING"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        if not self._ready.wait(120) or self._process.poll() is not None:
            self._process.kill()
            raise RuntimeError("The console did not start:\n" + "\n".join(self._said))
        return self

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line.rstrip())
            if READY in line:
                self._ready.set()
        self._ready.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error:
            print("\n".join(self._said), file=sys.stderr)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def web(environment: Mapping[str, str]) -> Iterator[str]:
    """A web as `up` starts it, alone, on the console of this environment; gives its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "--config", "python:console.gunicorn_config", "console.wsgi"],
        cwd=ROOT,
        env={**environment, "CONSOLE_PORT": str(port), "CONSOLE_URL": url},
    )
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), "the web answers", every=0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/livez", timeout=5).ok
    except requests.ConnectionError:
        return False


def signed_in() -> requests.Session:
    """A browser in which an Administrator is signed in."""
    client = Client()
    client.force_login(User.objects.create(username="bench", is_superuser=True))
    browser = requests.Session()
    browser.cookies.set(settings.SESSION_COOKIE_NAME, client.cookies[settings.SESSION_COOKIE_NAME].value)
    return browser


def add_source(standin: StandIn, *, name: str = "bench", requests_per_minute: int = 0, polling: float = 60) -> Source:
    """A source on the stand-in. It is polled seldom, so that what it is compared with is not disturbed."""
    return sources.add_source(
        source=Source(name=name, kind=WEBCONNECT.name, polling_seconds=polling),
        own=WebConnectSource(base_url=standin.base_url),
        contract="bench",  # One for all sources: they share a remote and a key.
        requests_per_minute=requests_per_minute,
        secrets={
            Credential.Purpose.READING: Secret(standin.read_key),
            Credential.Purpose.DISCONNECTING: Secret(standin.disconnect_key),
        },
        actor=command_line_actor(),
    )


def new_sessions(standin: StandIn, count: int) -> list[str]:
    """The IDs of so many new sessions that can all be disconnected."""
    return standin.add_sessions(count, endpoint=ENDPOINT, agentVersion="1.2.3", supportingDisconnectApi=True)


def disconnect_call(standin: StandIn, session_id: str) -> dict[str, Any]:
    """What `requests` needs to make the same call as the console."""
    return {
        "url": f"{standin.base_url}/agent/disconnection",
        "json": {"sessionId": session_id, "endpoint": ENDPOINT},
        "headers": {"Authorization": f"Bearer {standin.disconnect_key}"},
    }


def read_until_listed(source: Source, session_ids: list[str]) -> list[AgentSession]:
    """Read the source until it has these sessions, in this order."""

    def known() -> dict[str, AgentSession]:
        live = AgentSession.objects.filter(source=source).live().select_related("source__contract")
        return {session.session_id: session for session in live}

    def all_known() -> bool:
        readings.read_source(source.pk)
        return known().keys() >= set(session_ids)

    wait_until(all_known, "all sessions listed")
    by_id = known()
    return [by_id[session_id] for session_id in session_ids]


def wait_until_finished(operation: Operation) -> None:
    rows = Disconnection.objects.open().filter(operation=operation)
    wait_until(lambda: not rows.exists(), "every disconnection has its outcome", every=0.05)
