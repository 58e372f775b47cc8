"""`/metrics` for Prometheus: what the database knows of sessions, sources, disconnections and the console's parts.

For this machine itself, or for an API key with *Sources: Get*. A request that a proxy passed on is not this machine's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from agents.clock import database_now
from agents.freshness import ShownSource, counted, sources_with_states
from agents.models import Disconnection
from apikeys.base import ApiView, KeyRequest
from apikeys.checking import LiveKey
from audit.middleware import client_address
from audit.models import Head
from console import heartbeats
from console.health import State, parts

#: Whatever a proxy adds: with one of these, the sender is not whoever holds the connection.
_FORWARDED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")


class Metrics(ApiView):
    """Gauges in the text format of Prometheus."""

    scopes = {"GET": "source:get"}
    http_method_names = ["get", "head"]

    def get_permissions(self) -> Sequence[Any]:
        return [] if _is_from_here(self.request._request) else super().get_permissions()

    @extend_schema(exclude=True)
    def get(self, request: KeyRequest) -> HttpResponse:
        registry = CollectorRegistry()
        registry.register(_Console(request.auth))
        headers = {"Cache-Control": "no-store"}
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers=headers)


def _is_from_here(request: HttpRequest) -> bool:
    if any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ip_address(client_address(request)).is_loopback
    except ValueError:
        return False


class _Console(Collector):
    """`key`: whose sources are told of; None for this machine, which is told of all."""

    def __init__(self, key: LiveKey | None) -> None:
        self.key = key

    def collect(self) -> Iterator[Metric]:
        at = database_now()
        sources = [each for each in counted(sources_with_states(at)) if self._may_see(each.source.name)]
        yield from _of_sources(sources, at)
        rows = Disconnection.objects.open().filter(source__in=[each.source.pk for each in sources])
        states = dict(rows.order_by().values_list("state").annotate(Count("pk")))
        yield _by("state", "console_disconnections_open", "Disconnections that have not ended", states)
        yield from _of_parts(at)

    def _may_see(self, source: str) -> bool:
        return self.key is None or self.key.all_sources or source in self.key.sources


def _of_sources(sources: list[ShownSource], at: datetime) -> Iterator[Metric]:
    gauges: list[tuple[str, str, Callable[[ShownSource], float | None]]] = [
        ("console_sessions", "Agent sessions that are connected", lambda shown: shown.connected),
        ("console_sessions_closing", "Those of them about to close", lambda shown: shown.closing),
        ("console_source_list_age_seconds", "Since the newest complete reading", lambda shown: _age(shown, at)),
        ("console_source_trouble", "1 where something is to be done", lambda shown: shown.freshness.is_trouble),
    ]
    for name, words, of in gauges:
        values = {shown.source.name: of(shown) for shown in sources}
        yield _by("source", name, words, {source: value for source, value in values.items() if value is not None})


def _age(shown: ShownSource, at: datetime) -> float | None:
    return _seconds(at, shown.freshness.at) if shown.freshness.at else None


def _of_parts(at: datetime) -> Iterator[Metric]:
    ready = not any(part.state == State.TROUBLE for part in parts())
    yield GaugeMetricFamily("console_ready", "1 where /readyz says so", int(ready))
    workers = [seen for _, seen in heartbeats.of_workers()]
    if workers:
        age = _seconds(at, max(workers))
        yield GaugeMetricFamily("console_worker_age_seconds", "Since any worker showed a sign of life", age)
    beat = heartbeats.last(heartbeats.BEAT)
    if beat:
        yield GaugeMetricFamily("console_scheduler_age_seconds", "Since beat showed one", _seconds(at, beat))
    newest = Head.objects.values_list("sequence", flat=True).get()
    yield GaugeMetricFamily("console_audit_events", "Number of the newest event", newest)


def _by(label: str, name: str, words: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _seconds(at: datetime, since: datetime) -> float:
    return max((at - since).total_seconds(), 0)
