"""How far operations are: counted by state in one query for as many as a page shows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.db.models import Count, Min

from agents.models import Disconnection, Operation
from agents.states import FINAL, OPEN, State, worst


@dataclass
class Progress:
    """One operation with the states of its disconnections. `agent`: of the one session, where it is one."""

    operation: Operation
    states: Counter[State] = field(default_factory=Counter)
    sources: set[str] = field(default_factory=set)
    agent: str = ""

    @property
    def title(self) -> str:
        if self.operation.size == 1:
            return f"Disconnect {self.agent}"
        return f"Disconnect {self.operation.size} sessions"

    @property
    def state(self) -> State:
        """How far the hindmost is; once all are final, the worst of what came out."""
        for state in (State.SENDING, State.QUEUED, State.ACCEPTED):
            # Queued alone is shown as queued; beside others that went on, the whole is being sent.
            if self.states[state]:
                return State.SENDING if state == State.QUEUED and len(self.states) > 1 else state
        return worst(self.states) if self.states else State.QUEUED

    @property
    def is_open(self) -> bool:
        return any(self.states[state] for state in OPEN)

    @property
    def done(self) -> int:
        return sum(self.states[state] for state in FINAL)

    @property
    def source_names(self) -> str:
        return ", ".join(sorted(self.sources))


def progress_of(operations: Iterable[Operation]) -> list[Progress]:
    found = {operation.pk: Progress(operation) for operation in operations}
    groups = Disconnection.objects.filter(operation__in=list(found)).order_by()
    grouped = groups.values_list("operation", "state", "source__name")
    for pk, state, source, count, agent in grouped.annotate(Count("pk"), agent=Min("agent_id_then")):
        found[pk].states[State(state)] += count
        found[pk].sources.add(source)
        found[pk].agent = agent
    return list(found.values())


@dataclass(frozen=True)
class Part:
    """One outcome's share of a whole, for the bar: `x` and `width` in parts of 100."""

    state: State
    count: int
    x: float
    width: float
    url: str = ""

    @property
    def label(self) -> str:
        return str(self.state.label)


def parts_of(states: Counter[State], *, urls: Mapping[State, str] | None = None) -> list[Part]:
    """The states that occur, in the order of a disconnection's life and then from best to worst."""
    total, links = states.total(), urls or {}
    parts, x = [], 0.0
    for state in State:
        if states[state]:
            width = 100 * states[state] / total
            parts.append(Part(state, states[state], round(x, 3), round(width, 3), links.get(state, "")))
            x += width
    return parts
