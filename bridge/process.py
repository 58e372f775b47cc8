"""Which process runs a bridge: one at a time, by a row that it keeps alive.

A process that was killed leaves its row behind. On the same machine one sees at once that it is gone; else its sign of
life has to stay away for as long as silence means anything. A process that finds its row taken over ends.
"""

import os
import socket
import time
from datetime import datetime
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from agents.clock import database_now
from agents.models import Source
from agents.readings import take_over
from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import Target, record
from bridge.models import BridgeProcess

_LOOK_EVERY = 0.1


class RunsAlready(Exception):
    def __init__(self, source: Source, process: BridgeProcess) -> None:
        super().__init__(f"The bridge {source.name} is run already, by {process.name}. End that one first.")


class Tenure:
    """This process's hold on a bridge."""

    def __init__(self, source: Source, token: UUID) -> None:
        self.source, self.token = source, token

    @property
    def _mine(self) -> Q:
        return Q(source=self.source, token=self.token)

    def begin(self, port: int) -> None:
        """The bridge listens."""
        with transaction.atomic(durable=True):
            BridgeProcess.objects.filter(self._mine).update(port=port, beat_at=database_now())
            take_over(self.source)  # The former one may have been killed at reading.
            record(
                Action.BRIDGE_STARTED, actor=CONSOLE, target=_target(self.source), port=port, process=_name_of_this()
            )

    def beat(self) -> bool:
        """Still here; False where another process has taken over."""
        return bool(BridgeProcess.objects.filter(self._mine).update(beat_at=database_now()))

    def end(self, why: str) -> None:
        with transaction.atomic(durable=True):
            if BridgeProcess.objects.filter(self._mine).update(token=None, port=None, beat_at=database_now()):
                record(Action.BRIDGE_STOPPED, actor=CONSOLE, target=_target(self.source), reason=why)


def take(source: Source) -> Tenure:
    """Make this process the one that runs the bridge. Raises `RunsAlready`, after waiting for a sign of life."""
    tenure = Tenure(source, uuid4())
    at = database_now()
    columns = {"token": tenure.token, "name": _name_of_this(), "port": None, "started_at": at, "beat_at": at}
    process, made = BridgeProcess.objects.get_or_create(source=source, defaults=columns)
    if made:
        return tenure
    _wait_until_gone(source, process)
    seen = BridgeProcess.objects.filter(source=source, token=process.token, beat_at=process.beat_at)
    if not seen.update(**columns):
        raise RunsAlready(source, BridgeProcess.objects.get(source=source))
    return tenure


def _wait_until_gone(source: Source, process: BridgeProcess) -> None:
    """Until it is certain that this one is; its next sign of life is looked for, so no clocks are compared."""
    deadline = time.monotonic() + settings.CONSOLE_BRIDGE_SILENCE.total_seconds()
    if process.token is None or _has_ended(process.name):
        return
    while time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY)
        now = BridgeProcess.objects.get(source=source)
        if now.token is None:
            return process.refresh_from_db()
        if (now.token, now.beat_at) != (process.token, process.beat_at):
            raise RunsAlready(source, now)


def _name_of_this() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"[:200]


def _has_ended(name: str) -> bool:
    """Whether it was of this machine, and is no more."""
    words = name.split()
    if words[2:] != f"on {socket.gethostname()}".split() or not words[1].isdigit():
        return False
    try:
        os.kill(int(words[1]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(words[1]) == os.getpid()


def alive_since() -> datetime:
    """Whoever has shown a sign of life since then is alive."""
    moment: datetime = database_now() - settings.CONSOLE_BRIDGE_SILENCE
    return moment


def _target(source: Source) -> Target:
    return Target("bridge", str(source.pk), source.name)
