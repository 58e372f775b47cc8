"""The stand-in as a process of its own, for tests and benchmarks."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from agents.webconnect.standin import keys

START_SECONDS = 20.0
ROOT = Path(__file__).resolve().parents[3]

# Never through a proxy that the environment names: this is the same machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class StandInError(Exception):
    """It did not start, or it refused what a test asked of it."""


class StandIn:
    """`with StandIn(agents=5) as standin: requests.get(f"{standin.base_url}/agent/status", …)`

    By itself it has no sessions and nothing happens; its rate limit is the documented one unless
    `rate_limit` says otherwise (0: none). It ends with the test process, however that ends.
    """

    def __init__(
        self,
        *,
        agents: int = 0,
        seed: int = 1,
        tempo: float = 0,
        rate_limit: int | None = None,
        switches: Mapping[str, str] | None = None,
        sessions: Sequence[Mapping[str, object]] = (),
        port: int = 0,
        python: str = sys.executable,
    ) -> None:
        self.port = port
        known = keys.fresh_keys()
        self.read_key, self.disconnect_key, self.full_key = (key.secret for key in known)
        self._python = python
        self._folder = tempfile.TemporaryDirectory(prefix="standin-")
        self._process: subprocess.Popen[str] | None = None
        self._options = ["--agents", str(agents), "--seed", str(seed), "--tempo", str(tempo)]
        values = dict(switches or {})
        if rate_limit is not None:
            values["rate-limit"] = str(rate_limit)
        for name, value in values.items():
            self._options += ["--switch", f"{name}={value}"]
        self._write_files(known, sessions)

    def _write_files(self, known: Sequence[keys.Key], sessions: Sequence[Mapping[str, object]]) -> None:
        folder = Path(self._folder.name)
        keys.write_file(folder / "keys.json", known)
        self._options += ["--keys", str(folder / "keys.json")]
        if sessions:
            (folder / "sessions.json").write_text(json.dumps(list(sessions)), encoding="utf-8")
            self._options += ["--sessions-file", str(folder / "sessions.json")]

    # Its life

    def start(self) -> Self:
        """Also after `kill`: it comes back on the same port, with the state of a first start."""
        command = [self._python, "-m", "agents.webconnect.standin", "--until-input-ends"]
        self._process = subprocess.Popen(
            [*command, "--port", str(self.port), *self._options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._first_line()
        if not line.startswith("Stand-in ready on "):
            self.kill()
            raise StandInError(f"The stand-in did not start: {line.strip() or 'it said nothing'}")
        self.base_url = line.split()[-1]
        self.port = urllib.parse.urlsplit(self.base_url).port or 0
        return self

    def _first_line(self) -> str:
        assert self._process is not None and self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        return self._process.stdout.readline() if readable else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As a crash: every connection breaks, the port refuses."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It still accepts connections (the kernel does), and answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self._folder.cleanup()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    # What tests ask of it

    def control(self, path: str, /, **wanted: object) -> dict[str, Any]:
        """POST to the control API."""
        return self._ask(path, json.dumps(wanted).encode())

    def state(self) -> dict[str, Any]:
        return self._ask("state")

    def sessions(self) -> list[dict[str, Any]]:
        return list(self._ask("sessions")["sessions"])

    def session_ids(self) -> set[str]:
        return {row["sessionId"] for row in self.sessions()}

    def requests(
        self, path: str = "", *, session: str = "", after: int = 0, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """What arrived, oldest first. `path`: part of it; `session`: text in the body; `after`: a number."""
        query = {"path": path, "session": session, "after": str(after)}
        if limit is not None:
            query["limit"] = str(limit)
        return list(self._ask(f"requests?{urllib.parse.urlencode(query)}")["requests"])

    def disconnections(self, session: str = "") -> list[dict[str, Any]]:
        """Each POST that arrived, for one session or all."""
        found = self.requests("/agent/disconnection", session=session)
        return [request for request in found if request["method"] == "POST"]

    def add_sessions(self, count: int, /, **overrides: object) -> list[str]:
        """The IDs of so many new sessions; `overrides` are properties of the list, in its spelling."""
        return list(self.control("sessions", generate=count, overrides=overrides)["added"])

    def add_rows(self, *rows: Mapping[str, object]) -> list[str]:
        return list(self.control("sessions", add=rows)["added"])

    def end_sessions(self, *session_ids: str) -> None:
        """As if the agents had stopped by themselves."""
        self.control("sessions", remove=session_ids)

    def churn(self, count: int) -> None:
        """So many sessions end, so many others begin."""
        self.control("sessions", endSome=count, generate=count)

    def transfer(self, sender: str, **more: object) -> str:
        """Begin a file transfer; its processing ID. `receiver`: another session; `seconds`."""
        return str(self.control("transfers", sender=sender, **more)["processingId"])

    def fault(self, kind: str, endpoint: str = "any", **more: object) -> None:
        """See `faults.py`: `times` (None: always), `skip`, `session`, `applies`, and what the kind takes."""
        self.control("faults", add=[{"kind": kind, "endpoint": endpoint, **more}])

    def clear_faults(self) -> None:
        """Also ends the connections that faults hold open."""
        self.control("faults", clear=True)

    def switch(self, name: str, value: object) -> None:
        self.control("switches", **{name: str(value)})

    def advance(self, seconds: float) -> None:
        self.control("clock", advance=seconds)

    def block(self, seconds: float = 600) -> None:
        """As if the rate limit had been passed just now; 0 ends a block."""
        self._ask("rate-limit", json.dumps({"blockFor": seconds}).encode())

    def set_key(self, name: str, secret: str, scopes: Sequence[str], *, expired: bool = False) -> None:
        """Add a key, or replace the one of that name: `reader`, `disconnector` or `all`."""
        self.control("keys", add=[{"name": name, "key": secret, "scopes": scopes, "expired": expired}])

    def remove_key(self, name: str) -> None:
        self.control("keys", remove=[name])

    def reset(self) -> None:
        self.control("reset")

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.port}/control/{path}"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        try:
            with _opener.open(request, timeout=30) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise StandInError(f"{path}: {error.code} {error.read().decode()}") from None
