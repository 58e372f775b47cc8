"""What a benchmark brings: the ratio of two things, measured turn about in one run, and the bound it must meet."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

PATIENCE = 300.0


@dataclass(frozen=True)
class Figure:
    """One line of the report. `values` holds one ratio a round; the median is what counts."""

    name: str
    values: Sequence[float]
    bound: float
    aim: float
    #: Whether larger is better; else smaller is.
    at_least: bool = False
    #: The absolute figures behind the ratio, of which another machine shows others.
    detail: str = ""
    #: A bound that QUICK does not loosen.
    exact: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """From the smallest to the largest round, as a share of the median."""
        return (max(self.values) - min(self.values)) / self.median if self.median else 0.0

    def holds(self, *, quick: bool) -> bool:
        """QUICK has few rounds and may run beside anything, so there a figure may be half as good as its bound."""
        slack = 2.0 if quick and not self.exact else 1.0
        return self.median >= self.bound / slack if self.at_least else self.median <= self.bound * slack

    def line(self, *, quick: bool) -> str:
        verdict = "ok    " if self.holds(quick=quick) else "MISSED"
        word = "at least" if self.at_least else "at most"
        rounds = f"{len(self.values)} round{'s' if len(self.values) != 1 else ''}"
        return (
            f"{verdict} {self.name}: {self.median:.3g} ({word} {self.bound:g}, aim {self.aim:g}), "
            f"spread {self.spread:.0%} over {rounds}; {self.detail}"
        )


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """`with stopwatch() as seconds: …` and then `seconds()`: how long the block took."""
    began, ended = time.perf_counter(), 0.0
    yield lambda: ended - began
    ended = time.perf_counter()


def milliseconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values) * 1000:.1f} ms"


def seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} s"


def medians(values: Sequence[float], of: int) -> list[float]:
    """The median of each `of` of them: a single click or page says little."""
    return [statistics.median(values[start : start + of]) for start in range(0, len(values), of)]


def ratios(upper: Sequence[float], lower: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(upper, lower, strict=True)]


def wait_until(condition: Callable[[], bool], what: str, *, every: float = 0.01, within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {within:g} s still not: {what}")
        time.sleep(every)
