"""What the sweep of the audit log looks for: chores, exports to be made or removed, and sinks that lack events."""

import threading
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import close_old_connections

from audit import checks, chores, sweeping
from audit.clock import database_now
from audit.exports import making
from audit.exports.services import expire
from audit.search import index
from audit.streams import sending
from audit.streams.models import MOST_SINKS

#: Between two looks for files that a dead worker has left.
_BETWEEN_TIDYING = timedelta(minutes=5)
_woken = threading.Event()


def wake() -> None:
    """Have this process's sweep look again now."""
    _woken.set()


class Sweeper(sweeping.Sweeper):
    """Each sink may have a hand in its hold for as long as an attempt may take, and leaves those of others free."""

    def __init__(self) -> None:
        super().__init__("audit-sweeper", hands=MOST_SINKS + making.AT_ONCE + 2, woken=_woken)
        self._tidied_at = self._chores_at = datetime.min.replace(tzinfo=UTC)

    def stop(self) -> None:
        sending.stopping.set()
        making.stopping.set()
        super().stop()

    def sweep(self) -> float:
        close_old_connections()
        at = database_now()
        expire(at)
        if at - self._tidied_at > _BETWEEN_TIDYING:
            self._tidied_at = at
            making.sweep_away(at)
        if at - self._chores_at > chores.EVERY or checks.is_asked_for():
            self._chores_at = at
            self._hand_over("look after", "audit log", chores.do)
        self._hand_over("index", "audit log", index.keep_up)
        for export_id in making.due(at):
            self._hand_over("export", export_id, making.make)
        for sink_id in sending.due(at):
            self._hand_over("sink", sink_id, sending.send)
        return settings.CONSOLE_SWEEP.total_seconds()
