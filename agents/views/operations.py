"""The pages of operations: all of them, and one followed to its proven outcome."""

from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST, require_safe

from agents import services
from agents.filters import OperationFilter, RowFilter
from agents.live import Look, follows
from agents.models import Disconnection, Operation
from agents.progress import Progress, parts_of, progress_of
from agents.states import State
from agents.story import Step, deadline_of, notes_on, story_of, summary_of, summary_of_many
from apikeys.pages import PageRequest, require_right, require_sign_in
from apikeys.rights import Right
from audit.actions import Action
from audit.models import Event
from audit.reviews.views import context_of_event

#: Steps that a page shows of one disconnection; the audit log has them all.
STEPS = 200


@require_right(Right.AGENT_GET)
@require_safe
@follows()
def operation_list(request: PageRequest, look: Look) -> HttpResponse:
    filters = OperationFilter(request.GET, sources=[each.source for each in look.sources])
    page, rows = None, list[Progress]()
    if filters.is_valid():
        found = filters.narrow(Operation.objects.order_by("-requested_at", "pk"))
        page = Paginator(found, filters.cleaned_data["size"]).get_page(filters.cleaned_data["page"])
        rows = progress_of(page.object_list)
    empty = "" if rows or page is None else ("none_match" if filters.is_used else "none")
    context = {"filters": filters, "page": page, "operations": rows, "empty": empty}
    return look.render("agents/operation_list.html", context, in_motion=any(row.is_open for row in rows))


@require_right(Right.AGENT_GET)
@require_safe
@follows()
def operation(request: PageRequest, look: Look, pk: UUID) -> HttpResponse:
    """`?disconnection=` shows one row of an operation of many as if it were alone."""
    [progress] = progress_of([get_object_or_404(Operation, pk=pk)])
    filters = RowFilter(request.GET)
    one, requested = _the_one(progress, filters), _requested_event(progress.operation)
    context = {
        "operation": progress.operation,
        "progress": progress,
        "title": f"Disconnect {one.agent_id_then}" if one else progress.title,
        "state": State(one.state) if one else progress.state,
        "filters": filters,
        "requested": requested,
        "may_cancel": bool(progress.states[State.QUEUED]) and _may_disconnect(request, look, progress),
        "summary": summary_of(one) if one else summary_of_many(progress),
    }
    if requested and Right.AUDIT_GET in request.actor.rights:
        context["review"] = context_of_event(requested, request.actor)
    if one:
        context |= {
            "one": one,
            "notes": notes_on(one),
            "timeline": _timeline(one),
            "deadline": deadline_of(one),
            "shown_source": look.source(one.source_id),
        }
    elif filters.is_valid():
        rows = filters.narrow(progress.operation.disconnections.select_related("session"))
        rows = rows.order_by("requested_at", "pk")
        context |= {
            "outcomes": parts_of(progress.states),
            "page": Paginator(rows, filters.cleaned_data["size"]).get_page(filters.cleaned_data["page"]),
        }
    return look.render("agents/operation_detail.html", context, in_motion=progress.is_open)


def _the_one(progress: Progress, filters: RowFilter) -> Disconnection | None:
    """The disconnection that the page is about, where it is about one."""
    rows = progress.operation.disconnections.select_related("session", "source__contract", "came_back_as")
    if progress.operation.size == 1:
        return rows.get()
    if filters.is_valid() and filters.cleaned_data["disconnection"]:
        return get_object_or_404(rows, pk=filters.cleaned_data["disconnection"])
    return None


def _may_disconnect(request: PageRequest, look: Look, progress: Progress) -> bool:
    concerned = [each.kind for each in look.sources if each.source.name in progress.sources]
    return all(kind.right_to_disconnect in request.actor.rights for kind in concerned)


def _requested_event(operation: Operation) -> Event | None:
    """The event that says from where and by which way in it was asked for."""
    requested = Event.objects.for_lists().filter(action=Action.OPERATION_REQUESTED)
    return requested.of_operation(operation.pk).first()


def _timeline(row: Disconnection) -> list[Step]:
    """What happened to this row: its own events and those of the operation as a whole."""
    events = Event.objects.of_operation(row.operation_id).order_by("sequence")
    if row.operation.size > 1:
        events = events.filter(target_kind__in=["operation", "disconnection"])
        events = events.filter(target_id__in=[row.operation.target.id, row.target.id])
    return story_of(events[:STEPS])


@require_sign_in
@require_POST
def cancel(request: PageRequest, pk: UUID) -> HttpResponse:
    operation = get_object_or_404(Operation, pk=pk)
    count = services.cancel_operation(operation=operation, actor=request.actor)
    if count:
        messages.success(request, "Cancelled before it was sent." if operation.size == 1 else f"{count} cancelled.")
    else:
        messages.info(request, "There was nothing left to cancel: all of it was sent, or over, already.")
    return redirect(operation)
