"""One readable log of several processes: who says it, a bar, what is said."""

import contextlib
import sys
import threading
from typing import TextIO

COLOURS = {"up": "1", "web": "36", "worker": "32", "beat": "35", "redis": "31", "standin": "33", "bridge": "34"}


class Output:
    def __init__(self, stream: TextIO | None = None, width: int = 7) -> None:
        self._stream = stream or sys.stdout
        self._width = width
        self._colour = self._stream.isatty()
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        prefix = f"{name:<{self._width}} │"
        if self._colour:
            prefix = f"\033[{COLOURS.get(name, '37')}m{prefix}\033[0m"
        # Where the terminal or the pipe is gone, what is supervised goes on all the same.
        with self._lock, contextlib.suppress(OSError):
            self._stream.write(f"{prefix} {text}\n")
            self._stream.flush()
