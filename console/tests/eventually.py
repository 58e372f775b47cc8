import time
from collections.abc import Callable


def eventually[T](look: Callable[[], T], *, within: float = 30, every: float = 0.1) -> T:
    """The first truthy answer of `look`; fails after `within` seconds, with what the last answer was."""
    deadline = time.monotonic() + within
    while not (seen := look()):
        assert time.monotonic() < deadline, f"not within {within} s; the last look saw {seen!r}"
        time.sleep(every)
    return seen
