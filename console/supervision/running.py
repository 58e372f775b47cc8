"""A process that runs: one that we started, in a group of its own, or one that was found running and taken over."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from console.supervision.child import Child
from console.supervision.identity import Identity, identify

WRAPPER = Path(__file__).with_name("die_with_parent.py")


class Running(Protocol):
    identity: Identity | None

    def wait(self) -> int | None:
        """Returns when it has ended, with its code where that can be known. Called in a thread of its own."""

    def send(self, signum: signal.Signals) -> None: ...


class Started:
    """Must be made in a thread that lives as long as the children are to: Linux's death signal goes by the thread."""

    def __init__(self, child: Child, say: Callable[[str], None]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", str(WRAPPER), str(os.getpid()), *child.command, *child.arguments()],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **child.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in the terminal reaches `up` alone, which then ends its children in order.
            start_new_session=True,
        )
        self.identity = identify(self._process.pid)
        threading.Thread(target=self._read, args=(say,), daemon=True).start()

    def _read(self, say: Callable[[str], None]) -> None:
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                if line.strip():
                    say(line.rstrip())

    def wait(self) -> int:
        # While it is not reaped its number is taken, so that this can reach no other group than its own.
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            self.send(signal.SIGKILL)
        return self._process.wait()

    def send(self, signum: signal.Signals) -> None:
        send_to_group(self._process.pid, signum)


class Adopted:
    """Not our child, so its end can only be looked for."""

    def __init__(self, identity: Identity, every: float = 0.5) -> None:
        self.identity: Identity | None = identity
        self._every = every

    def wait(self) -> None:
        while self.identity and self.identity.is_alive():
            time.sleep(self._every)

    def send(self, signum: signal.Signals) -> None:
        if self.identity and self.identity.is_alive():
            os.kill(self.identity.pid, signum)


def send_to_group(pid: int, signum: signal.Signals) -> None:
    # Ended already; macOS says "not permitted" of a group of which only zombies are left.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signum)
