import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from audit.access import AuditRequest, readers_only
from audit.forms import LineForm, SaveForm, SearchForm
from audit.harmless import harmless
from audit.models import Event
from audit.paging import Page, page_of
from audit.reviews.views import context_of_event
from audit.search import Query, index
from audit.search.facets import Facets, facets
from audit.search.find import Found, find
from audit.search.histogram import histogram
from audit.search.query import why
from audit.search.saved import remove_search, save_search, saved_for
from audit.search.shown import Chart, Group, address_of, chart, groups

#: Events of an operation that the page of one of them shows; the list shows all.
STORY = 100
#: Newer events that are counted; more are said to be more.
MOST_NEWER = 100


@require_safe
@readers_only
def event_list(request: AuditRequest) -> HttpResponse:
    with timezone.override("UTC" if request.GET.get("times") == "utc" else timezone.get_current_timezone()):
        return _event_list(request)


def _event_list(request: AuditRequest) -> HttpResponse:
    others = {"times": "utc"} if request.GET.get("times") == "utc" else {}
    fields = SearchForm(request.GET) if SearchForm.base_fields.keys() & request.GET.keys() else None
    if fields and fields.is_valid():
        return redirect(address_of(fields.cleaned_data["query"], **others))
    line = LineForm(request.GET)
    context: dict[str, Any] = {"line": line, "zone": timezone.get_current_timezone_name(), "others": others}
    if fields is None and line.is_valid():
        query: Query = line.cleaned_data["q"]
        place = {name: line.cleaned_data[name] for name in ("older", "newer")}
        context |= {"result": _result(query, others, **place), "query": query}
        fields = SearchForm.of(query)
    saved = list(saved_for(request.actor))
    return render(request, "audit/list.html", {**context, "fields": fields or SearchForm(), "saved": saved})


@dataclass(frozen=True)
class Result:
    """`found` is None where the index is too far behind."""

    page: Page
    found: Found | None
    facets: Facets | None
    groups: list[Group]
    chart: Chart | None
    behind: int = 0

    @property
    def newest(self) -> int:
        """The newest event of the log when this was looked for."""
        return self.found.last if self.found else 0


def _result(query: Query, others: dict[str, str], *, older: int | None, newer: int | None) -> Result:
    found = find(query)
    events = query.events().for_lists().annotate(why=why())
    page = page_of(query, found, events, older=older, newer=newer)
    if found is None:
        return Result(page, None, None, [], None, index.behind())
    counted = facets(found)
    return Result(page, found, counted, groups(query, counted, **others), chart(query, histogram(found), **others))


@require_safe
@readers_only
def newer_events(request: AuditRequest) -> JsonResponse:
    """How many events of a search are newer than one, for the page that says so without moving what is read."""
    line = LineForm(request.GET)
    if not line.is_valid() or line.cleaned_data["newer"] is None:
        return JsonResponse({"count": 0, "more": False})
    query, above = line.cleaned_data["q"], line.cleaned_data["newer"]
    found = find(query)
    count = sum(1 for _ in islice(found.oldest(above), MOST_NEWER + 1)) if found else 0
    return JsonResponse({"count": min(count, MOST_NEWER), "more": count > MOST_NEWER})


@require_POST
@readers_only
def save(request: AuditRequest) -> HttpResponse:
    form = SaveForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("audit:list")
    given = form.cleaned_data
    try:
        search = save_search(
            name=given["name"], query=given["q"], shared=given["shared"], actor=request.actor, at=timezone.now()
        )
        messages.success(request, f"The search is saved as “{harmless(search.name)}”.")
    except ValidationError as error:
        messages.error(request, error.message)
    return redirect(address_of(given["q"]))


@require_POST
@readers_only
def remove(request: AuditRequest, pk: int) -> HttpResponse:
    search = get_object_or_404(saved_for(request.actor), pk=pk)
    remove_search(search=search, actor=request.actor)
    messages.success(request, f"The saved search “{harmless(search.name)}” is removed.")
    return redirect("audit:list")


@require_safe
@readers_only
def event_detail(request: AuditRequest, sequence: int) -> HttpResponse:
    event = get_object_or_404(Event.objects.annotate(why=why()), sequence=sequence)
    about, requested, story = _stories(event)
    near = Event.objects.for_lists()
    return render(
        request,
        "audit/event.html",
        {
            "event": event,
            "changes": _changes(event),
            "data": _pretty(event),
            "requested": requested,
            "about": about,
            "story": story[:STORY],
            "story_is_longer": len(story) > STORY,
            "before": near.filter(sequence__lt=sequence).order_by("-sequence").first(),
            "after": near.filter(sequence__gt=sequence).order_by("sequence").first(),
            "zone": timezone.get_current_timezone_name(),
            "review": context_of_event(event, request.actor),
        },
    )


def _stories(event: Event) -> tuple[list[Event], Event | None, list[Event]]:
    """What happened to the event's target in its operation, what asked for it, and the whole operation."""
    if not event.operation:
        return [], None, []
    events = Event.objects.for_lists().annotate(why=why()).of_operation(event.operation).order_by("sequence")
    story = list(events[: STORY + 1])
    requested = story[0] if story and story[0].action == "operation.requested" else None
    about = list(events.about(event.target_kind, event.target_id)[:STORY])
    # One session's operation is its whole story already.
    return about if 1 < len(about) < len(story) - 1 else [], requested, story


@dataclass(frozen=True)
class Change:
    name: str
    before: str
    after: str


def _changes(event: Event) -> list[Change]:
    """What was changed, in the two shapes that events have it."""
    details = event.details
    changed = details.get("changed")
    if isinstance(changed, dict):
        pairs = {name: pair for name, pair in changed.items() if isinstance(pair, list) and len(pair) == 2}
        return [Change(name, _words(before), _words(after)) for name, (before, after) in pairs.items()]
    if "before" in details and "after" in details:
        return [Change("", _words(details["before"]), _words(details["after"]))]
    return []


def _words(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() if all(isinstance(each, str) for each in value):
            return ", ".join(value)
        case str() | int() | float():
            return str(value)
    return json.dumps(value, ensure_ascii=False)


def _pretty(event: Event) -> str:
    """The data on lines of their own, each harmless; nothing where there is none."""
    if not event.details:
        return ""
    return "\n".join(map(harmless, json.dumps(event.details, indent=2, ensure_ascii=False).split("\n")))
