"""`python -m bench.audit_events COUNT [SEED]`: fills the audit log of an empty console with a believable past.

The chain is real: canonical bytes, hashes and head are those that `audit.services` would have written, so that it
verifies. Only the way in is another one, since a million appends take an hour.
"""

import argparse
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

import django
from django.db import connection, transaction
from django.db.models import Model

#: The past ends here, so that every run makes the same events.
ENDS_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
SECONDS_BETWEEN = 30.0
BATCH = 20_000

PEOPLE = [
    "alice",
    "bruno",
    "chiyo",
    "david",
    "emeka",
    "fatima",
    "greta",
    "haruto",
    "ines",
    "jonas",
    "keiko",
    "lars",
    "mei",
    "nadia",
    "oscar",
    "priya",
]
#: Whom and what a search hardly ever finds: one event in a hundred thousand.
RARELY = 100_000
RARE_PERSON, RARE_AGENT, RARE_SOURCE, RARE_WORD = "zora", "quarantine", "museum", "flooded"
KEYS = ["nightly upkeep", "deploy", "watchdog", "monitoring", "partner portal"]
SOURCES = ["tokyo", "osaka", "nagoya", "sapporo", "fukuoka", "sendai", "berlin", "paris", "austin", "demo"]
AGENTS = 5_000
WHY = [
    "storage is full",
    "agent hangs",
    "certificate renewed",
    "moving to another host",
    "planned upkeep",
    "upgrade to a newer version",
    "duplicate session",
    "no transfer for days",
    "requested by the owner",
    "wrong endpoint",
    "network change",
    "security review",
    "サーバー障害のため",
    "定期メンテナンス",
]
DETAILS = ["ticket", "line", "hall", "rack", "window", "shift", "owner", "batch", "zone", "site"]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

type Middle = list[str | int | None]


