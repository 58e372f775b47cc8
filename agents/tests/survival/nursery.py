"""Starts workers quickly: it has imported Celery and Django already, and forks.

    python -m agents.tests.survival.nursery

Most of the three seconds in which a worker starts is importing, and these tests start dozens. Each line of standard
input is JSON `{"words", "env", "log"}`, what `python -m WORDS…` would be run with; the answer is a process ID. Nothing
of the console and no settings are imported here, so a child is as good as a new process. Ends with its input, and its
children with it.
"""

import ctypes
import importlib
import json
import os
import runpy
import signal
import sys
import traceback
from typing import Any

_HEAVY = """
celery celery.bin.celery celery.bin.worker celery.apps.worker celery.worker.consumer celery.concurrency.thread
kombu.transport.redis redis requests cryptography.fernet dj_database_url whitenoise.middleware gunicorn.app.wsgiapp
gunicorn.workers.gthread django.contrib.auth django.core.management django.db.models django.forms django.template
django.test django.urls
"""
_PR_SET_PDEATHSIG = 1


def main() -> None:
    for name in _HEAVY.split():
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children, so none may stay as a zombie
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _become(**json.loads(line))
        print(pid, flush=True)


def _become(words: list[str], env: dict[str, str], log: str) -> None:
    code: Any = 1
    try:
        os.setsid()
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        nothing, output = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = list(words)
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    main()
