"""`manage.py up` on real processes."""

import json
import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from console import bundled_redis
from console.tests.eventually import eventually
from console.tests.real_console import START, RealConsole, alive

# The tests of one running console are kept in one process of pytest-xdist.
pytestmark = pytest.mark.xdist_group("up")

QUICK = {"CONSOLE_HEARTBEAT_SECONDS": "0.5", "CONSOLE_HEARTBEAT_SILENCE_SECONDS": "4", "CONSOLE_STOP_SECONDS": "3"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealConsole]:
    with RealConsole(tmp_path_factory.mktemp("up"), **QUICK) as console:
        console.start()
        yield console


def is_ready(console: RealConsole) -> bool:
    return console.get("/readyz")[0] == 200


def test_it_becomes_ready(console: RealConsole) -> None:
    eventually(lambda: is_ready(console), within=START)

    assert json.loads(console.get("/readyz")[1]) == {"ready": True, "wrong": {}}
    assert console.all_parts()
    assert f"runs at http://127.0.0.1:{console.port}/" in console.log()


def test_it_listens_on_loopback_only(console: RealConsole) -> None:
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]

    assert {local for _, local, *_ in listening if local.endswith(f":{console.port:04X}")} == {
        f"0100007F:{console.port:04X}"
    }


def test_it_keeps_its_folder_to_itself(console: RealConsole) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(console.data_dir) == mode(bundled_redis.socket_path(console.data_dir).parent) == 0o700
    assert {mode(path) for path in (console.data_dir / "secrets").iterdir()} == {0o600}


def test_a_second_one_on_the_same_folder_is_refused(console: RealConsole) -> None:
    assert console.process
    second = console.up("--port", str(console.port + 1))
    said, _ = second.communicate(timeout=START)

    assert second.returncode == 1
    assert f"already runs on {console.data_dir} (pid {console.process.pid})" in said


def test_a_frozen_worker_is_started_again(console: RealConsole) -> None:
    """Its process and its connection are still there: only its heartbeat tells."""
    eventually(lambda: is_ready(console), within=START)
    frozen = console.parts()["worker"]

    os.kill(frozen, signal.SIGSTOP)

    eventually(lambda: console.parts().get("worker") not in (None, frozen), within=60)
    assert "worker has shown no sign of life for 4 s" in console.log()
    assert not alive(frozen)


def test_a_killed_worker_comes_back(console: RealConsole) -> None:
    eventually(lambda: is_ready(console), within=START)
    killed = console.parts()["worker"]

    os.kill(killed, signal.SIGKILL)

    eventually(lambda: console.parts().get("worker") not in (None, killed))
    assert "worker was ended by SIGKILL; it is started again" in console.log()


def test_one_time_links_stay_out_of_the_log(console: RealConsole) -> None:
    console.get("/accounts/link/not-a-real-secret/")

    eventually(lambda: "/accounts/link/[hidden]/" in console.log())
    assert "not-a-real-secret" not in console.log()


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RealConsole]:
    with RealConsole(tmp_path) as console:
        yield console


def test_after_sigkill_nothing_runs_twice(fresh: RealConsole) -> None:
    fresh.start()
    first = eventually(lambda: fresh.all_parts())
    os.kill(first["beat"], signal.SIGSTOP)  # So that its parent's death does not end it at once.

    fresh.end(signal.SIGKILL)
    fresh.start()

    second = eventually(lambda: fresh.all_parts())
    assert not [name for name, pid in first.items() if pid not in second.values() and alive(pid)]

    assert fresh.end(signal.SIGTERM) == 0
    assert not [name for name, pid in second.items() if alive(pid)]
    assert fresh.log().rstrip().endswith("Everything has ended.")


def test_a_taken_port_is_one_sentence(fresh: RealConsole) -> None:
    with socket.create_server(("127.0.0.1", fresh.port)):
        process = fresh.up("--port", str(fresh.port))
        said, _ = process.communicate(timeout=START)

    assert process.returncode == 1
    assert said.startswith(f"CommandError: Port {fresh.port} of 127.0.0.1 can't be used: Address already in use.")
    assert said.count("\n") == 1
    assert fresh.parts() == {}


def test_an_unreachable_database_is_one_sentence(fresh: RealConsole) -> None:
    fresh.environment["DATABASE_URL"] = "postgres://console:hunter2@127.0.0.1:1/console"

    process = fresh.up("--port", str(fresh.port))
    said, _ = process.communicate(timeout=START)

    assert process.returncode == 1
    assert said.startswith("CommandError: The database can't be reached: ")
    assert said.count("\n") == 1
    assert "hunter2" not in said
