"""The pages of API keys. The text of a key is in one answer to a POST, and in no address, session or other page."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apikeys import scopes, services
from apikeys.charts import chart_of, endpoints_of
from apikeys.forms import KeyFilter, KeyForm, RevokeForm, RotateForm, end_of
from apikeys.models import ApiKey
from apikeys.pages import PageRequest, require_confirmation, require_right
from apikeys.rights import Right, rights_of
from apikeys.services import KeyEnded, OverlapUnderWay
from apikeys.tokens import Token
from audit.models import Event

PAGE = 50
#: Events that a key's page shows.
EVENTS = 30


@require_right(Right.APIKEY_GET)
@require_safe
def key_list(request: PageRequest) -> HttpResponse:
    at = timezone.now()
    form = KeyFilter(request.GET)
    page = None
    if form.is_valid():
        found = form.narrow(services.visible_keys(request.actor), at).select_related("owner").order_by("name", "pk")
        page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    shown = {
        "filters": form,
        "page": page,
        "rows": [(key, key.state(at), scopes.labels_of(key.scopes)) for key in page or []],
        "any": bool(page) or services.visible_keys(request.actor).exists(),
    }
    return render(request, "apikeys/list.html", shown, status=200 if form.is_valid() else 422)


@require_right(Right.APIKEY_GET)
@require_safe
def key(request: PageRequest, pk: int) -> HttpResponse:
    key, at = _visible(request, pk), timezone.now()
    today = datetime.now(UTC).date()
    secrets = key.secrets.order_by("-made_at", "-pk")
    lost = frozenset(key.scopes) - rights_of(key.owner) if key.owner else frozenset()
    about = Event.objects.for_lists().about(key.target.kind, key.target.id)
    shown = {
        "key": key,
        "state": key.state(at),
        "scopes": [(scope, scope.name in lost) for scope in scopes.all_scopes() if scope.name in key.scopes],
        "current": secrets.current().get(),
        "old": secrets.overlapping(at).first(),
        "chart": chart_of(key, today),
        "endpoints": endpoints_of(key, today),
        "events": about.order_by("-sequence")[:EVENTS],
    }
    return render(request, "apikeys/key.html", shown)


@never_cache
@require_right(Right.APIKEY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_confirmation
def add(request: PageRequest) -> HttpResponse:
    at = timezone.now()
    form = KeyForm(_posted(request), giver=request.actor, at=at)
    if form.is_valid():
        try:
            key, token = services.issue_key(terms=form.terms, actor=request.actor, at=at)
        except ValidationError as error:
            _place(error, form)
        else:
            return _secret_page(request, key, token)
    return render(request, "apikeys/form.html", {"form": form}, status=_status(form))


@never_cache
@require_right(Right.APIKEY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_confirmation
def edit(request: PageRequest, pk: int) -> HttpResponse:
    key, at = _visible(request, pk), timezone.now()
    form = KeyForm(_posted(request), giver=request.actor, key=key, at=at)
    if form.is_valid():
        try:
            changed = services.change_key(key=key, terms=form.terms, actor=request.actor, at=at)
        except ValidationError as error:
            _place(error, form)
        except KeyEnded as error:
            return _back(request, key, error)
        else:
            messages.success(request, f"{changed.name} is saved.")
            return redirect(key)
    return render(request, "apikeys/form.html", {"form": form, "key": key}, status=_status(form))


@never_cache
@require_right(Right.APIKEY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_confirmation
def rotate(request: PageRequest, pk: int) -> HttpResponse:
    key, at = _visible(request, pk), timezone.now()
    form = RotateForm(_posted(request), key=key, at=at)
    if form.is_valid():
        given = form.cleaned_data
        try:
            token = services.rotate_key(
                key=key,
                overlap=timedelta(hours=given["overlap"]),
                expires_at=end_of(given["expires"]),
                actor=request.actor,
                at=at,
            )
        except ValidationError as error:
            _place(error, form)
        except (KeyEnded, OverlapUnderWay) as error:
            return _back(request, key, error)
        else:
            return _secret_page(request, _visible(request, pk), token, old=key.secrets.overlapping(at).first())
    return render(request, "apikeys/rotate.html", {"form": form, "key": key}, status=_status(form))


@require_right(Right.APIKEY_MANAGE)
@require_http_methods(["GET", "HEAD", "POST"])
@require_confirmation
def revoke(request: PageRequest, pk: int) -> HttpResponse:
    key = _visible(request, pk)
    form = RevokeForm(_posted(request), key=key)
    if form.is_valid():
        try:
            services.revoke_key(key=key, actor=request.actor, at=timezone.now())
        except KeyEnded as error:
            return _back(request, key, error)
        messages.success(request, f"{key.name} is revoked: it opens nothing any more.")
        return redirect(key)
    return render(request, "apikeys/revoke.html", {"form": form, "key": key}, status=_status(form))


@require_right(Right.APIKEY_MANAGE)
@require_POST
def pause(request: PageRequest, pk: int) -> HttpResponse:
    """Without asking for the password: it does no harm that can't be undone, and it may be urgent."""
    key = _visible(request, pk)
    try:
        paused = services.pause_key(key=key, actor=request.actor, at=timezone.now())
    except KeyEnded as error:
        return _back(request, key, error)
    messages.info(request, f"{key.name} is paused." if paused else f"{key.name} was paused already.")
    return redirect(key)


@require_right(Right.APIKEY_MANAGE)
@require_POST
@require_confirmation
def resume(request: PageRequest, pk: int) -> HttpResponse:
    key = _visible(request, pk)
    try:
        resumed = services.resume_key(key=key, actor=request.actor)
    except KeyEnded as error:
        return _back(request, key, error)
    messages.info(request, f"{key.name} is resumed." if resumed else f"{key.name} was not paused.")
    return redirect(key)


@require_right(Right.APIKEY_MANAGE)
@require_POST
def end_overlap(request: PageRequest, pk: int) -> HttpResponse:
    key = _visible(request, pk)
    try:
        ended = services.end_overlap(key=key, actor=request.actor, at=timezone.now())
    except KeyEnded as error:
        return _back(request, key, error)
    messages.info(request, f"The old secret of {key.name} has ended{'' if ended else ' already'}.")
    return redirect(key)


def _visible(request: PageRequest, pk: int) -> ApiKey:
    """A key that is not this person's to see reads as not there."""
    found: ApiKey = get_object_or_404(services.visible_keys(request.actor).select_related("owner"), pk=pk)
    return found


def _posted(request: PageRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _status(form: Form) -> int:
    return 422 if form.is_bound else 200


def _place(error: ValidationError, form: Form) -> None:
    """Each message beside the field that it is about."""
    names = {"expires_at": "expires", "all_sources": "reach"}
    for name, errors in error.error_dict.items():
        field = names.get(name, name)
        form.add_error(field if field in form.fields else None, errors)


def _back(request: PageRequest, key: ApiKey, error: Exception) -> HttpResponse:
    messages.error(request, str(error))
    return redirect(key)


def _secret_page(request: PageRequest, key: ApiKey, token: Token, *, old: Any = None) -> HttpResponse:
    """The text is in this answer and nowhere else, so there is no redirect to a page that could show it again."""
    return render(request, "apikeys/secret.html", {"key": key, "text": token.text, "old": old})
