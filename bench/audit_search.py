"""Searches of the audit log, each against the newest page of the same log: whole answers, names and chart included.

A million events that `bench.audit_events` makes (QUICK: 50,000), and on PostgreSQL five million of them beside it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

import requests
from django.conf import settings
from django.db import connection

from bench.console import signed_in, web
from bench.databases import ROOT, fresh_data
from bench.measure import Figure, medians, milliseconds, ratios, stopwatch
from console.supervision.static_files import collect_if_changed

MANY, MORE = 1_000_000, 5_000_000
WARM_UP = 3
NEWEST = ""
#: The list of docs/audit.md: each filter common and rare, and what finds nothing.
SEARCHES = (
    "actor:alice",
    "actor:zora",
    "action:disconnection.*",
    "action:source.changed",
    "outcome:confirmed",
    "outcome:failed",
    "target:agent-0*",
    "target:agent-0001",
    "target:quarantine",
    "source:tokyo",
    "source:museum",
    "-source:tokyo",
    "key:deploy",
    "address:10.0.0.*",
    "address:203.0.113.7",
    "after:2026-11-01",
    "after:2026-11-10T10:00Z before:2026-11-10T11:00Z",
    "event:1000..1200",
    "actor:alice source:tokyo outcome:queued",
    "actor:console action:person.signed_in source:tokyo",
    "actor:zora source:museum target:quarantine",
)
#: In the text of the reason.
TEXTS = ("storage", "flooded", '"storage is full"', '"full storage is"', "障害", "upkeep -certificate", "stor*")


def run(*, quick: bool) -> list[Figure]:
    count = 50_000 if quick else MANY
    blocks, of = (2, 2) if quick else (5, 7)
    collect_if_changed()
    browser = signed_in()
    prepare(os.environ, count)
    with web(os.environ) as url:
        ask(browser, url, blocks=1, of=1 if quick else WARM_UP)
        took = ask(browser, url, blocks=blocks, of=of)
        figures = [against_newest(took, line, 3, count) for line in SEARCHES]
        figures += [against_newest(took, line, 10, count) for line in TEXTS]
        if connection.vendor == "postgresql" and not quick:
            figures.append(grown(browser, url, blocks=blocks, of=of))
    return figures


def prepare(environment: Mapping[str, str], count: int) -> None:
    def manage(*words: str) -> None:
        subprocess.run([sys.executable, *words], cwd=ROOT, env=dict(environment), check=True, stdout=subprocess.DEVNULL)

    connection.close()
    manage("manage.py", "migrate", "--verbosity=0")
    manage("-m", "bench.audit_events", str(count))
    manage("manage.py", "rebuildauditindex")


def ask(browser: requests.Session, url: str, *, blocks: int, of: int) -> dict[str, list[float]]:
    """Each search in turn, again and again; the median of each `of` of them."""
    took: dict[str, list[float]] = {line: [] for line in (NEWEST, *SEARCHES, *TEXTS)}
    for _ in range(blocks * of):
        for line, found in took.items():
            found.append(show(browser, url, line))
    return {line: medians(found, of) for line, found in took.items()}


def show(browser: requests.Session, url: str, line: str) -> float:
    with stopwatch() as took:
        answer = browser.get(f"{url}/audit/?{urlencode({'q': line})}")
    assert answer.status_code == 200 and "can’t be used" not in answer.text, f"{answer.status_code} from {answer.url}"
    return took()


def against_newest(took: dict[str, list[float]], line: str, bound: float, count: int) -> Figure:
    return Figure(
        f"audit log of {count:,}, search {line}, times the newest page",
        ratios(took[line], took[NEWEST]),
        bound=bound,
        aim=bound,
        detail=f"{milliseconds(took[line])}, newest page {milliseconds(took[NEWEST])}",
    )


def grown(browser: requests.Session, url: str, *, blocks: int, of: int) -> Figure:
    """All searches together on five million events, times the same on one million, turn about."""
    with larger() as (other_browser, other_url):
        few, many = [], []
        for _ in range(blocks):
            few.append(_all_of(ask(browser, url, blocks=1, of=of)))
            many.append(_all_of(ask(other_browser, other_url, blocks=1, of=of)))
    return Figure(
        f"audit log of {MORE:,}, all searches, times the same with {MANY:,}",
        ratios(many, few),
        bound=1.3,
        aim=1.3,
        detail=f"{milliseconds(many)} against {milliseconds(few)}",
    )


def _all_of(took: dict[str, list[float]]) -> float:
    return sum(value for values in took.values() for value in values)


@contextmanager
def larger() -> Iterator[tuple[requests.Session, str]]:
    with fresh_data(os.environ["DATABASE_URL"]) as environment:
        environment["DJANGO_SETTINGS_MODULE"] = "console.settings"
        prepare(environment, MORE)
        sign_in = (
            "import django; django.setup(); from bench.console import signed_in; print(*signed_in().cookies.values())"
        )
        collect = "import django; django.setup(); from console.supervision.static_files import *; collect_if_changed()"
        said = ""
        for code in (collect, sign_in):
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
            )
            said = done.stdout
        browser = requests.Session()
        browser.cookies.set(settings.SESSION_COOKIE_NAME, said.split()[-1])
        with web(environment) as url:
            yield browser, url
