"""What the chain of the audit log costs: appending, with eight writers at once, and verifying.

Appending is compared with the same inserts into a table of the same columns, indexes and constraints whose rows follow
nothing: no head, no hash, no lock, no trigger. Both make the columns of each event alike, in processes of their own.
Verifying is compared with reading the same rows.
"""

import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.synchronize import Barrier

from django.db import connection, transaction
from django.utils import timezone

from audit import services
from audit.actions import Action
from audit.actors import Actor
from audit.canonical import COLUMNS, time_text
from audit.chain import read_rows, verify
from audit.context import RequestContext, current, request_context
from audit.models import Event, Head
from audit.services import Entry, Target
from bench.measure import Figure, ratios, stopwatch

WRITERS = 8
PLAIN = "bench_plain_event"
BATCH = 50
#: (SQLite, PostgreSQL): events a second with the chain as a share of those without it.
BOUNDS = {1: (0.5, 0.25), BATCH: (0.5, 0.5)}


def run(*, quick: bool) -> list[Figure]:
    rounds = 3 if quick else 7
    make_plain_table()
    figures = []
    for batch, transactions in ((1, 60 if quick else 250), (BATCH, 12 if quick else 50)):
        chained, plain = [], []
        for turn in range(rounds):
            plain.append(together(insert_plain, batch, transactions, batch * rounds + turn))
            chained.append(together(append, batch, transactions, turn))
        bound = BOUNDS[batch][connection.vendor == "postgresql"]
        figures.append(
            Figure(
                f"audit, events a second with the chain as a share of those without ({WRITERS} writers,"
                f" {batch} a transaction)",
                ratios(plain, chained),
                bound=bound,
                aim=bound,
                at_least=True,
                detail=f"{rate(chained, batch, transactions)} with, {rate(plain, batch, transactions)} without",
            )
        )
    require_no_fork()
    return [*figures, verifying(quick=quick)]


def rate(took: list[float], batch: int, transactions: int) -> str:
    return f"{WRITERS * batch * transactions / sorted(took)[len(took) // 2]:,.0f} events/s"


def make_plain_table() -> None:
    """The table of events once more, with all that slows an insert down but the chain."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"CREATE TABLE {PLAIN} (LIKE audit_event INCLUDING ALL)")
            return
        cursor.execute("SELECT sql FROM sqlite_master WHERE tbl_name = 'audit_event' AND type IN ('table', 'index')")
        for (sql,) in cursor.fetchall():
            if sql:
                cursor.execute(sql.replace("audit_event", PLAIN))


def together(write: Callable[[int, int, int, int], None], batch: int, transactions: int, turn: int) -> float:
    """Seconds from the moment when all writers are ready until the last has committed."""
    connection.close()  # Nobody shares a connection with a child.
    context = multiprocessing.get_context("fork")
    ready, done = context.Barrier(WRITERS + 1), context.Barrier(WRITERS + 1)
    writers = [
        context.Process(target=child, args=(write, ready, done, writer, batch, transactions, turn))
        for writer in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    ready.wait(60)
    with stopwatch() as took:
        done.wait(120)
    for writer in writers:
        writer.join(60)
        if writer.exitcode != 0:
            raise RuntimeError(f"A writer ended with {writer.exitcode}")
    return took()


def child(
    write: Callable[[int, int, int, int], None],
    ready: Barrier,
    done: Barrier,
    writer: int,
    batch: int,
    transactions: int,
    turn: int,
) -> None:
    try:
        connection.ensure_connection()
        ready.wait(60)
        with request_context(
            RequestContext("0123456789abcdef" * 2, "192.0.2.1", "Mozilla/5.0 (X11; Linux)", "session")
        ):
            write(writer, batch, transactions, turn)
        done.wait(120)
    except BaseException:
        ready.abort()
        done.abort()
        raise


def entries(writer: int, batch: int) -> list[Entry]:
    return [
        Entry(
            Action.DISCONNECTION_QUEUED,
            Actor("person", str(writer), f"writer{writer}"),
            Target("agent session", str(number), f"agent{number}"),
            data={"reason": "Measured", "source": "bench", "attempt": number},
        )
        for number in range(batch)
    ]


def append(writer: int, batch: int, transactions: int, turn: int) -> None:
    for _ in range(transactions):
        with transaction.atomic():
            services.record_many(entries(writer, batch))


def insert_plain(writer: int, batch: int, transactions: int, turn: int) -> None:
    number = (turn * WRITERS + writer) * 100_000 + 2  # The table guards the first of a chain.
    for _ in range(transactions):
        with transaction.atomic():
            context = current()
            at = timezone.now()
            rows = []
            for each in entries(writer, batch):
                middle = services._middle(each, context)
                rows.append([number, time_text(at), *middle, os.urandom(32).hex(), os.urandom(32).hex()])
                number += 1
            services._insert(rows, connection.ops.adapt_datetimefield_value(at), PLAIN)


def require_no_fork() -> None:
    verdict = verify()
    if verdict.flaw:
        raise RuntimeError(verdict.flaw.message)
    if Event.objects.count() != Head.objects.get().sequence:
        raise RuntimeError("There are events beside the chain.")


def verifying(*, quick: bool) -> Figure:
    count = 20_000 if quick else 100_000
    while (missing := count - Head.objects.get().sequence) > 0:
        with transaction.atomic():
            services.record_many(entries(0, min(missing, 1_000)))
    read, walked = [], []
    for _ in range(3 if quick else 7):
        with stopwatch() as took:
            held = sum(1 for _ in read_rows(1, Head.objects.get().sequence))
        read.append(took())
        with stopwatch() as took:
            assert verify().count == held
        walked.append(took())
    return Figure(
        f"audit, verifying {held:,} events, times as long as reading them",
        ratios(walked, read),
        bound=3,
        aim=3,
        detail=f"{held / sorted(walked)[len(walked) // 2]:,.0f} events/s verified; columns: {len(COLUMNS) + 1}",
    )
