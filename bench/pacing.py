"""How much of a contract's allowance is used while there is work, and what for.

600 requests a minute, a list of 200 sessions that is kept full, operations of many one after another so that something
is always queued, confirmations going on; the stand-in counts over a sliding minute and would refuse the 601st call.
"""

import time
from uuid import uuid4

from agents.models import AgentSession, Disconnection, Source
from agents.services import request_disconnection
from agents.states import State
from agents.webconnect.standin.process import StandIn
from apikeys.actors import command_line_actor
from bench.console import Console, add_source, new_sessions, read_until_listed
from bench.measure import Figure

LIMIT = 600
LISTED = 200
#: Fewer queued than this, and more is ordered: some ten seconds of work.
ENOUGH = 100
#: From the first order to the first call that counts: a burst at the beginning is no steady use.
RUN_UP = 3.0


def run(*, quick: bool) -> list[Figure]:
    length, rounds = (12.0, 1) if quick else (75.0, 2)
    with StandIn(rate_limit=LIMIT, switches={"rate-window": "sliding"}) as standin, Console():
        source = add_source(standin, requests_per_minute=LIMIT, polling=10)
        read_until_listed(source, new_sessions(standin, LISTED))
        keep_busy(standin, source, RUN_UP)
        counted = []
        for _ in range(rounds):
            before = standin.state()["requests"]
            took = keep_busy(standin, source, length)
            counted.append((took, standin.requests(after=before)))
    used = [len(calls) / took for took, calls in counted]
    posts = [sum(call["method"] == "POST" for call in calls) / len(calls) for _, calls in counted]
    refused = sum(call["status"] == 429 for _, calls in counted for call in calls)
    detail = f"{sum(len(calls) for _, calls in counted)} calls in {sum(took for took, _ in counted):.0f} s"
    return [
        Figure(
            f"pacing, share of {LIMIT} requests a minute that is used",
            [each / (LIMIT / 60) for each in used],
            bound=0.95,
            aim=0.96,
            at_least=True,
            detail=detail,
        ),
        Figure("pacing, share of POSTs among them", posts, bound=0.85, aim=0.85, at_least=True, detail=detail),
        Figure("pacing, refused with 429", [refused], bound=0, aim=0, exact=True, detail=detail),
    ]


def keep_busy(standin: StandIn, source: Source, length: float) -> float:
    """Have something queued at every moment for so long; returns how long it really was."""
    began = time.monotonic()
    while (now := time.monotonic() - began) < length:
        missing = LISTED - standin.state()["sessions"]
        if missing:
            new_sessions(standin, missing)
        queued = Disconnection.objects.filter(source=source, state=State.QUEUED).count()
        free = AgentSession.objects.filter(source=source, disconnections=None).live().select_related("source__contract")
        wanted = list(free[:LISTED]) if queued < ENOUGH else []
        if wanted:
            request_disconnection(sessions=wanted, reason="Measured", actor=command_line_actor(), token=uuid4())
        assert queued or now < 1, "Nothing was queued: the measurement says nothing"
        time.sleep(min(0.25, max(0.0, length - now)))
    return time.monotonic() - began
