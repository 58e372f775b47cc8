"""Becomes another program that gets SIGTERM when the process that started it dies, where the system can do that.

    python -S -E die_with_parent.py PARENT_PID COMMAND...

A program of its own rather than a `preexec_fn`: that one runs Python between fork and exec of a process with threads,
where it can hang for ever. It is run as a file, so that it imports nothing of the console and costs 20 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It died before the line above.
            sys.exit("The process that started this one is gone.")
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
