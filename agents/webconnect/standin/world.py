"""One stand-in: how it begins, and how it begins again."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.webconnect.standin.clock import Clock
from agents.webconnect.standin.faults import Faults
from agents.webconnect.standin.keys import Key, KeyRing
from agents.webconnect.standin.log import RequestLog
from agents.webconnect.standin.population import Population
from agents.webconnect.standin.rows import add_row
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
        # Two generators: what clients ask for must not change what the agents do.
        service_rng, population_rng = random.Random(begin.seed), random.Random(begin.seed + 1)
        self.service = Service(Switches(begin.switches), KeyRing(begin.keys), service_rng)
        self.population = Population(self.service, population_rng, begin.tempo)
        self.population.settle(begin.agents, now)
        for row in begin.sessions:
            add_row(self.service, self.population, row, now)
        self.population.begin(now)
        self.faults = Faults()
        self.log = RequestLog()
