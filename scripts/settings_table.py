"""Writes the table of settings into docs/operating.md (`make fix`); a test fails while the two differ."""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "operating.md"
HEAD = "| setting | default | meaning |\n|---|---|---|\n"


def main() -> None:
    sys.path.insert(0, str(PROJECT))
    from console import settings  # noqa: F401
    from console.environment import SETTINGS

    rows = [
        f"| `{each.name}` | {f'`{each.default}`' if each.default else 'none'} | {each.meaning} |\n"
        for each in SETTINGS.values()
    ]
    before, _, rest = PAGE.read_text().partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :]
    PAGE.write_text(f"{before}{HEAD}{''.join(rows)}{after}")


if __name__ == "__main__":
    os.environ.pop("CONSOLE_PORT", None)  # It is part of another one's default.
    main()
