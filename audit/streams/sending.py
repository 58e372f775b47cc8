"""Sending what is new to a sink: in order, at least once, one worker at a time, and never in anybody's way.

A worker takes the sink on a lease, sends a batch, and moves the cursor where the lease is still its own. If it dies in
between, the lease runs out and the same events are sent again, with the same numbers and hashes to know them by. A sink
that takes nothing is left alone for a while, longer each time; the others have threads of their own.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from audit.actions import Action
from audit.actors import CONSOLE
from audit.clock import database_now
from audit.models import Event, Head
from audit.search import Query, QueryError, parse
from audit.services import Target, record
from audit.streams import files, https, syslog
from audit.streams.batches import MOST_BYTES, MOST_EVENTS, Batch, NotTaken, StillOurs
from audit.streams.formats import line_of
from audit.streams.models import Sink, SinkQuerySet

logger = logging.getLogger(__name__)

DELIVER: dict[str, Callable[[Batch, StillOurs], None]] = {
    Sink.Kind.HTTPS: https.deliver,
    Sink.Kind.SYSLOG: syslog.deliver,
    Sink.Kind.FILE: files.deliver,
}
#: Events that one step looks through at the most.
WINDOW = 2_000

#: Set when this process is to end: what is sent at the moment is, and nothing more is begun.
stopping = threading.Event()

type Clock = Callable[[], datetime]


def target_of(sink: Sink) -> Target:
    return Target("audit sink", str(sink.pk), sink.name)


def due(at: datetime) -> list[UUID]:
    """The sinks for which there is something to do now."""
    newer = Exists(Head.objects.filter(sequence__gt=OuterRef("cursor")))
    return list(Sink.objects.due(at).filter(newer).order_by("cursor", "pk").values_list("pk", flat=True))


def send(sink_id: UUID, clock: Clock = database_now) -> bool:
    """Send to this sink all that is new, if nobody else does. Whether anything was done."""
    token = uuid4()
    if not Sink.objects.due(clock()).filter(pk=sink_id).update(lease_token=token, lease_until=clock() + lease()):
        return False
    mine = Sink.objects.filter(pk=sink_id, lease_token=token)
    try:
        while not stopping.is_set() and (step := _next_step(mine)):
            _take(step, mine, clock)
    except (NotTaken, QueryError) as error:
        _put_off(mine, error, clock())
    finally:
        mine.update(lease_token=None, lease_until=None)
    return True


def lease() -> timedelta:
    attempt: timedelta = settings.CONSOLE_ATTEMPT_LIMIT
    margin: timedelta = settings.CONSOLE_LEASE_MARGIN
    return attempt + margin


def query_of(sink: Sink) -> Query:
    with timezone.override(ZoneInfo(sink.zone)):
        return parse(sink.query)


@dataclass(frozen=True)
class Step:
    """Events to be sent, none where the search leaves all of them out, and the cursor that follows."""

    sink: Sink
    events: list[tuple[Event, bytes]]
    cursor: int
    missing: int = 0


def _next_step(mine: SinkQuerySet) -> Step | None:
    """None where there is nothing more to send, or the sink was paused or is no longer ours to send to."""
    sink = mine.active().first()  # Anew each time: its settings may have been changed.
    head = Head.objects.values_list("sequence", flat=True).get()
    if sink is None or sink.cursor >= head:
        return None
    oldest = Event.objects.order_by("sequence").values_list("sequence", flat=True).first() or head + 1
    if oldest > sink.cursor + 1:
        return Step(sink, [], oldest - 1, missing=oldest - 1 - sink.cursor)
    last = min(sink.cursor + WINDOW, head)
    found = query_of(sink).events().filter(sequence__gt=sink.cursor, sequence__lte=last).order_by("sequence")
    rows = list(found[: MOST_EVENTS + 1])
    events = list(_as_many_as_fit(rows, sink.format))
    return Step(sink, events, last if len(events) == len(rows) else events[-1][0].sequence)


def _as_many_as_fit(rows: list[Event], format: str) -> Iterator[tuple[Event, bytes]]:
    size = 0
    for number, event in enumerate(rows):
        try:
            line = line_of(event, format)
        except (ValueError, TypeError):
            raise NotTaken(f"event {event.sequence} can't be read any more: verify the audit log") from None
        size += len(line)
        if number and (number == MOST_EVENTS or size > MOST_BYTES):
            return
        yield event, line


def _take(step: Step, mine: SinkQuerySet, clock: Clock) -> None:
    """Deliver one step and move the cursor, where the sink is still ours. Raises `NotTaken`."""
    # The lease begins anew with each batch: however long the last one took, this one has all of its time.
    if not mine.update(lease_until=clock() + lease()):
        return
    if step.events:
        DELIVER[step.sink.kind](Batch(step.sink, step.events), lambda: mine.filter(lease_until__gt=clock()).exists())
        _moved_on(step, mine, clock())
    elif step.missing:
        _skip(step, mine)
    else:
        mine.update(cursor=step.cursor)


def _moved_on(step: Step, mine: SinkQuerySet, at: datetime) -> None:
    sink = step.sink
    with transaction.atomic(durable=True):
        moved = mine.update(
            cursor=step.cursor,
            sent=F("sent") + len(step.events),
            sent_at=at,
            failures=0,
            failing_since=None,
            next_try_at=None,
            last_error="",
        )
        if moved and sink.failing_since:
            record(Action.SINK_RECOVERED, actor=CONSOLE, target=target_of(sink), failing_since=sink.failing_since)


def _put_off(mine: SinkQuerySet, error: NotTaken | QueryError, at: datetime) -> None:
    """Leave it alone for a while; the log says so once, when it begins."""
    explanation = str(error)[:500]
    with transaction.atomic(durable=True):
        sink = mine.first()
        if sink is None:
            return
        mine.update(
            failures=F("failures") + 1,
            failing_since=sink.failing_since or at,
            next_try_at=at + pause_after(sink.failures, getattr(error, "wait", None)),
            last_error=explanation,
        )
        if not sink.failing_since:
            record(Action.SINK_FAILING, actor=CONSOLE, target=target_of(sink), explanation=explanation)
    logger.warning("Sink %s: %s", sink.name, explanation)


def pause_after(failures: int, asked: timedelta | None = None) -> timedelta:
    """Doubled with each failure up to a cap, and a little less by chance, so that many sinks don't come at once.

    `asked` is what the receiver asked for; it is heard up to the cap.
    """
    first: timedelta = settings.CONSOLE_AUDIT_RETRY_FIRST
    most: timedelta = settings.CONSOLE_AUDIT_RETRY_MOST
    doubled = min(first * (1 << min(failures, 20)), most)
    return min(max(doubled * random.uniform(0.8, 1.0), asked or timedelta()), most)


def _skip(step: Step, mine: SinkQuerySet) -> None:
    """Retention cut while this sink was paused: that is said, never passed over."""
    with transaction.atomic(durable=True):
        if mine.update(cursor=step.cursor):
            record(
                Action.SINK_SKIPPED,
                actor=CONSOLE,
                target=target_of(step.sink),
                first=step.sink.cursor + 1,
                last=step.cursor,
                events=step.missing,
            )
