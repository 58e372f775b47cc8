"""A PostgreSQL of one's own for as long as a test run takes: on a unix socket, in a temporary folder."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

#: Where distributions put what they don't put on PATH.
FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
OLDEST = 15  # Django 6.1 needs it.


def find() -> Path | None:
    """The folder of the newest PostgreSQL that is new enough."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += [found for pattern in FOLDERS for found in Path("/").glob(pattern.lstrip("/"))]
    usable = [(_version(folder), folder) for folder in folders if (folder / "pg_ctl").exists()]
    return max((each for each in usable if each[0] >= OLDEST), default=(0, None))[1]


def _version(folder: Path) -> int:
    said = subprocess.run([folder / "initdb", "--version"], capture_output=True, text=True).stdout
    number = said.split()[2].partition(".")[0] if len(said.split()) > 2 else ""
    return int(number) if number.isdigit() else 0


@contextmanager
def running(binaries: Path) -> Iterator[str]:
    """Gives its DATABASE_URL. PostgreSQL refuses to run as root, so there it runs as the user `postgres`."""
    owner = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="console-pg-", dir="/tmp") as name:
        folder = Path(name)
        if owner:
            os.chown(folder, owner.pw_uid, owner.pw_gid)

        def run(program: str, *words: str) -> None:
            done = subprocess.run(
                [binaries / program, "-D", folder / "data", *words],
                cwd=folder,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            if done.returncode:
                raise SystemExit(f"{program} of {binaries} failed:\n{done.stdout}")

        run("initdb", "-U", "console", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "max_connections": "300",
            # Nothing here is to outlive the run.
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
        }
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", " ".join(f"-c {k}='{v}'" for k, v in options.items()), "start")
        try:
            yield f"postgres://console@{quote(str(folder), safe='')}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