class Past:
    """Stories of several events each, one after another; the columns from `action` to `data`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._disconnections = 0

    def events(self) -> Iterator[Middle]:
        pick = self._random.random
        while True:
            chance = pick()
            if chance < 0.55:
                yield from self._order()
            elif chance < 0.85:
                yield from self._visit()
            elif chance < 0.95:
                yield from self._outage()
            else:
                yield self._change()

    def _one_of[T](self, values: list[T]) -> T:
        """Early ones are far more frequent than late ones."""
        return values[int(len(values) * self._random.random() ** 2.2)]

    def _rarely(self) -> bool:
        return self._random.random() * RARELY < 4.0  # a story has about four events

    def _who(self) -> tuple[str, str, str, str, str, str]:
        """Kind, ID, label, address, user agent, authentication."""
        if self._rarely():
            return "person", "999", RARE_PERSON, "203.0.113.7", BROWSER, "session"
        if self._random.random() < 0.3:
            key = self._one_of(KEYS)
            return (
                "API key",
                str(KEYS.index(key) + 1),
                key,
                f"10.1.0.{KEYS.index(key) + 10}",
                "python-requests",
                "API key",
            )
        person = self._one_of(PEOPLE)
        number = PEOPLE.index(person)
        return "person", str(number + 1), person, f"10.0.{number}.{self._random.randrange(4)}", BROWSER, "session"

    def _reason(self) -> str:
        if self._rarely():
            return f"the hall is {RARE_WORD}"
        if self._random.random() < 0.5:
            return self._one_of(WHY)
        return f"{self._one_of(WHY)}, {self._one_of(DETAILS)} {self._random.randrange(2_000)}"

    def _hex(self) -> str:
        return f"{self._random.getrandbits(128):032x}"

    def _source(self) -> str:
        return RARE_SOURCE if self._rarely() else self._one_of(SOURCES)

    def _order(self) -> Iterator[Middle]:
        who, source, request = self._who(), self._source(), self._hex()
        operation = str(UUID(int=self._random.getrandbits(128)))
        size = 1 if self._random.random() < 0.8 else self._random.randrange(2, 30)
        label = f"{size} agent session{'s' if size != 1 else ''}"
        data = _json({"reason": self._reason(), "sessions": size, "source": source})
        web = [operation, request, *who[3:]]
        itself = [operation, "", "", "", ""]
        yield ["operation.requested", *who[:3], "operation", operation, label, *web, data]
        rows = []
        for _ in range(size):
            agent = RARE_AGENT if self._rarely() else f"agent-{self._one_of(range(AGENTS)):04d}"  # type: ignore[arg-type]
            self._disconnections += 1
            target = ["disconnection", str(self._disconnections), f"{agent} ({self._hex()[:12]})"]
            data = _json({"endpoint": f"{source}.example", "source": source, "started": "2026/11/20 08:00:00"})
            yield ["disconnection.queued", *who[:3], *target, *web, data]
            rows.append(target)
        for target in rows:
            yield ["disconnection.sent", *_CONSOLE, *target, *itself, _json({"attempt": 1, "source": source})]
        for target in rows:
            yield from self._outcome(target, itself, source)

    def _outcome(self, target: list[str], itself: list[str], source: str) -> Iterator[Middle]:
        chance = self._random.random()
        if chance < 0.9:
            data = _json({"attempt": 1, "source": source, "status": 200})
            yield ["disconnection.accepted", *_CONSOLE, *target, *itself, data]
            outcome, why = ("confirmed", "") if chance < 0.88 else ("still_connected", "It is still listed.")
        elif chance < 0.95:
            outcome, why = "already_gone", "A reading no longer lists it."
        elif chance < 0.98:
            outcome, why = "refused", "The remote said no: this agent can't be disconnected."
        else:
            outcome, why = "failed", "It could not be sent in time."
        data = _json({"explanation": why, "source": source} if why else {"source": source})
        yield [f"disconnection.{outcome}", *_CONSOLE, *target, *itself, data]

    def _visit(self) -> Iterator[Middle]:
        who = self._who()
        while who[0] != "person":
            who = self._who()
        target, web = ["person", who[1], who[2]], [None, self._hex(), who[3], who[4]]
        if self._random.random() < 0.1:
            yield [
                "person.sign_in_refused",
                "anonymous",
                "",
                "anonymous",
                *target,
                *web,
                "",
                _json({"why": "wrong password"}),
            ]
        yield ["person.signed_in", *who[:3], *target, *web, "session", "{}"]
        if self._random.random() < 0.5:
            yield ["person.signed_out", *who[:3], *target, None, self._hex(), *who[3:], "{}"]

    def _outage(self) -> Iterator[Middle]:
        source = self._source()
        target = ["source", str(SOURCES.index(source) + 1 if source in SOURCES else 99), source]
        yield ["source.unreachable", *_CONSOLE, *target, *_BY_ITSELF, _json({"why": "The connection was refused."})]
        yield ["source.readable", *_CONSOLE, *target, *_BY_ITSELF, _json({"unreadable_since": "2026-11-20T08:00:00"})]

    def _change(self) -> Middle:
        who, source = self._who(), self._source()
        data = _json({"changed": {"Polling": [30, self._random.randrange(10, 90)]}})
        return ["source.changed", *who[:3], "source", "1", source, None, self._hex(), *who[3:], data]


_CONSOLE = ["console", "", "console"]
_BY_ITSELF = [None, "", "", "", ""]


def _json(data: dict[str, object]) -> str:
    from audit.canonical import data_text

    return data_text(data)


def fill(count: int, seed: int = 1) -> None:
    """Write `count` events into the empty log of this process's database."""
    from audit import triggers
    from audit.canonical import COLUMNS, GENESIS, event_hash, time_text
    from audit.models import Event, Head

    columns = ", ".join((*COLUMNS, "hash"))
    past = Past(seed).events()
    moments = random.Random(seed + 1)
    at, sequence, previous = ENDS_AT - timedelta(seconds=count * SECONDS_BETWEEN), 0, GENESIS
    triggers.remove()
    _without_indexes(Event)
    while sequence < count:
        rows = []
        for middle in islice(past, min(BATCH, count - sequence)):
            at += timedelta(seconds=moments.expovariate(1 / SECONDS_BETWEEN))
            sequence += 1
            values = [sequence, time_text(at), *middle, previous]
            previous = event_hash(values)
            rows.append((*values, previous))
        _insert(columns, rows)
    with transaction.atomic():
        Head.objects.update(sequence=sequence, hash=previous)
    _with_indexes(Event)
    triggers.install()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _insert(columns: str, rows: list[tuple[str | int | None, ...]]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY audit_event ({columns}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        # As Django writes them: a time without T and zone, an ID without hyphens.
        stored = [
            (row[0], row[1][:-1].replace("T", " "), *row[2:9], row[9] and row[9].replace("-", ""), *row[10:])  # type: ignore
            for row in rows
        ]
        cursor.executemany(f"INSERT INTO audit_event ({columns}) VALUES ({', '.join(['%s'] * 17)})", stored)


def _without_indexes(model: type[Model]) -> None:
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")
            cursor.execute("PRAGMA cache_size = -500000")
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)


def _with_indexes(model: type[Model]) -> None:
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.add_index(model, index)
    connection.close()


def main() -> None:
    parser = argparse.ArgumentParser("python -m bench.audit_events", description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("seed", type=int, nargs="?", default=1)
    given = parser.parse_args()
    django.setup()
    began = time.perf_counter()
    fill(given.count, given.seed)
    print(f"{given.count:,} events in {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
