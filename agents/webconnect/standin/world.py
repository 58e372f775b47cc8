"""One stand-in: how it begins, and how it begins again."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.webconnect.standin.clock import Clock
from agents.webconnect.standin.connections import Connections
from agents.webconnect.standin.faults import Faults
from agents.webconnect.standin.keys import Key, KeyRing
from agents.webconnect.standin.log import RequestLog
from agents.webconnect.standin.population import Population
from agents.webconnect.standin.rows import make_session
from agents.webconnect.standin.service import Service
from agents.webconnect.standin.switches import Switches


@dataclass(frozen=True, slots=True)
class Beginning:
    seed: int = 1
    agents: int = 40
    tempo: float = 12.0
    keys: Sequence[Key] = ()
    switches: Mapping[str, str] = field(default_factory=dict)
    sessions: Sequence[Mapping[str, object]] = ()


class World:
    switches: Switches
    keys: KeyRing
    connections: Connections
    service: Service
    population: Population
    faults: Faults
    log: RequestLog

    def __init__(self, beginning: Beginning, clock: Clock) -> None:
        self.beginning = beginning
        self.clock = clock
        self.reset()

    def reset(self) -> None:
        """Everything as at the start, the clock included."""
        self.clock.ahead = 0.0
        now = self.clock.now()
        begin = self.beginning
        rng = random.Random(begin.seed)
        self.switches = Switches(begin.switches)
        self.keys = KeyRing(begin.keys)
        self.connections = Connections(self.switches, rng)
        # A generator of its own: what clients ask for must not change what the agents do.
        self.service = Service(self.switches, self.keys, self.connections, random.Random(begin.seed))
        self.population = Population(self.connections, rng, begin.tempo)
        self.population.settle(begin.agents, now)
        for row in begin.sessions:
            self.connections.sessions.add(make_session(self.connections, self.population, row, now))
        self.population.begin(now)
        self.faults = Faults()
        self.log = RequestLog()

    def catch_up(self) -> float:
        """Let happen what was due by now; the time."""
        now = self.clock.now()
        self.connections.schedule.run_until(now)
        return now
