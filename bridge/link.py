"""How the console's threads reach the bridge that runs in this process; the server itself knows nothing of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from agents.kinds import Accepted, Answer, AnswerLost, Refused, Unreachable
from bridge.protocol.identity import AppKey
from bridge.protocol.snapshot import Snapshot

if TYPE_CHECKING:
    from bridge.server.server import BridgeServer  # The web shows bridges without loading one.

#: Seconds that the loop may take to answer: it never waits for anything itself.
_WITHIN = 5.0


#: What a bridge lists that has closed.
NOBODY = Snapshot(0, (), (), {}, {}, 0, 0)
_links: dict[int, Link] = {}


def link_to(source_id: int) -> Link:
    """Raises `Unreachable` in every process but the bridge's own."""
    if source_id not in _links:
        raise Unreachable("The bridge runs in a process of its own, which is not this one.")
    return _links[source_id]


class Link:
    def __init__(self, source_id: int, server: BridgeServer) -> None:
        self._server = server
        self._ended = False
        _links[source_id] = self

    def end(self) -> None:
        """The server has closed: nobody is connected any more."""
        self._ended = True

    def snapshot(self) -> Snapshot:
        """Raises `Unreachable`."""
        if self._ended:
            return NOBODY
        try:
            shown: Snapshot = self._server.run_in_loop(self._server.snapshot, _WITHIN).hub
            return shown
        except TimeoutError:
            raise Unreachable("The bridge's own loop did not answer in time.") from None

    def disconnect_agent(self, session_id: str) -> Answer:
        def act() -> bool:
            there = any(agent.session_id == session_id for agent in self._server.snapshot().hub.agents)
            if there:
                self._server.disconnect_agent(session_id)
            return there

        return self._ask(act, "The bridge knows no such agent any more.")

    def disconnect_app(self, channel_id: str, home: str, app: AppKey) -> Answer:
        def act() -> bool:
            channels = self._server.snapshot().hub.private_channels
            of_that = [channel.members for channel in channels if (channel.id, channel.home) == (channel_id, home)]
            there = any(member.app == app for members in of_that for member in members)
            if there:
                self._server.disconnect_app(channel_id, app)
            return there

        return self._ask(act, "The app is on no such private channel any more.")

    def _ask(self, act: Callable[[], bool], unknown: str) -> Answer:
        """In one turn of the loop, so that what is looked at is what is acted on."""
        try:
            done = self._server.run_in_loop(act, _WITHIN)
        except TimeoutError:
            return AnswerLost("the bridge's own loop did not answer in time")
        return Accepted() if done else Refused(message=unknown)
