"""The pages of agent sessions: the list, its CSV, and one session."""

import csv
from collections.abc import Iterator
from datetime import datetime, tzinfo
from typing import Any

from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.timezone import localtime
from django.views.decorators.http import require_safe

from agents.clock import database_now
from agents.filters import SessionFilter
from agents.freshness import ShownSource, counted
from agents.kinds import hidden_kinds, kind_of
from agents.live import Look, follows
from agents.models import AgentSession, Disconnection, Source
from agents.offers import Offer, offers_for
from apikeys.pages import PageRequest, require_right, require_sign_in
from apikeys.rights import Right, require
from audit.actions import Action
from audit.harmless import safe_cell
from audit.models import Event
from audit.services import Target, record

#: Earlier sessions and events that a session's page shows.
EARLIER, EVENTS = 20, 50


@require_right(Right.AGENT_GET)
@require_safe
@follows()
def session_list(request: PageRequest, look: Look) -> HttpResponse:
    filters = SessionFilter(request.GET, sources=[each.source for each in look.sources])
    page, offers = None, list[Offer]()
    if filters.is_valid():
        found = filters.narrow(_of_agents_seen_by(request))
        page = Paginator(found, filters.cleaned_data["size"]).get_page(filters.cleaned_data["page"])
        offers = offers_for(_with_sources(page.object_list, look.sources), request.actor, database_now())
    sources = counted(look.sources)
    context = {
        "filters": filters,
        "columns": _columns(request, filters, one_source=len(sources) == 1),
        "page": page,
        "offers": offers,
        "sources": sources,
        "empty": "" if offers or page is None else _why_empty(filters, sources),
        "csv_url": f"{reverse('agents:export')}?{request.GET.urlencode()}",
    }
    return look.render("agents/session_list.html", context, in_motion=any(each.open_one for each in offers))


def _of_agents_seen_by(request: PageRequest) -> QuerySet[AgentSession]:
    sessions = AgentSession.objects.of_agents().for_lists()
    hidden = hidden_kinds(request.actor.rights)
    return sessions.exclude(source__kind__in=hidden) if hidden else sessions


def _with_sources(sessions: Any, sources: list[ShownSource]) -> list[AgentSession]:
    """The sessions, each with its source as it was loaded already."""
    by_pk = {each.source.pk: each.source for each in sources}
    found = list(sessions)
    for session in found:
        if session.source_id in by_pk:
            session.source = by_pk[session.source_id]
    return found


def _why_empty(filters: SessionFilter, sources: list[ShownSource]) -> str:
    if not sources:
        return "no_source"
    if filters.is_used:
        return "none_match"
    return "none_connected" if any(each.freshness.at for each in sources) else "never_read"


def _columns(request: PageRequest, filters: SessionFilter, *, one_source: bool) -> list[dict[str, str]]:
    """The headings; each link sorts by its column, and the other way round where it does so already."""
    given = filters.cleaned_data
    sort = given.get("sort") or ("" if given.get("state") == AgentSession.Phase.ENDED else "agent")
    columns = []
    for name, label in filters.COLUMNS.items():
        if name == "source" and one_source:
            continue
        query = request.GET.copy()
        query.pop("page", None)
        query["sort"] = f"-{name}" if sort == name else name
        direction = {name: "ascending", f"-{name}": "descending"}.get(sort, "")
        columns.append({"label": label, "sort_url": f"?{query.urlencode()}", "aria_sort": direction})
    return columns


@require_right(Right.AGENT_GET)
@require_safe
def export(request: PageRequest) -> HttpResponseBase:
    """The rows of the view as CSV, all pages of it."""
    sources = list(Source.objects.order_by("name", "pk"))
    filters = SessionFilter(request.GET, sources=sources)
    if not filters.is_valid():
        return redirect(f"{reverse('agents:sessions')}?{request.GET.urlencode()}")
    found = filters.narrow(_of_agents_seen_by(request))
    with transaction.atomic():
        filtered = {name: text for name, text in request.GET.items() if text and name in filters.fields}
        target = Target("agent sessions", "", "agent sessions")
        record(Action.SESSIONS_EXPORTED, actor=request.actor, target=target, filter=filtered, rows=found.count())
    rows = _csv_rows(found, {source.pk: source.name for source in sources}, timezone.get_current_timezone())
    response = StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="agent-sessions-{localtime():%Y-%m-%d-%H%M}.csv"'
    response["Cache-Control"] = "no-store"
    return response


class _Echo:
    """A file that gives back what is written to it, for `csv.writer`."""

    def write(self, text: str) -> str:
        return text


def _csv_rows(sessions: QuerySet[AgentSession], names: dict[int, str], zone: tzinfo) -> Iterator[str]:
    """The zone is passed: when these run, the request's own is no longer active."""
    writer = csv.writer(_Echo())
    # Without the mark spreadsheets take UTF-8 for the code page of their machine.
    yield "\ufeff"
    yield writer.writerow([*SessionFilter.COLUMNS.values(), "Session ID", "Ended", "Ended how"])
    for each in sessions.iterator(chunk_size=1000):
        cells = [
            each.agent_id,
            each.direction,
            each.connections,
            each.endpoint,
            each.version,
            _moment(each.started_at, zone) or each.started_text,
            each.phase.label,
            names.get(each.source_id, ""),
            each.session_id,
            _moment(each.ended_at, zone),
            each.get_ended_by_display(),
        ]
        yield writer.writerow([safe_cell(cell) for cell in cells])


def _moment(moment: datetime | None, zone: tzinfo) -> str:
    return moment.astimezone(zone).isoformat(sep=" ", timespec="seconds") if moment else ""


@require_sign_in
@require_safe
@follows()
def session(request: PageRequest, look: Look, pk: int) -> HttpResponse:
    found = get_object_or_404(AgentSession.objects.select_related("source__contract"), pk=pk)
    kind = kind_of(found.source)
    require(request.actor, kind.right_to_see)
    disconnections = list(found.disconnections.select_related("operation").order_by("-requested_at", "pk"))
    [offer] = offers_for([found], request.actor, database_now())
    earlier = AgentSession.objects.for_lists().filter(source=found.source_id, agent_id=found.agent_id)
    earlier = earlier.filter(part_of=found.part_of)
    context = {
        "session": found,
        "offer": offer,
        "details": kind.details(found),
        "shown_source": look.source(found.source_id),
        "disconnections": disconnections,
        "earlier": earlier.exclude(pk=pk).order_by("-pk")[:EARLIER],
        "events": _events_of(found, disconnections) if Right.AUDIT_GET in request.actor.rights else [],
    }
    return look.render("agents/session_detail.html", context, in_motion=bool(offer.open_one))


def _events_of(session: AgentSession, disconnections: list[Disconnection]) -> list[Event]:
    """What the audit log says of this session, newest first."""
    about = Q(target_kind=session.target.kind, target_id=session.target.id)
    if other := kind_of(session.source).logged_as(session):
        about |= Q(target_kind=other.kind, target_id=other.id)
    if disconnections:
        about |= Q(target_kind="disconnection", target_id__in=[row.target.id for row in disconnections])
        about |= Q(target_kind="operation", target_id__in=[row.operation.target.id for row in disconnections])
    return list(Event.objects.for_lists().filter(about).order_by("-sequence")[:EVENTS])
