"""The Sessions page with 10,000 sessions, against the same page with 100.

Two webs as `up` starts them, each on a database of its own, are asked in turn by a person who is signed in.
"""

import os
import shutil
import tempfile
from pathlib import Path

import requests
from django.conf import settings
from django.db import connection

from agents.webconnect.standin.process import StandIn
from bench.console import add_source, new_sessions, read_until_listed, signed_in, web
from bench.measure import Figure, medians, milliseconds, ratios, stopwatch
from console.supervision.static_files import collect_if_changed

FEW, MANY = 100, 10_000
WARM_UP = 5


def run(*, quick: bool) -> list[Figure]:
    blocks, of = (2, 10) if quick else (6, 30)
    collect_if_changed()
    browser = signed_in()
    with StandIn(rate_limit=0) as standin, tempfile.TemporaryDirectory(dir=settings.CONSOLE_DATA_DIR) as folder:
        source = add_source(standin)
        read_until_listed(source, new_sessions(standin, FEW))
        connection.close()
        with_few = Path(folder, "few")
        shutil.copytree(settings.CONSOLE_DATA_DIR, with_few, ignore=shutil.ignore_patterns(Path(folder).name))
        read_until_listed(source, new_sessions(standin, MANY - FEW))
        with web(os.environ | {"CONSOLE_DATA_DIR": str(with_few)}) as few_url, web(os.environ) as many_url:
            few, many = [], []
            for _ in range(WARM_UP + blocks * of):
                few.append(show(browser, few_url, FEW))
                many.append(show(browser, many_url, MANY))
    few, many = medians(few[WARM_UP:], of), medians(many[WARM_UP:], of)
    return [
        Figure(
            f"Sessions page with {MANY:,} sessions, times the same with {FEW}",
            ratios(many, few),
            bound=1.5,
            aim=1.5,
            detail=f"{FEW}: {milliseconds(few)}, {MANY:,}: {milliseconds(many)}",
        )
    ]


def show(browser: requests.Session, url: str, count: int) -> float:
    with stopwatch() as took:
        answer = browser.get(f"{url}/sessions/")
    assert answer.status_code == 200 and f"{count} sessions" in answer.text, f"{answer.status_code} from {answer.url}"
    return took()
