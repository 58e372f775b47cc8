"""How the console's threads reach the bridge that runs in this process; the server itself knows nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.kinds import Accepted, Answer, AnswerLost, Refused, Unreachable
from bridge.listing import membership_id, memberships
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

    def disconnect(self, session_id: str) -> Answer:
        """End the connection of an agent, or a membership, for an administrator."""
        try:
            done = self._server.run_in_loop(lambda: self._disconnect(session_id), _WITHIN)
        except TimeoutError:
            return AnswerLost("the bridge's own loop did not answer in time")
        return Accepted() if done else Refused(message="The bridge lists no such session any more.")

    def turn_out(self, session_id: str, why: str) -> None:
        """End the connection of an agent that may not be here any more. Raises `TimeoutError`."""
        self._server.run_in_loop(lambda: self._server.disconnect_agent(session_id, why), _WITHIN)

    def _disconnect(self, session_id: str) -> bool:
        """In one turn of the loop, so that what is looked at is what is acted on."""
        listed = self._server.snapshot().hub
        if any(agent.session_id == session_id for agent in listed.agents):
            self._server.disconnect_agent(session_id)
            return True
        # By what names the membership, not by what the database kept of its app: that was made storable.
        for channel, member in memberships(listed):
            if membership_id(channel.id, channel.home, member.app) == session_id:
                self._server.disconnect_app(channel.id, member.app)
                return True
        return False
