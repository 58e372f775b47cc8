"""The pages of sinks: all of them, one with how far it is, and what an Administrator may do to them.

The secret of a sink is in one answer to a POST, and in no address, session or other page.
"""

from uuid import UUID

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import following
from audit.access import MANAGE, AuditRequest, only_with, readers_only
from audit.clock import database_now
from audit.models import Event
from audit.placing import place
from audit.sealing import Secret
from audit.streams import services
from audit.streams.forms import SinkForm
from audit.streams.lag import lags_of
from audit.streams.models import Sink

#: Events about a sink that its page shows.
EVENTS = 20
managers_only = only_with(MANAGE)
_confirmed = reauthentication_required(allow_get=True)


@require_safe
@readers_only
def sink_list(request: AuditRequest) -> HttpResponseBase:
    lags = lags_of(Sink.objects.order_by("name"))
    etag = following.token(request, lags)
    return following.follow(
        request,
        etag,
        lambda: following.show(
            request,
            etag,
            "audit/sinks/list.html",
            {"lags": lags, "kinds": Sink.Kind.choices},
            in_motion=any(lag.state == "sending" for lag in lags),
        ),
    )


@require_safe
@readers_only
def sink(request: AuditRequest, pk: UUID) -> HttpResponseBase:
    found = get_object_or_404(Sink, pk=pk)
    [lag] = lags_of([found])
    etag = following.token(request, lag, found.failures, found.next_try_at, found.sent)

    def page() -> HttpResponse:
        about = Event.objects.for_lists().about("audit sink", str(pk)).order_by("-sequence")
        context = {"sink": found, "lag": lag, "behind": lag.seconds(database_now()), "events": about[:EVENTS]}
        return following.show(request, etag, "audit/sinks/sink.html", context, in_motion=lag.state == "sending")

    return following.follow(request, etag, page)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@managers_only
@_confirmed
def add(request: AuditRequest) -> HttpResponse:
    kind = request.GET.get("kind", Sink.Kind.HTTPS)
    if kind not in Sink.Kind.values:
        raise Http404
    form = SinkForm(request.POST if request.method == "POST" else None, instance=Sink(kind=kind))
    if form.is_bound and form.is_valid():
        try:
            secret = services.add_sink(
                sink=form.instance, from_beginning=form.cleaned_data["from_beginning"], actor=request.actor
            )
        except ValidationError as error:
            place(error, form)
        else:
            messages.success(request, f"{form.instance.name} is added.")
            return _secret_page(request, form.instance, secret) if secret else redirect(form.instance)
    return _form_page(request, form)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@managers_only
@_confirmed
def edit(request: AuditRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Sink, pk=pk)
    form = SinkForm(request.POST if request.method == "POST" else None, instance=found)
    if form.is_bound and form.is_valid():
        try:
            services.change_sink(sink=form.instance, actor=request.actor)
        except ValidationError as error:
            place(error, form)
        else:
            messages.success(request, f"{form.instance.name} is saved.")
            return redirect(form.instance)
    return _form_page(request, form)


def _form_page(request: AuditRequest, form: SinkForm) -> HttpResponse:
    is_new = form.instance._state.adding
    context = {
        "form": form,
        "kind": Sink.Kind(form.instance.kind),
        "kinds": Sink.Kind if is_new else [],
        "sink": None if is_new else Sink.objects.get(pk=form.instance.pk),
    }
    return render(request, "audit/sinks/form.html", context, status=422 if form.is_bound else 200)


@never_cache
@require_POST
@managers_only
@_confirmed
def replace_secret(request: AuditRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Sink, pk=pk, kind=Sink.Kind.HTTPS)
    return _secret_page(request, found, services.replace_secret(sink=found, actor=request.actor))


def _secret_page(request: AuditRequest, sink: Sink, secret: Secret) -> HttpResponse:
    """The text is in this answer and nowhere else, so there is no redirect to a page that could show it again."""
    return render(request, "audit/sinks/secret.html", {"sink": sink, "text": secret.value})


@require_POST
@managers_only
def test(request: AuditRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Sink, pk=pk)
    wrong = services.test_sink(sink=found, actor=request.actor)
    if wrong:
        messages.error(request, f"{found.name} did not take the test: {wrong}.")
    else:
        messages.success(request, f"{found.name} took the test.")
    return redirect(found)


@require_POST
@managers_only
def pause(request: AuditRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Sink, pk=pk)
    paused = services.pause_sink(sink=found, actor=request.actor)
    messages.info(request, f"{found.name} is paused." if paused else f"{found.name} was paused already.")
    return redirect(found)


@require_POST
@managers_only
def resume(request: AuditRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Sink, pk=pk)
    resumed = services.resume_sink(sink=found, actor=request.actor)
    messages.info(request, f"{found.name} is resumed." if resumed else f"{found.name} was not paused.")
    return redirect(found)


@require_http_methods(["GET", "HEAD", "POST"])
@managers_only
@_confirmed
def remove(request: AuditRequest, pk: UUID) -> HttpResponse:
    """Asks first: where the sink stood in the log is forgotten with it."""
    found = get_object_or_404(Sink, pk=pk)
    if request.method != "POST":
        return render(request, "audit/sinks/remove.html", {"sink": found, "lag": lags_of([found])[0]})
    services.remove_sink(sink=found, actor=request.actor)
    messages.info(request, f"{found.name} is removed.")
    return redirect("audit:sinks")
