"""`python -m bench [NAME…]`: measures, prints a line for each figure, and exits 1 where one misses its bound.

QUICK=1: about a minute, with fewer rounds and bounds twice as loose, for a machine that does other things too.
DATABASE_URL: the figures that hang on the database once more, on a new database of that PostgreSQL server.
"""

import argparse
import os
import subprocess
import sys

from bench.databases import ROOT, fresh_data

NAMES = (
    "bulk",
    "click",
    "readings",
    "pages",
    "pacing",
    "keys",
    "relay",
    "audit_append",
    "audit_export",
    "audit_search",
)
#: Those that need other applications beside the console's.
SETTINGS = {"keys": "bench.settings"}
#: Those whose cost is mostly the database's.
ON_POSTGRESQL = {"bulk", "audit_append", "audit_export", "audit_search"}


def main() -> int:
    parser = argparse.ArgumentParser("python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(NAMES)}; all of them if none is given")
    names = parser.parse_args().names or list(NAMES)
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    quick = os.environ.get("QUICK", "") not in ("", "0")
    missed = 0
    for name in names:
        missed += measure(name, "", quick=quick)
        if name in ON_POSTGRESQL and (url := os.environ.get("DATABASE_URL")):
            missed += measure(name, url, quick=quick)
    return 1 if missed else 0


def measure(name: str, database_url: str, *, quick: bool) -> bool:
    """In a process and a database of its own, so that none disturbs another; True where a bound was missed."""
    where = "PostgreSQL" if database_url else "SQLite"
    print(f"{'QUICK=1 ' if quick else ''}python -m bench {name}   ({where})", flush=True)
    command = [sys.executable, "-m", "bench.one", name, *(["--quick"] if quick else [])]
    with fresh_data(database_url) as environment:
        environment["DJANGO_SETTINGS_MODULE"] = SETTINGS.get(name, "console.settings")
        return subprocess.run(command, cwd=ROOT, env=environment).returncode != 0


if __name__ == "__main__":
    raise SystemExit(main())
