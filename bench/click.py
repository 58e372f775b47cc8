"""From the click on *Disconnect* to the POST at the remote on an idle system, against a bare round trip of Celery.

The click is the POST of the form to the real web, by a person who is signed in; its end is when the stand-in has the
whole request. Both processes read the same monotonic clock. The round trip is enqueueing an empty task until its
result is here, with a worker of the same kind on the same Redis. Click and round trip take turns.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from django.conf import settings

from agents.models import AgentSession, Disconnection
from agents.states import State
from agents.webconnect.standin.process import StandIn
from bench.console import Console, add_source, new_sessions, read_until_listed, signed_in
from bench.databases import ROOT
from bench.measure import Figure, medians, milliseconds, ratios, stopwatch, wait_until

#: The first ones open connections.
WARM_UP = 3
_FIELD = re.compile(r'name="(csrfmiddlewaretoken|token)" value="([^"]+)"')


def run(*, quick: bool) -> list[Figure]:
    blocks, of = (2, 5) if quick else (6, 15)
    clicks, trips = [], []
    with (
        StandIn(rate_limit=0, switches={"closing-delay": "0"}) as standin,
        Console() as console,
        _bare_worker() as trip,
    ):
        source = add_source(standin)
        browser = signed_in()
        sessions = read_until_listed(source, new_sessions(standin, WARM_UP + blocks * of))
        for session in sessions:
            clicks.append(click(browser, console, standin, session))
            trips.append(trip())
    del clicks[:WARM_UP], trips[:WARM_UP]
    return [
        Figure(
            "click, from the form to the POST at the remote, times a bare Celery round trip",
            ratios(medians(clicks, of), medians(trips, of)),
            bound=6,
            aim=4,
            detail=f"round trip {milliseconds(trips)}, click {milliseconds(clicks)}",
        )
    ]


def click(browser: requests.Session, console: Console, standin: StandIn, session: AgentSession) -> float:
    """Seconds from the click to the arrival at the stand-in; returns when the system is idle again."""
    page = f"{console.url}/sessions/{session.pk}/disconnect/"
    fields: dict[str, Any] = dict(_FIELD.findall(browser.get(page).text))
    began = time.monotonic()
    answer = browser.post(page, data={**fields, "reason": "Measured"}, allow_redirects=False)
    assert answer.status_code == 302, answer.text
    confirmed = Disconnection.objects.filter(session=session, state=State.CONFIRMED)
    wait_until(lambda: confirmed.exists(), "the disconnection confirmed", every=0.1)
    [arrival] = standin.disconnections(session.session_id)
    return float(arrival["monotonic"]) - began


@contextmanager
def _bare_worker() -> Iterator[Any]:
    """A function that makes one round trip and says how long it took."""
    os.environ["BENCH_REDIS"] = settings.CELERY_BROKER_URL
    from bench.bare_celery import app, nothing

    command = [sys.executable, "-m", "celery", "--quiet", "--app", "bench.bare_celery", "worker"]
    options = ["--loglevel", "ERROR", "--hostname", "bare@bench", "--without-gossip", "--without-mingle"]
    worker = subprocess.Popen([*command, *options], cwd=ROOT)

    def trip() -> float:
        with stopwatch() as took:
            nothing.delay().get(timeout=60)
        return took()

    try:
        yield trip
    finally:
        worker.terminate()
        worker.wait(30)
        app.close()
