"""Writes the table of errors into docs/api.md: `python scripts/error_table.py`."""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
DOCS = PROJECT / "docs" / "api.md"
MARK = "<!-- made from apikeys/errors.py by scripts/error_table.py; a test compares the two -->\n"


def table() -> str:
    from apikeys.errors import Problem

    rows = [f"| `{each.code}` | {each.status} | {each.message} | {each.advice} |" for each in Problem]
    return "\n".join(["| code | status | says | what to do |", "|---|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    import django

    django.setup()
    DOCS.write_text(DOCS.read_text().partition(MARK)[0] + MARK + table())
