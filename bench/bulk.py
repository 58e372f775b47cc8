"""1,000 disconnections in one operation, against the same calls without a console.

From the request to the commit of the last `accepted`, with a remote that takes 50 ms and sets no limit. Compared with
a loop of `requests.post` (few calls, scaled) and with a bare pool of threads with a `requests.Session` each, of the
size that is quickest here; both call the same stand-in process.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import requests

from agents.models import Disconnection, Source
from agents.services import request_disconnection
from agents.webconnect.standin.process import StandIn
from apikeys.actors import command_line_actor
from bench.console import Console, add_source, disconnect_call, new_sessions, read_until_listed, wait_until_finished
from bench.measure import Figure, ratios, seconds, stopwatch, wait_until

LATENCY = 0.05
POOL_SIZES = (8, 16, 32, 48, 64, 96)


def run(*, quick: bool) -> list[Figure]:
    many, rounds, loop_calls = (300, 1, 20) if quick else (1000, 5, 60)
    sizes = (32, 64) if quick else POOL_SIZES
    loops, pools, ours = [], [], []
    with StandIn(rate_limit=0) as standin, Console():
        standin.fault("latency", "agent-disconnection", seconds=LATENCY, times=None)
        source = add_source(standin)
        size = min(sizes, key=lambda size: pool(standin, many // 2, size))
        for _ in range(rounds):
            loops.append(loop(standin, loop_calls) / loop_calls * many)
            pools.append(pool(standin, many, size))
            ours.append(console(standin, source, many))
    return [
        Figure(
            f"bulk, times faster than a requests.post loop ({many} disconnections)",
            ratios(loops, ours),
            bound=6,
            aim=8,
            at_least=True,
            detail=f"loop {seconds(loops)}, console {seconds(ours)}",
        ),
        Figure(
            f"bulk, times as long as a bare pool of {size} threads ({many} disconnections)",
            ratios(ours, pools),
            bound=2.5,
            aim=2,
            detail=f"pool {seconds(pools)}, console {seconds(ours)}",
        ),
    ]


def loop(standin: StandIn, count: int) -> float:
    session_ids = new_sessions(standin, count)
    with stopwatch() as took:
        for session_id in session_ids:
            answer = requests.post(**disconnect_call(standin, session_id))
            answer.raise_for_status()
    standin.control("sessions", replace=True)  # All of them end.
    return took()


def pool(standin: StandIn, count: int, size: int) -> float:
    session_ids = new_sessions(standin, count)
    own = threading.local()

    def call(session_id: str) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        own.session.post(**disconnect_call(standin, session_id)).raise_for_status()

    with stopwatch() as took, ThreadPoolExecutor(size) as threads:
        list(threads.map(call, session_ids))
    standin.control("sessions", replace=True)  # All of them end.
    return took()


def console(standin: StandIn, source: Source, count: int) -> float:
    sessions = read_until_listed(source, new_sessions(standin, count))
    with stopwatch() as took:
        operation = request_disconnection(
            sessions=sessions, reason="Measured", actor=command_line_actor(), token=uuid4()
        )
        unaccepted = Disconnection.objects.filter(operation=operation, accepted_at=None)
        wait_until(lambda: not unaccepted.exists(), "every disconnection accepted", every=0.03)
    wait_until_finished(operation)
    return took()
