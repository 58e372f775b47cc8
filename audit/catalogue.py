"""The catalogue of actions as docs/audit.md holds it."""

from audit.actions import Action


def catalogue() -> str:
    """A Markdown table; a test compares it with the one in the docs."""
    rows = [f"| `{action.value}` | {action.label} |" for action in Action]
    return "\n".join(["| action | says |", "|---|---|", *rows])
