import json

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from audit.access import AuditRequest, readers_only
from audit.forms import FilterForm
from audit.harmless import harmless
from audit.models import Event
from audit.paging import page_of
from audit.reviews.views import context_of_event

#: Events of an operation that the page of one of them shows; the list shows all.
STORY = 100


@require_safe
@readers_only
def event_list(request: AuditRequest) -> HttpResponse:
    form = FilterForm(request.GET)
    page = None
    if form.is_valid():
        place = {name: form.cleaned_data[name] for name in ("older", "newer")}
        page = page_of(form.narrow(Event.objects.for_lists()), **place)
    filtered = any(request.GET.get(name) for name in form.fields)
    return render(
        request,
        "audit/list.html",
        {"form": form, "page": page, "filtered": filtered, "zone": timezone.get_current_timezone_name()},
    )


@require_safe
@readers_only
def event_detail(request: AuditRequest, sequence: int) -> HttpResponse:
    event = get_object_or_404(Event, sequence=sequence)
    story = []
    if event.operation:
        story = list(Event.objects.for_lists().of_operation(event.operation).order_by("sequence")[: STORY + 1])
    return render(
        request,
        "audit/event.html",
        {
            "event": event,
            "data": _pretty(event),
            "story": story[:STORY],
            "story_is_longer": len(story) > STORY,
            "zone": timezone.get_current_timezone_name(),
            "review": context_of_event(event, request.actor),
        },
    )


def _pretty(event: Event) -> str:
    """The data on lines of their own, each harmless; nothing where there is none."""
    if not event.details:
        return ""
    return "\n".join(map(harmless, json.dumps(event.details, indent=2, ensure_ascii=False).split("\n")))
