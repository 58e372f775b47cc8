"""The page, or dialog, that asks before an agent session is disconnected."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django.views.decorators.vary import vary_on_headers

from agents import services
from agents.clock import database_now
from agents.forms import ReasonForm
from agents.freshness import sources_with_states
from agents.kinds import kind_of
from agents.models import AgentSession
from agents.offers import offers_for
from agents.sending import is_stale
from apikeys.pages import PageRequest, require_sign_in
from apikeys.rights import require


@never_cache
@vary_on_headers("HX-Request", "HX-Target")
@require_sign_in
@require_http_methods(["GET", "HEAD", "POST"])
def disconnect(request: PageRequest, pk: int) -> HttpResponse:
    session = get_object_or_404(AgentSession.objects.select_related("source__contract"), pk=pk)
    require(request.actor, kind_of(session.source).right_to_disconnect)
    if request.method != "POST":
        return _ask(request, session, ReasonForm())
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return _ask(request, session, form.with_new_token() if "token" in form.errors else form, status=422)
    try:
        operation = services.request_disconnection(
            sessions=[session],
            reason=form.cleaned_data["reason"],
            actor=request.actor,
            token=form.cleaned_data["token"],
            person_id=request.user.pk,
        )
    except services.AlreadyOpen as error:
        messages.info(request, f"{error} This is that operation; nothing was added to it.")
        return redirect(error.existing.operation)
    except (services.NotOffered, ValidationError) as error:
        form.add_error(None, str(error) if isinstance(error, services.NotOffered) else error)
        return _ask(request, session, form, status=422)
    return redirect(operation)


def _ask(request: PageRequest, session: AgentSession, form: ReasonForm, *, status: int = 200) -> HttpResponse:
    """The question with what it will do, or why it can't be done any more."""
    at = database_now()
    [offer] = offers_for([session], request.actor, at)
    [source] = [each for each in sources_with_states(at) if each.source.pk == session.source_id]
    context = {
        "session": session,
        "offer": offer,
        "shown_source": source,
        "form": form,
        "impact": kind_of(session.source).impact(session),
        "reads_first": is_stale(source.source, at),
    }
    part = "#dialog" if request.htmx and request.htmx.target == "dialog" else ""
    return render(request, f"agents/disconnect.html{part}", context, status=status)
