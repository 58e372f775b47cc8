"""The pages of sources: all of them, one with its readings, and what an Administrator may do to them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from allauth.account.decorators import reauthentication_required
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.forms import BoundField, ModelForm
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from agents import sources
from agents.forms import SourceForm
from agents.freshness import Freshness, counted
from agents.kinds import SourceKind, all_kinds, kind_of
from agents.live import Look, follows
from agents.models import Credential, Disconnection, Reading, Source
from apikeys.pages import PageRequest, View, has_confirmed, require_right
from apikeys.rights import Right
from audit.actions import Action
from audit.models import Event

#: Readings that a source's page shows.
READINGS = 20


@require_right(Right.AGENT_GET)
@require_safe
@follows()
def source_list(request: PageRequest, look: Look) -> HttpResponse:
    return look.render("agents/source_list.html", {"sources": counted(look.sources)}, in_motion=False)


@require_right(Right.AGENT_GET)
@require_safe
@follows()
def source(request: PageRequest, look: Look, pk: int) -> HttpResponse:
    shown = next((each for each in counted(look.sources) if each.source.pk == pk), None)
    if shown is None:
        raise Http404
    open_ones = Disconnection.objects.open().filter(source=pk)
    readings = shown.source.readings.order_by("-pk")[:READINGS]
    context = {
        "shown": shown,
        "source": shown.source,
        "facts": kind_of(shown.source).facts(shown.source),
        "advice": shown.freshness.advice(shown.source),
        "advice_kind": _ADVICE_KIND.get(shown.freshness.state, "error"),
        "credentials": list(_credentials_of(shown.source)),
        "readings": [(reading, _READING_STATE[reading.outcome]) for reading in readings],
        "last_test": _last_test(shown.source),
    }
    return look.render("agents/source_detail.html", context, in_motion=open_ones.exists())


_ADVICE_KIND = {
    Freshness.PAUSED: "info",
    Freshness.REFUSED: "warn",
    Freshness.INCOMPLETE: "warn",
    Freshness.STALE: "warn",
}
_READING_STATE: dict[str, Freshness] = {
    Reading.Outcome.COMPLETE: Freshness.FRESH,
    Reading.Outcome.INCOMPLETE: Freshness.INCOMPLETE,
    Reading.Outcome.UNREACHABLE: Freshness.UNREACHABLE,
    Reading.Outcome.REJECTED: Freshness.REJECTED,
    Reading.Outcome.RATE_LIMITED: Freshness.REFUSED,
    Reading.Outcome.NOT_UNDERSTOOD: Freshness.UNREACHABLE,
}


@dataclass(frozen=True)
class ShownCredential:
    """All that is ever shown of a credential: what for, since when, and whether the remote takes it."""

    purpose: str
    state: str
    words: str
    replaced_at: datetime | None = None


def _credentials_of(source: Source) -> Iterator[ShownCredential]:
    kept = {credential.purpose: credential for credential in source.credentials.all()}
    for purpose in Credential.Purpose:
        credential = kept.get(purpose)
        if credential is None:
            yield ShownCredential(purpose.label, "never", "missing")
        elif credential.rejected_at:
            yield ShownCredential(purpose.label, "rejected", "rejected by the remote", credential.replaced_at)
        else:
            yield ShownCredential(purpose.label, "ok", "in use", credential.replaced_at)


def _last_test(source: Source) -> dict[str, Any] | None:
    """What the newest test found, as the audit log keeps it."""
    tests = Event.objects.about(source.target.kind, source.target.id).filter(action=Action.SOURCE_TESTED)
    event = tests.order_by("-sequence").first()
    if event is None:
        return None
    works = event.details.get("works", [])
    results = [
        {
            "state": "ok" if purpose in works else "bad",
            "title": Credential.Purpose(purpose).label,
            "text": explanation,
        }
        for purpose, explanation in event.details.get("findings", {}).items()
    ]
    return {"at": event.at, "by": event.actor_label, "results": results}


# --- What an Administrator does ----------------------------------------------------------------------------------


def _confirmed_before_opening[**P](view: View[P]) -> View[P]:
    """The form opens only to somebody who gave their password lately; `_edit` looks again before it saves."""
    return cast(View[P], reauthentication_required(view, enabled=lambda request: request.method != "POST"))


@never_cache
@require_right(Right.SOURCE_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@_confirmed_before_opening
def add(request: PageRequest) -> HttpResponse:
    kind = _kind_to_add(request)
    return _edit(request, Source(kind=kind.name), kind)


@never_cache
@require_right(Right.SOURCE_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@_confirmed_before_opening
def edit(request: PageRequest, pk: int) -> HttpResponse:
    source = get_object_or_404(Source.objects.select_related("contract"), pk=pk)
    return _edit(request, source, kind_of(source))


def _kind_to_add(request: PageRequest) -> SourceKind:
    kinds = {kind.name: kind for kind in all_kinds()}
    name = request.GET.get("kind", next(iter(kinds)))
    if name not in kinds:
        raise Http404
    return kinds[name]


def _edit(request: PageRequest, source: Source, kind: SourceKind) -> HttpResponse:
    """The form of a source and of its kind, and on a POST what it asks for."""
    kept_name, is_new = source.name, source.pk is None
    data = request.POST if request.method == "POST" else None
    form = SourceForm(data, instance=source)
    own = kind.settings_form(data, instance=None if is_new else getattr(source, kind.own))
    if data is not None and all([form.is_valid(), own.is_valid()]):
        if not has_confirmed(request):
            form.add_error(None, _CONFIRM_ANEW)
        elif _save(request, form, own, is_new=is_new):
            return redirect(source)
    context = {
        "form": form,
        "own": own,
        "sections": _sections(form, own),
        "kind": kind,
        "kinds": all_kinds() if is_new else [],
        "name": kept_name,
        "confirm_url": "" if data is None or has_confirmed(request) else f"{reverse('account_reauthenticate')}?next=/",
        "cancel_url": reverse("agents:sources") if is_new else source.get_absolute_url(),
    }
    return render(request, "agents/source_form.html", context, status=200 if data is None else 422)


_CONFIRM_ANEW = "It is a while since you gave your password. Confirm it in another tab, type the keys again, and save."


def _save(request: PageRequest, form: SourceForm, own: "ModelForm[Any]", *, is_new: bool) -> bool:
    """Whether it was saved; where not, the forms say why."""
    keep = sources.add_source if is_new else sources.change_source
    try:
        keep(
            source=form.instance,
            own=own.instance,
            contract=form.cleaned_data.get("contract", ""),
            requests_per_minute=form.cleaned_data.get("requests_per_minute", 0),
            secrets=form.secrets,
            actor=request.actor,
        )
    except ValidationError as error:
        _place(error, form, own)
        return False
    said = "added; it is read as soon as a worker runs." if is_new else "saved; it is read anew."
    if kind_of(form.instance).own_worker:
        said = f"{'added' if is_new else 'saved'}; it counts from the next start of its own process on."
    messages.success(request, f"{form.instance.name} is {said}")
    return True


def _place(error: ValidationError, form: SourceForm, own: "ModelForm[Any]") -> None:
    """Each message beside the field that it is about."""
    by_field = error.error_dict if hasattr(error, "error_dict") else {"__all__": error.error_list}
    for name, errors in by_field.items():
        if name in own.fields:
            own.add_error(name, errors)
        else:
            form.add_error(name if name in form.fields else None, errors)


def _sections(form: SourceForm, own: "ModelForm[Any]") -> list[dict[str, Any]]:
    def fields(*names: str) -> list[BoundField]:
        return [form[name] for name in names]

    if kind_of(form.instance).own_worker:
        return [{"title": "What it is", "text": "Its process takes these when it starts.", "fields": [*form, *own]}]
    return [
        {
            "title": "Where it is",
            "text": "The address of the remote, and how it is reached.",
            "fields": [form["name"], *own],
        },
        {
            "title": "Keys",
            "text": "They are encrypted where they are kept, and never shown again.",
            "fields": fields(*SourceForm.KEYS),
        },
        {
            "title": "Limits and waits",
            "text": "The defaults suit the service as its guide describes it.",
            "fields": fields("contract", "requests_per_minute", "polling_seconds", "settle_seconds", "confirm_seconds"),
        },
    ]


@require_right(Right.SOURCE_MANAGE)
@require_POST
def test(request: PageRequest, pk: int) -> HttpResponse:
    """One call with each credential; what came back is on the source's page."""
    source = get_object_or_404(Source.objects.select_related("contract"), pk=pk)
    try:
        findings = sources.test_source(source=source, actor=request.actor)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect(source)
    if all(finding.works for finding in findings):
        messages.success(request, "The test went well.")
    else:
        messages.error(request, "Not everything works: see the last test.")
    return redirect(source)


@require_right(Right.SOURCE_MANAGE)
@require_POST
def pause(request: PageRequest, pk: int) -> HttpResponse:
    source = get_object_or_404(Source, pk=pk)
    paused = sources.pause_source(source=source, actor=request.actor)
    messages.info(request, f"{source.name} is paused." if paused else f"{source.name} was paused already.")
    return redirect(source)


@require_right(Right.SOURCE_MANAGE)
@require_POST
def resume(request: PageRequest, pk: int) -> HttpResponse:
    source = get_object_or_404(Source, pk=pk)
    resumed = sources.resume_source(source=source, actor=request.actor)
    messages.info(request, f"{source.name} is resumed." if resumed else f"{source.name} was not paused.")
    return redirect(source)
