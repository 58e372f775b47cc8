"""What memory an export of the whole audit log takes: no more than that of a tenth of it.

Each export runs in a child, so that its peak is its own; what the child had before is taken off.
"""

import multiprocessing
import resource
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from unittest.mock import patch

from django.conf import settings
from django.db import connection

from audit.actors import Actor
from audit.exports import making
from audit.exports.models import Export
from audit.exports.services import request_export
from bench.audit_events import fill
from bench.measure import Figure, ratios, stopwatch

READER = Actor("person", "1", "bench", frozenset({"audit:get"}))
#: The whole log is this many times the part that is exported for comparison.
PARTS = 10


def run(*, quick: bool) -> list[Figure]:
    events, rounds = (50_000, 1) if quick else (1_000_000, 1)
    fill(events)
    figures = []
    for format in Export.Format:
        part, whole = [], []
        for _ in range(rounds):
            part.append(in_a_child(partial(export, format, events // PARTS)))
            whole.append(in_a_child(partial(export, format, events)))
        took, peak = whole[0]
        figures.append(
            Figure(
                f"audit export, {format.label}: peak memory of {PARTS} times the events",
                ratios([peak for _, peak in whole], [peak for _, peak in part]),
                bound=1.5,
                aim=1.1,
                detail=f"{peak:.1f} MB in {took:.0f} s for {events:,} events, {part[0][1]:.1f} MB for a tenth",
            )
        )
    return figures


def export(format: Export.Format, up_to: int) -> None:
    found = request_export(query="", format=format, actor=READER)
    Export.objects.filter(pk=found.pk).update(up_to=up_to)
    making.make(found.pk)
    found.refresh_from_db()
    assert found.state == Export.State.READY and found.count == up_to, found.explanation
    found.path.unlink()


def in_a_child(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and the MB that it took at its peak beyond what the process had."""
    connection.close()  # Nobody shares a connection with a child.
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_measured, args=(work, there))
    child.start()
    took, peak = here.recv()
    child.join()
    return took, peak


def _measured(work: Callable[[], None], there: Connection) -> None:
    settings.CONSOLE_AUDIT_EXPORTS_EACH = 1_000
    before = _resident()
    _forget_peak()
    with patch("audit.nudging.nudge"), stopwatch() as took:
        work()
    connection.close()
    there.send((took(), _peak() - before))


def _forget_peak() -> None:
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def _resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def _peak() -> float:
    with open("/proc/self/status") as file:
        [line] = [line for line in file if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024 / 1e6
