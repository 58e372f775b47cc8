"""The console's own parts, and in what state each is.

`/livez`: this process answers. `/readyz`: the whole console can do its work, else what is wrong, in words that anybody
may read. `/health/`: the same with names and times, for people who are signed in. A part that is to be seen there adds
a function to `PARTS`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from agents.live import Look, follows
from apikeys.pages import PageRequest, require_right
from apikeys.rights import Right
from audit.checks import last_sound, standing_flaw
from audit.models import Head
from audit.streams.lag import lags_of
from audit.streams.models import Sink
from audit.triggers import triggers_missing
from bridge.models import BridgeProcess
from console import broker, heartbeats


class State(StrEnum):
    """`trouble` keeps the console from its work, so that `/readyz` says it; `silent` wants a look."""

    WORKS = "works"
    SILENT = "silent"
    TROUBLE = "trouble"

    @property
    def look(self) -> str:
        """What the style sheet calls it."""
        return {State.WORKS: "ok", State.SILENT: "warn", State.TROUBLE: "bad"}[self]


@dataclass(frozen=True)
class Part:
    """`key` is what `/readyz` calls it, `public` what it says of a trouble; `text` is for people signed in."""

    key: str
    label: str
    state: State
    text: str
    public: str = ""
    at: datetime | None = None


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    wrong = {part.key: part.public for part in parts() if part.state == State.TROUBLE}
    response = JsonResponse({"ready": not wrong, "wrong": wrong}, status=503 if wrong else 200)
    # Asked every few seconds; Django would log each 503 as an error.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def parts() -> list[Part]:
    """Every part, as far as the database can be asked."""
    found = [_redis()]
    for look in PARTS:
        try:
            found += look()
        except DatabaseError:
            trouble = "The database does not answer."
            return [*found, Part("database", "Database", State.TROUBLE, trouble, trouble)]
    return found


@require_right(Right.SOURCE_GET)
@require_safe
@follows(also=parts)
def page(request: PageRequest, look: Look) -> HttpResponse:
    context = {"parts": look.also, "troubles": [part for part in look.also if part.state == State.TROUBLE]}
    return look.render("console/health.html", context, in_motion=False)


def _redis() -> Part:
    if broker.trouble():
        text = "It does not answer. Workers go on with what they find by themselves, up to two seconds later."
        return Part("redis", "Redis", State.TROUBLE, text, "Redis does not answer.")
    return Part("redis", "Redis", State.WORKS, "answers")


def _database() -> Iterator[Part]:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    text = f"{connection.display_name}, all migrations applied"
    yield Part("database", "Database", State.WORKS, text)
    if waiting:
        text = f"{len(waiting)} migrations are not applied."
        yield Part("migrations", "Migrations", State.TROUBLE, f"{text} Run manage.py migrate.", text)


def _workers() -> Iterator[Part]:
    since = timezone.now() - settings.CONSOLE_HEARTBEAT_SILENCE
    for name, at in heartbeats.of_workers():
        host = name.removeprefix(heartbeats.WORKER)
        if at >= since:
            yield Part("worker", "Worker", State.WORKS, host, at=at)
        else:
            yield Part("worker", "Worker", State.SILENT, f"{host} shows no sign of life; forgotten after a day.", at=at)
    if not heartbeats.any_worker_since(since):
        text = "Nothing is read and nothing is sent until one runs."
        yield Part("worker", "Worker", State.TROUBLE, text, "No worker has shown a sign of life lately.")


def _bridges() -> Iterator[Part]:
    for process in BridgeProcess.objects.select_related("source").order_by("source__name"):
        label, at = f"Bridge {process.source.name}", process.beat_at
        if process.is_alive(timezone.now() - settings.CONSOLE_HEARTBEAT_SILENCE):
            yield Part("bridge", label, State.WORKS, f"{process.name}, {process.address}", at=at)
        elif process.token:
            yield Part("bridge", label, State.SILENT, "No sign of life: its list can't be read.", at=at)
        else:
            yield Part("bridge", label, State.SILENT, "It was stopped.", at=at)


def _beat() -> Iterator[Part]:
    at = heartbeats.last(heartbeats.BEAT)
    if at and at >= timezone.now() - settings.CONSOLE_HEARTBEAT_SILENCE:
        yield Part("beat", "Scheduler", State.WORKS, "sends what is due by the clock", at=at)
    else:
        text = "No sign of life. Reminders and cleaning up wait; readings and disconnections don't need it."
        yield Part("beat", "Scheduler", State.SILENT, text, at=at)


def _audit() -> Iterator[Part]:
    if flaw := standing_flaw():
        yield Part("audit", "Audit log", State.TROUBLE, flaw.message, "The audit log does not hold.", flaw.ended_at)
    elif triggers_missing():
        text = "Its triggers are missing: until the next migrate, the database itself would not refuse to change it."
        yield Part("audit", "Audit log", State.TROUBLE, text, "The audit log's triggers are missing.")
    else:
        newest = Head.objects.values_list("sequence", flat=True).get()
        check = last_sound()
        words = f"guarded, and sound at the last check, up to event {check.sequence}" if check else "guarded"
        at = check.ended_at if check else None
        yield Part("audit", "Audit log", State.WORKS, f"{words}; event {newest} is the newest", at=at)


def _sinks() -> Iterator[Part]:
    """One that takes nothing is no reason to take the console out of service: nothing is lost meanwhile."""
    for lag in lags_of(Sink.objects.order_by("name")):
        sink, behind = lag.sink, f"{lag.events} event{'s' if lag.events != 1 else ''} behind"
        if sink.paused_at:
            yield Part("sink", f"Sink {sink}", State.SILENT, f"paused, {behind}", at=sink.sent_at)
        elif sink.failing_since:
            yield Part("sink", f"Sink {sink}", State.SILENT, f"{behind}; its own page says why", at=sink.sent_at)
        else:
            yield Part("sink", f"Sink {sink}", State.WORKS, behind if lag.events else "up to date", at=sink.sent_at)


PARTS: list[Callable[[], Iterator[Part]]] = [_database, _workers, _bridges, _beat, _audit, _sinks]
