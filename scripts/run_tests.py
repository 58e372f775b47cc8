"""`make test`: the suite on SQLite and on PostgreSQL, with a loud word at the end on what could not be tested here.

CONSOLE_REQUIRE_ALL=1 makes whatever is left out a failure. Words after it go to pytest.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import private_postgres

ROOT = Path(__file__).resolve().parents[1]
#: What is tested once is enough: the bridge and its client know no database.
WITHOUT_DATABASE = [
    f"--ignore-glob=bridge/tests/test_{part}*" for part in ("client", "hub", "messages", "rules", "server", "survival")
]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main(words: list[str]) -> int:
    left_out = []
    environment = {**os.environ}
    environment.pop("DATABASE_URL", None)

    if not any(shutil.which(name) for name in BROWSERS):
        left_out.append("Browser tests: no Chromium is installed (Debian: apt-get install chromium).")
    if not shutil.which("javac"):
        left_out.append(
            "The manual's Java program: no JDK is installed (Debian: apt-get install default-jdk-headless)."
        )

    if not shutil.which("node") or not (ROOT / "bridge" / "tests" / "node" / "node_modules").is_dir():
        left_out.append(
            "The official FDC3 types: Node, npm or what it installs is missing (Debian: apt-get install nodejs npm)."
        )

    print("--- On SQLite ---", flush=True)
    codes = [_pytest(words, environment)]

    binaries = private_postgres.find()
    if binaries is None:
        left_out.append(
            f"PostgreSQL: no initdb of version {private_postgres.OLDEST} or newer was found "
            "(Debian: apt-get install postgresql)."
        )
    else:
        print(f"\n--- On PostgreSQL ({binaries}) ---", flush=True)
        with private_postgres.running(binaries) as url:
            codes.append(_pytest([*WITHOUT_DATABASE, *words], {**environment, "DATABASE_URL": url}))

    _say_what_was_left_out(left_out)
    if left_out and os.environ.get("CONSOLE_REQUIRE_ALL"):
        print("CONSOLE_REQUIRE_ALL is set, so this is a failure.")
        codes.append(1)
    return max(codes)


def _pytest(words: list[str], environment: dict[str, str]) -> int:
    # `loadgroup` keeps tests of one xdist_group in one process: they share a console that really runs.
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadgroup", "-rs", *words]
    return subprocess.run(command, env=environment).returncode


def _say_what_was_left_out(left_out: list[str]) -> None:
    if not left_out:
        print("\nNothing was left out: SQLite, PostgreSQL, the browser, a JDK and Node were all here.")
        return
    print("\n" + "!" * 78)
    print("LEFT OUT, because this machine lacks it:")
    for line in left_out:
        print(f"  * {line}")
    print("!" * 78)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
