"""`/livez`: this process answers. `/readyz`: the whole console can do its work, else what is wrong."""

from collections.abc import Callable, Iterator

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from audit.checks import standing_flaw
from audit.triggers import triggers_missing
from console import broker, heartbeats


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain")


@never_cache
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    wrong = dict(_what_is_wrong())
    response = JsonResponse({"ready": not wrong, "wrong": wrong}, status=503 if wrong else 200)
    # Asked every few seconds; Django would log each 503 as an error.
    response._has_been_logged = True  # type: ignore[attr-defined]
    return response


def _what_is_wrong() -> Iterator[tuple[str, str]]:
    """Names and words only: anybody may ask, so no address, path or error text of ours is told."""
    if broker.trouble():
        yield "redis", "Redis does not answer."
    for name, look in DATABASE_LOOKS.items():
        try:
            trouble = look()
        except DatabaseError:
            yield "database", "The database does not answer."
            return
        if trouble:
            yield name, trouble


def _migrations() -> str | None:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(waiting)} migrations are not applied." if waiting else None


def _worker() -> str | None:
    since = timezone.now() - settings.CONSOLE_HEARTBEAT_SILENCE
    return None if heartbeats.any_worker_since(since) else "No worker has shown a sign of life lately."


def _audit() -> str | None:
    if standing_flaw():
        return "The audit log does not hold."
    return "The audit log's triggers are missing." if triggers_missing() else None


DATABASE_LOOKS: dict[str, Callable[[], str | None]] = {"migrations": _migrations, "worker": _worker, "audit": _audit}
