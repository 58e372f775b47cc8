"""Reading a source with 10,000 sessions, against fetching and decoding the same pages and no more."""

import requests

from agents import readings
from agents.models import Source
from agents.webconnect.listing import PAGE
from agents.webconnect.standin.process import StandIn
from bench.console import add_source, disconnect_call, new_sessions
from bench.measure import Figure, ratios, seconds, stopwatch

SESSIONS = 10_000
CHANGED = SESSIONS // 100


def run(*, quick: bool) -> list[Figure]:
    firsts, fetched_at_first = [], []
    again, fetched_again = [], []
    # Asked to end and never ending: each round's hundred are changed rows, by `willBeClosed`.
    with StandIn(rate_limit=0, switches={"closing": "never"}) as standin:
        session_ids = new_sessions(standin, SESSIONS)
        for number in range(1 if quick else 3):
            source = add_source(standin, name=f"bench {number}")
            fetched_at_first.append(fetch(standin))
            firsts.append(read(source, new=SESSIONS))
        for number in range(3 if quick else 15):
            change(standin, session_ids[number * CHANGED :][:CHANGED])
            fetched_again.append(fetch(standin))
            again.append(read(source, changed=CHANGED))
    return [
        Figure(
            f"reading {SESSIONS:,} sessions of which 1 % changed, times fetching and decoding",
            ratios(again, fetched_again),
            bound=4,
            aim=4,
            detail=f"fetching {seconds(fetched_again)}, reading {seconds(again)}",
        ),
        Figure(
            f"first reading of {SESSIONS:,} sessions, times fetching and decoding",
            ratios(firsts, fetched_at_first),
            bound=20,
            aim=20,
            detail=f"fetching {seconds(fetched_at_first)}, reading {seconds(firsts)}",
        ),
    ]


def fetch(standin: StandIn) -> float:
    with stopwatch() as took, requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {standin.read_key}"
        for start in range(0, SESSIONS, PAGE):
            answer = session.get(
                f"{standin.base_url}/agent/status", params={"startIndex": str(start), "maxResults": str(PAGE)}
            )
            assert len(answer.json()["status"]) == PAGE
    return took()


def read(source: Source, *, new: int = 0, changed: int = 0) -> float:
    with stopwatch() as took:
        reading = readings.read_source(source.pk)
    assert reading is not None and (reading.new, reading.changed) == (new, changed), reading
    return took()


def change(standin: StandIn, session_ids: list[str]) -> None:
    with requests.Session() as session:
        for session_id in session_ids:
            session.post(**disconnect_call(standin, session_id)).raise_for_status()
