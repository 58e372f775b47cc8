"""What agent sessions go through, whoever started it."""

import random
import string
from collections import OrderedDict

from agents.webconnect.standin.relay_log import RelayLog
from agents.webconnect.standin.schedule import Schedule
from agents.webconnect.standin.sessions import Agent, Session, SessionTable
from agents.webconnect.standin.switches import Switches

ALPHABET = string.ascii_letters + string.digits + "_"
ENDED_KEPT = 20_000


class Connections:
    def __init__(self, switches: Switches, rng: random.Random) -> None:
        self.sessions = SessionTable()
        self.schedule = Schedule()
        self.relay_log = RelayLog(rng)
        self._switches = switches
        self._rng = rng
        self._ended: OrderedDict[str, None] = OrderedDict()

    def has_ended(self, session_id: str) -> bool:
        """Whether a session of this ID was there once, as far as we remember."""
        return session_id in self._ended

    def connect(self, agent: Agent, at: float, session_id: str = "") -> Session:
        session = Session(agent, session_id or self.new_session_id(), at)
        self.sessions.add(session)
        return session

    def new_session_id(self) -> str:
        return "".join(self._rng.choices(ALPHABET, k=max(8, int(self._switches.number("session-id-length")))))

    def disconnect(self, session: Session, at: float) -> None:
        """Begin to end a session; when it is over, and whether the agent returns, is switched."""
        delay = self._switches.number("closing-delay")
        session.begin_closing()
        if self._switches["after-disconnection"] == "while-closing":
            back = at + min(delay / 2, self._switches.number("return-delay"))
            self.schedule.at(back, lambda at: self._return(session, at))
        if self._switches["closing"] == "after-delay":
            self.schedule.at(at + delay, lambda at: self._force_end(session, at))
        self.schedule.run_until(at)

    def end(self, session: Session, at: float, cut_status: str | None = "2") -> None:
        """The session is gone, and what it was transferring is cut. Nothing happens if it had gone before."""
        if not self.sessions.has(session):
            return
        self.sessions.remove(session)
        self._ended[session.session_id] = None
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)
        self.relay_log.cut(session, at, cut_status)

    def _force_end(self, session: Session, at: float) -> None:
        if not self.sessions.has(session):
            return
        cut_status = self._switches["cut-transfer-status"]
        self.end(session, at, None if cut_status == "absent" else cut_status)
        if self._switches["after-disconnection"] in ("new-session", "same-session"):
            back = at + self._switches.number("return-delay")
            self.schedule.at(back, lambda at: self._return(session, at))

    def _return(self, session: Session, at: float) -> None:
        same = self._switches["after-disconnection"] == "same-session"
        if not (same and self.sessions.get(session.session_id)):
            self.connect(session.agent, at, session.session_id if same else "")
