"""Agents that look like a customer's, and what they do all day. One seed, one story."""

import random
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate

from agents.webconnect.standin.connections import Connections
from agents.webconnect.standin.places import ACCESS_POINTS
from agents.webconnect.standin.relay_log import Transfer
from agents.webconnect.standin.sessions import Agent, Session

SITES = ("tokyo", "osaka", "nagoya", "sapporo", "fukuoka", "sendai", "fremont", "reno", "austin", "london")
ROLES = ("billing", "orders", "payroll", "stock", "wms", "edi", "hr", "backup", "ledger", "invoice")
SHARED_CONNECTIONS = ("partner-a", "partner.b", "archive", "hq-1")
VERSIONS = ("1.1.0", "1.2.0", "2.0.0", "2.2.0", "2.3.1", "2.4.0", "3.0.5", "3.0.9", "3.1.0")
VERSION_WEIGHTS = (4, 3, 8, 7, 10, 15, 18, 20, 15)
FIRST_DISCONNECTABLE = (1, 2, 0)

LONGEST_CONNECTED = 20 * 24 * 3600.0
RECONNECT_AFTER = 30.0
LONGEST_TRANSFER = 120.0


def supports_disconnection(version: str) -> bool:
    return tuple(map(int, version.split("."))) >= FIRST_DISCONNECTABLE


def make_agents(rng: random.Random, first_serial: int = 1) -> Iterator[Agent]:
    """Agents without end; about one machine in five has a sender and a receiver."""
    serial = first_serial
    while True:
        site, role = rng.choice(SITES), rng.choice(ROLES)
        version = rng.choices(VERSIONS, VERSION_WEIGHTS)[0]
        directions = rng.choice((["send"], ["receive"], ["send"], ["receive"], ["send", "receive"]))
        connection_ids = (f"{site}-{role}"[:16], *rng.sample(SHARED_CONNECTIONS, rng.choice((0, 0, 0, 1, 2))))
        endpoint = rng.choice(ACCESS_POINTS)[1]
        # The serial makes the ID unique, as agents that share a connection ID must have different ones.
        agent_id = f"{site}{rng.choice('-.')}{role}-{serial:03d}"
        for direction in directions:
            yield Agent(agent_id, direction, connection_ids, endpoint, version, supports_disconnection(version))
        serial += 1


class Population:
    def __init__(self, connections: Connections, rng: random.Random, tempo: float) -> None:
        """`tempo` is how many things happen a minute, over all agents; 0: nothing by itself."""
        self._connections = connections
        self._rng = rng
        self.tempo = tempo
        self._beats = 0
        self._agents = make_agents(rng)
        self._size = 0
        self._resting: list[Agent] = []

    def settle(self, count: int, at: float) -> None:
        """Connect so many agents, each some time ago."""
        self._size += count
        self.add(count, at)

    def add(self, count: int, at: float) -> list[Session]:
        return [
            self._connections.connect(next(self._agents), at - self._rng.uniform(1, LONGEST_CONNECTED))
            for _ in range(count)
        ]

    def next_agent(self) -> Agent:
        return next(self._agents)

    def begin(self, at: float) -> None:
        """Also after `tempo` was changed: what was due at the old one is dropped."""
        self._beats += 1
        beat = self._beats
        if self.tempo:
            pause = self._rng.expovariate(self.tempo / 60)
            self._connections.schedule.at(at + pause, lambda at: self._happen(at, beat))

    def _happen(self, at: float, beat: int) -> None:
        if beat != self._beats:
            return
        happenings = (self._transfer, self._lose_network, self._leave, self._come)
        missing = self._size - len(self._connections.sessions)
        weights = list(accumulate((60, 12, 8 if missing <= 0 else 3, 8 if missing >= 0 else 3)))
        happenings[bisect(weights, self._rng.uniform(0, weights[-1] - 1e-9))](at)
        self.begin(at)

    def _pick(self, direction: str | None = None) -> Session | None:
        sessions = self._connections.sessions.listing(direction)
        return self._rng.choice(sessions) if sessions else None

    def _transfer(self, at: float) -> None:
        sender, receiver = self._pick("send"), self._pick("receive")
        if sender and receiver:
            transfer = self._connections.relay_log.begin(sender, receiver, at)
            self._finish_later(transfer, at + self._rng.uniform(1, LONGEST_TRANSFER))

    def _finish_later(self, transfer: Transfer, at: float) -> None:
        relay_log = self._connections.relay_log
        self._connections.schedule.at(at, lambda at: relay_log.finish(transfer, at))

    def _lose_network(self, at: float) -> None:
        session = self._pick()
        if session is None or session.closing:
            return
        self._connections.end(session, at)
        back = at + RECONNECT_AFTER * self._rng.randint(1, 4)
        self._connections.schedule.at(back, lambda at: self._reconnect(session.agent, at))

    def _reconnect(self, agent: Agent, at: float) -> None:
        self._connections.connect(agent, at)

    def _leave(self, at: float) -> None:
        session = self._pick()
        if session is None or session.closing:
            return
        self._connections.end(session, at)
        self._resting.append(session.agent)

    def _come(self, at: float) -> None:
        if self._resting and self._rng.random() < 0.7:
            agent = self._resting.pop(self._rng.randrange(len(self._resting)))
        else:
            agent = next(self._agents)
        self._connections.connect(agent, at)
