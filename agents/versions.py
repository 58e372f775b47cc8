"""Versions of agents as numbers that sort: `2.0.0` is below `2.10.0`."""

import re

_PART = 100_000
_VERSION = re.compile(r"(\d{1,5})(?:\.(\d{1,5}))?(?:\.(\d{1,5}))?")

#: The first version that can be disconnected (HULFT-WebConnect Site API guide, AgentDisconnectParameter).
FIRST_DISCONNECTABLE = "1.2.0"


def version_number(text: str) -> int | None:
    """`major.minor.patch` as one number, missing parts as 0; None where the text does not begin with a version."""
    match = _VERSION.match(text.strip())
    if not match:
        return None
    major, minor, patch = (int(part or 0) for part in match.groups())
    return (major * _PART + minor) * _PART + patch


def version_number_exactly(text: str) -> int | None:
    """The same for text that is a version and nothing else."""
    return version_number(text) if _VERSION.fullmatch(text.strip()) else None
