"""`manage.py up` as a real process, on a data folder and a database of its own."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from console.supervision.identity import identify
from console.tests.eventually import eventually

PROJECT = Path(__file__).resolve().parents[2]
#: A start is many imports; other tests run beside it.
START = 90


class RealConsole:
    def __init__(self, folder: Path, **settings: str) -> None:
        self.data_dir = folder
        self.port = free_port()
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "console.settings",
            "CONSOLE_DATA_DIR": str(folder),
            "CONSOLE_WEB_WORKERS": "1",
            **settings,
        }
        if os.environ.get("DATABASE_URL"):
            self.environment["DATABASE_URL"] = _new_database(os.environ["DATABASE_URL"])
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        """Whatever has failed, nothing of it runs on."""
        if self.process and self.process.poll() is None:
            self.end(signal.SIGTERM)

    def start(self) -> None:
        with open(self.data_dir / "up.log", "a") as log:
            before = log.tell()
            self.process = self.up("--no-demo", "--port", str(self.port), stdout=log)
        # Not `/livez`: for a moment the web of one that was killed just now may still answer.
        eventually(lambda: "Agent Console runs at" in self.log()[before:] or self._fail_if_ended(), within=START)

    def _fail_if_ended(self) -> None:
        assert self.process and self.process.poll() is None, self.log()

    def up(self, *words: str, stdout: object = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "manage.py", "up", *words],
            cwd=PROJECT,
            env=self.environment,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, signum: signal.Signals = signal.SIGTERM) -> int:
        assert self.process
        self.process.send_signal(signum)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def get(self, path: str) -> tuple[int | None, str]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, HTTPException):
            return None, ""
        finally:
            connection.close()

    def log(self) -> str:
        return (self.data_dir / "up.log").read_text()

    def all_parts(self) -> dict[str, int] | None:
        """As `parts`, once all of them run."""
        parts = self.parts()
        return parts if {"redis", "worker", "beat", "web", "bridge"} <= set(parts) else None

    def parts(self) -> dict[str, int]:
        """Name and pid of each part, as `up` has noted them."""
        try:
            noted = json.loads((self.data_dir / "up.children").read_text())
        except FileNotFoundError:
            return {}
        return {name: each["pid"] for name, each in noted.items()}


def alive(pid: int) -> bool:
    return identify(pid) is not None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _new_database(url: str) -> str:
    import psycopg

    name = f"up_{secrets.token_hex(6)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
    return urlsplit(url)._replace(path=f"/{name}").geturl()
