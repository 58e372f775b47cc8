"""The versions of FDC3 that differ on the wire, and the one that an agent speaks."""

import re
from enum import Enum


class Version(Enum):
    V2_1 = "2.1"
    V2_2 = "2.2"
    NEXT = "3.0"


SUPPORTED = tuple(version.value for version in Version)


def version_of(fdc3_version: str) -> Version | None:
    """What an agent speaks that says so of itself: the nearest version that is not newer. None: older than all."""
    numbers = re.match(r"([0-9]{1,4})\.([0-9]{1,4})(?![0-9])", fdc3_version)
    if numbers is None:
        return None
    said = int(numbers[1]), int(numbers[2])
    if said >= (3, 0):
        return Version.NEXT
    if said >= (2, 2):
        return Version.V2_2
    return Version.V2_1 if said == (2, 1) else None
