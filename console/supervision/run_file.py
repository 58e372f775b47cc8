"""One `up` for each data directory, and what the one before left running when it was killed."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from console.supervision.identity import Identity
from console.supervision.running import send_to_group


class AlreadyRunning(Exception):
    def __init__(self, pid: str) -> None:
        super().__init__(pid)
        self.pid = pid


class RunFile:
    """Holds a lock on `up.lock` until the process ends; `up.children` names the processes that were started."""

    def __init__(self, folder: Path) -> None:
        self._children = folder / "up.children"
        self._lock = open(folder / "up.lock", "a+")  # noqa: SIM115
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            with self._lock:
                raise AlreadyRunning(self._lock.read().strip()) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()

    def note(self, running: Mapping[str, Identity]) -> None:
        draft = self._children.with_suffix(".draft")
        draft.write_text(json.dumps({name: asdict(identity) for name, identity in running.items()}, indent=1))
        draft.replace(self._children)

    def leftovers(self) -> list[Identity]:
        """Those of the `up` before that still run; the same number with another start is another process."""
        try:
            noted = json.loads(self._children.read_text())
            return [identity for identity in (Identity(**each) for each in noted.values()) if identity.is_alive()]
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return []

    def close(self) -> None:
        """After an orderly end nothing is left."""
        self._children.unlink(missing_ok=True)
        self._lock.close()


def end_all(leftovers: Iterable[Identity], *, within: float) -> None:
    """SIGTERM to each one's group, SIGKILL to those that live on after `within` seconds."""
    alive = list(leftovers)
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for identity in alive:
            if identity.is_alive():
                send_to_group(identity.pid, signum)
        deadline = time.monotonic() + within
        while alive and time.monotonic() < deadline:
            time.sleep(0.05)
            alive = [identity for identity in alive if identity.is_alive()]
