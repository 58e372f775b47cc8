"""What goes wrong on order: which requests it meets, how often, and whether the service acts first."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.webconnect.standin.wanted import BadInput, Wanted

ENDPOINTS = ("any", "agent-status", "agent-disconnection", "service-status", "relay-log")
MOST_FAULTS = 1000
MOST_TIMES = 1_000_000
HEADERS = ("retry_after", "location")
COMMON = frozenset({"kind", "endpoint", "times", "skip", "session", "applies"})


@dataclass(frozen=True, slots=True)
class Kind:
    says: str
    applies: bool = False
    """Whether the service acts on the request, unless the fault itself says otherwise."""
    numbers: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    """Parameters: default, smallest and largest."""
    texts: Mapping[str, str] = field(default_factory=dict)


KINDS = {
    "latency": Kind("the service acts and answers later", True, {"seconds": (0.05, 0, 600)}),
    "late": Kind("the service acts at once and answers later", True, {"seconds": (2, 0, 600)}),
    "ends-first": Kind("the session named in the POST ends by itself just before", True),
    "status": Kind("another status", numbers={"status": (500, 200, 599)}, texts={"body": "", "retry_after": ""}),
    "hang": Kind("no answer, ever"),
    "trickle": Kind("a body that never ends, a byte at a time", numbers={"seconds": (0.1, 0.001, 60)}),
    "trickle-headers": Kind("headers that never end", numbers={"seconds": (0.1, 0.001, 60)}),
    "slow-body": Kind("the true answer, its body spread over some time", True, {"seconds": (2, 0, 600)}),
    "cut-before": Kind("the connection ends; the service did nothing"),
    "cut-after": Kind("the connection ends; the service did it", True),
    "cut-midway": Kind("the connection ends within the true answer", True),
    "wrong-length": Kind("the true answer, shorter than its Content-Length", True),
    "html": Kind("200 and much HTML", numbers={"bytes": (5_000_000, 0, 100_000_000)}),
    "not-json": Kind("200 and text that is not JSON", texts={"body": "accepted, I think"}),
    "invalid-json": Kind("the true answer, its JSON broken off", True),
    "garbage": Kind("bytes that are not HTTP"),
    "huge-list": Kind("a list of very many rows", numbers={"rows": (100_000, 0, 1_000_000)}),
    "hostile-rows": Kind("the true list, with hostile rows in front", True),
    "gzip-bomb": Kind("a little gzip that becomes much", numbers={"bytes": (100_000_000, 0, 1_000_000_000)}),
    "redirect": Kind("302", texts={"location": "http://127.0.0.1:9/elsewhere"}),
}


@dataclass(slots=True)
class Fault:
    number: int
    kind: str
    endpoint: str = "any"
    times: int | None = 1
    """How many requests it meets; None: all."""
    skip: int = 0
    """How many it lets pass first."""
    session: str = ""
    """Only requests whose body holds this text."""
    applies: bool = False
    numbers: dict[str, float] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    met: int = 0

    def meets(self, endpoint: str, body: bytes) -> bool:
        return self.endpoint in ("any", endpoint) and self.session.encode("utf-8", "replace") in body

    def as_dict(self) -> dict[str, object]:
        fixed = {
            "number": self.number,
            "kind": self.kind,
            "endpoint": self.endpoint,
            "times": self.times,
            "skip": self.skip,
            "session": self.session,
            "applies": self.applies,
            "met": self.met,
        }
        return fixed | self.numbers | self.texts


class Faults:
    """In the order they were asked for. Latency adds up; of the others, one request meets the first."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []
        self._asked = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def as_dicts(self) -> list[dict[str, object]]:
        return [fault.as_dict() for fault in self._waiting]

    def add(self, wanted: dict[str, Any]) -> Fault:
        if len(self._waiting) >= MOST_FAULTS:
            raise BadInput(f"{MOST_FAULTS} faults are waiting already.")
        self._asked += 1
        fault = parse(wanted, self._asked)
        self._waiting.append(fault)
        return fault

    def clear(self) -> None:
        self._waiting.clear()

    def meet(self, endpoint: str, body: bytes) -> list[Fault]:
        """What this request meets: any number of latencies, then at most one other."""
        if not self._waiting:
            return []
        latencies: list[Fault] = []
        other: Fault | None = None
        for fault in list(self._waiting):
            is_latency = fault.kind == "latency"
            if not fault.meets(endpoint, body) or (other and not is_latency) or not self._spend(fault):
                continue
            if is_latency:
                latencies.append(fault)
            else:
                other = fault
        return [*latencies, other] if other else latencies

    def _spend(self, fault: Fault) -> bool:
        if fault.skip:
            fault.skip -= 1
            return False
        fault.met += 1
        if fault.times is not None:
            fault.times -= 1
            if not fault.times:
                self._waiting.remove(fault)
        return True


def parse(values: dict[str, Any], number: int) -> Fault:
    wanted = Wanted(values)
    name, endpoint = wanted.text("kind"), wanted.text("endpoint", "any")
    if name not in KINDS:
        raise BadInput(f"kind is one of {', '.join(KINDS)}.")
    if endpoint not in ENDPOINTS:
        raise BadInput(f"endpoint is one of {', '.join(ENDPOINTS)}.")
    kind = KINDS[name]
    if unknown := values.keys() - COMMON - kind.numbers.keys() - kind.texts.keys():
        raise BadInput(f"{name} knows no {', '.join(sorted(unknown))[:80]}.")
    return Fault(
        number,
        name,
        endpoint,
        None if values.get("times", 1) is None else int(wanted.number("times", 1, MOST_TIMES, 1)),
        wanted.count("skip", MOST_TIMES),
        wanted.text("session"),
        wanted.flag("applies", kind.applies),
        {key: wanted.number(key, low, high, usual) for key, (usual, low, high) in kind.numbers.items()},
        {key: _header_safe(key, wanted.text(key, usual)) for key, usual in kind.texts.items()},
    )


def _header_safe(key: str, text: str) -> str:
    if key in HEADERS and not (text.isascii() and text.isprintable()):
        raise BadInput(f"{key} is printable ASCII.")
    return text
