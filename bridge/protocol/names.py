"""The names that agents go by."""

import unicodedata
from collections.abc import Container

UNNAMED = "desktop-agent"


def assigned(requested: str, taken: Container[str], longest: int) -> str:
    """The requested name if it is free, otherwise one made from it (R14).

    A name is free again as soon as its agent has left, so one that returns gets its old name where it can (R16).
    """
    name = _presentable(requested)[:longest].strip() or UNNAMED
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        suffix = f"-{number}"
        candidate = name[: longest - len(suffix)] + suffix
    return candidate


def _presentable(name: str) -> str:
    """Without line ends and other characters that no list could show, and trimmed."""
    shown = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Cf", "Cs") else each for each in name)
    return " ".join(shown.split())
