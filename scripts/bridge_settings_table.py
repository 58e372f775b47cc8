"""Writes the table of the bridge's own settings into docs/bridge.md (`make fix`); a test fails while the two differ."""

import dataclasses
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "bridge.md"
HEAD = "| variable | default |\n|---|---|\n"

#: The one follows from whether somebody checks tokens, the other is no choice.
NO_SETTINGS = ("auth_required", "bridge_version")


def table() -> str:
    from bridge.protocol.settings import HubSettings
    from bridge.server.settings import PREFIX, BridgeSettings

    fields = [*dataclasses.fields(BridgeSettings), *dataclasses.fields(HubSettings)]
    return "".join(
        f"| `{PREFIX}{field.name.upper()}` | {_shown(field.default)} |\n"
        for field in fields
        if field.name not in NO_SETTINGS
    )


def _shown(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return f"{value:.10g}" if isinstance(value, float) else value or "none"


def main() -> None:
    sys.path.insert(0, str(PROJECT))
    before, _, rest = PAGE.read_text().partition(HEAD)
    after = rest[rest.index("\n\n") + 1 :]
    PAGE.write_text(f"{before}{HEAD}{table()}{after}")


if __name__ == "__main__":
    main()
