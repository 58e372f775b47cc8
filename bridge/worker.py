"""The worker of one bridge: a thread in the bridge's own process, beside the loop that serves the sockets.

It is the sweep that Celery's workers run, for this one source: it reads the bridge's list, takes what was asked for,
and writes what came of it, by the very same functions. Besides it shows that the process lives, writes down what the
bridge told of itself, and looks at the keys of those that are connected. Nothing of this is ever waited for by the
loop, so a database that is away holds up the console's view of the bridge and not the bridge.
"""

import logging
from collections.abc import Callable
from time import monotonic

from django.conf import settings

from agents.portions import Portion
from agents.readings import read_source
from agents.sweeper import Sweeper
from bridge.admission import no_longer_welcome
from bridge.journal import Journal
from bridge.link import Link
from bridge.process import Tenure

logger = logging.getLogger(__name__)


class BridgeWorker(Sweeper):
    """`taken_over` is called where another process runs this bridge now."""

    def __init__(self, tenure: Tenure, link: Link, journal: Journal, *, taken_over: Callable[[], None]) -> None:
        super().__init__(Portion(tenure.source.pk), every=settings.CONSOLE_BRIDGE_LOOK)
        self.name = "bridge-worker"
        self._tenure, self._link, self._journal, self._taken_over = tenure, link, journal, taken_over
        self._beat_at = self._keys_at = float("-inf")

    def sweep(self) -> float:
        if self._is_due(self._beat_at, settings.CONSOLE_BRIDGE_HEARTBEAT.total_seconds()):
            if not self._tenure.beat():
                logger.error("Another process runs this bridge now; this one ends")
                self._taken_over()
                return self._every.total_seconds()
            self._beat_at = monotonic()
        pause = super().sweep()
        self._journal.write()
        if self._is_due(self._keys_at, settings.CONSOLE_BRIDGE_KEY_CHECK.total_seconds()):
            self._disconnect_unwelcome()
            self._keys_at = monotonic()
        return pause

    @staticmethod
    def _is_due(last: float, every: float) -> bool:
        return monotonic() - last >= every

    def _disconnect_unwelcome(self) -> None:
        agents = self._link.snapshot().agents
        unwelcome = set(no_longer_welcome((agent.principal for agent in agents), self._tenure.source))
        for agent in agents:
            if agent.principal in unwelcome:
                logger.warning("%s no longer opens this bridge: its agent is disconnected", agent.principal)
                self._link.turn_out(agent.session_id, "its API key no longer opens this bridge")

    def finish(self, why: str) -> None:
        """The bridge has closed: the list, which is empty now, is read a last time."""
        self.stop()
        self.join()
        self._hands.shutdown()
        self._link.end()
        self._journal.write(at_the_end=True)
        read_source(self._tenure.source.pk)
        self._tenure.end(why)
