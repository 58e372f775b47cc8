"""Which process a number means: a pid is given again to another one, so a pid alone must never be killed."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    pid: int
    started: str

    def is_alive(self) -> bool:
        return identify(self.pid) == self


def identify(pid: int) -> Identity | None:
    """The process that has this number now; None where there is none, or where it has ended and waits to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return _identify_with_ps(pid) if not Path("/proc/self/stat").exists() else None
    # The name comes second, in brackets, and may hold blanks and brackets itself.
    state, *rest = stat.rpartition(")")[2].split()
    if state in "ZX":
        return None
    # Ticks since boot, so the boot is part of it: a run file outlives a restart of the machine.
    return Identity(pid, f"{_boot()}/{rest[18]}")


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _identify_with_ps(pid: int) -> Identity | None:
    found = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        env={"PATH": "/bin:/usr/bin", "LC_ALL": "C"},
    )
    state, _, started = found.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else Identity(pid, started.strip())
