from collections import deque

from agents.webconnect.standin.switches import Switches

WINDOW = 60.0


class Blocked(Exception):  # noqa: N818 - it is an answer, not an error of ours
    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


class RateLimit:
    """So many requests a minute for the whole contract, then everything is refused for ten minutes."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._counted: deque[float] = deque()
        self.blocked_until = 0.0

    def take(self, at: float) -> None:
        """Count a request, or raise Blocked."""
        limit = int(self._switches.number("rate-limit"))
        if not limit:
            return
        if at < self.blocked_until:
            if self._switches["refused-requests"] == "prolong":
                self.blocked_until = at + self._switches.number("block")
            raise Blocked(self.blocked_until)
        self._forget(at)
        if len(self._counted) >= limit:
            self._counted.clear()
            self.blocked_until = at + self._switches.number("block")
            raise Blocked(self.blocked_until)
        self._counted.append(at)

    def counted(self, at: float) -> int:
        self._forget(at)
        return len(self._counted)

    def _forget(self, at: float) -> None:
        counted = self._counted
        if not counted:
            return
        match self._switches["rate-window"]:
            case "sliding":
                while counted and counted[0] <= at - WINDOW:
                    counted.popleft()
            case "clock-minute":
                if at // WINDOW != counted[0] // WINDOW:
                    counted.clear()
            case _:
                if at >= counted[0] + WINDOW:
                    counted.clear()
