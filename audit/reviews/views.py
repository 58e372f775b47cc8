"""The page of what nobody has reviewed, and the marking itself, from there and from the pages of events."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_http_methods

from audit.access import REVIEW, AuditRequest, readers_only, require
from audit.actors import Actor
from audit.clock import database_now
from audit.models import Event
from audit.placing import place
from audit.reviews import services, wanted
from audit.reviews.forms import ReviewForm


@require_http_methods(["GET", "HEAD", "POST"])
@readers_only
def review(request: AuditRequest) -> HttpResponseBase:
    group = wanted.group_named(request.GET.get("show", wanted.GROUPS[0].name))
    older = request.GET.get("older", "")
    if group is None or (older and not (older.isascii() and older.isdigit() and len(older) < 19)):
        raise Http404
    form = ReviewForm(request.POST if request.method == "POST" else None)
    if form.is_bound and _mark(request, form):
        return redirect(_back(request))
    at = database_now()
    page = wanted.pending(group, at, older=int(older) if older else None)
    hands = services.hands_of(request.actor)
    rows = [(event, item_of(event), services.is_own(event, hands)) for event in page.events]
    context = {
        "form": form,
        "group": group,
        "counts": wanted.counts(at),
        "most": wanted.MOST_COUNTED,
        "page": page,
        "rows": rows,
        "any_to_choose": not all(own for _, _, own in rows),
        "chosen": request.POST.getlist("item"),
        "may_review": REVIEW in request.actor.rights,
    }
    return render(request, "audit/reviews/list.html", context, status=422 if form.is_bound else 200)


def _mark(request: AuditRequest, form: ReviewForm) -> bool:
    """Whether it was done; where not, the form says why."""
    require(request.actor, REVIEW)
    if not form.is_valid():
        return False
    try:
        marks = services.mark(items=form.items, note=form.cleaned_data["note"], actor=request.actor)
    except services.OwnAct as error:
        form.add_error(None, str(error))
        return False
    except ValidationError as error:
        place(error, form)
        return False
    messages.success(request, "Marked as reviewed." if len(marks) == 1 else f"{len(marks)} are marked as reviewed.")
    return True


def _back(request: AuditRequest) -> str:
    """The page that the form was on, if it is one of ours."""
    given = request.POST.get("next", "")
    if given and url_has_allowed_host_and_scheme(given, allowed_hosts={request.get_host()}):
        return given
    return f"{reverse('audit:review')}?{request.GET.urlencode()}"


def item_of(event: Event) -> str:
    """What is marked for this event: the whole operation that it begins, or else the event."""
    if event.action in wanted.GROUPS[0].actions and event.operation:
        return f"operation:{event.operation}"
    return f"event:{event.sequence}"


def context_of_event(event: Event, actor: Actor) -> dict[str, Any]:
    """What `audit/reviews/_marks.html` shows on the page of an event."""
    own = services.is_own(event, services.hands_of(actor))
    return {
        "marks": services.marks_of(event),
        "item": item_of(event),
        "wants_review": wanted.wants_review(event),
        "may_review": REVIEW in actor.rights and not own,
        "is_own": own,
        "note": ReviewForm()["note"],
    }
