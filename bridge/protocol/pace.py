"""How fast one agent may send."""


class Pace:
    """A token bucket of `burst` messages, filled again at `rate` a second (0: no limit).

    Kept as the time at which it would be full again, which is one number and one comparison a message.
    """

    __slots__ = ("_a_message", "_full_at", "_whole")

    def __init__(self, rate: float, burst: float) -> None:
        self._a_message = 1 / rate if rate else 0.0
        self._whole = (burst + 0.25) * self._a_message  # A quarter is for what floating point loses.
        self._full_at = 0.0

    def allows(self, at: float) -> bool:
        full_at = max(self._full_at, at) + self._a_message
        if full_at - at > self._whole:
            return False
        self._full_at = full_at
        return True
