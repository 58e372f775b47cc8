"""The pages of exports: all of them with the form for a new one, one followed to its end, and its file."""

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from audit import following
from audit.access import AuditRequest, readers_only
from audit.actors import Actor
from audit.exports import services
from audit.exports.forms import ExportForm
from audit.exports.models import Export
from audit.placing import place

PAGE = 30


@require_http_methods(["GET", "HEAD", "POST"])
@readers_only
def export_list(request: AuditRequest) -> HttpResponseBase:
    if request.method == "POST":
        return _ask(request)
    found = services.visible(request.actor).order_by("-requested_at", "pk")
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    etag = following.token(request, [(each.pk, each.state, each.looked_at) for each in page])
    form = ExportForm(initial={"query": request.GET.get("query", ""), "format": request.GET.get("format", "jsonl")})
    in_motion = any(each.is_open for each in page)
    context = {"form": form, "page": page}
    return following.follow(
        request,
        etag,
        lambda: following.show(request, etag, "audit/exports/list.html", context, in_motion=in_motion),
    )


def _ask(request: AuditRequest) -> HttpResponse:
    form = ExportForm(request.POST)
    if form.is_valid():
        try:
            return redirect(services.request_export(**form.cleaned_data, actor=request.actor))
        except ValidationError as error:
            place(error, form)
    found = services.visible(request.actor).order_by("-requested_at", "pk")
    context = {"form": form, "page": Paginator(found, PAGE).get_page(1)}
    return render(request, "audit/exports/list.html", context, status=422)


@require_safe
@readers_only
def export(request: AuditRequest, pk: UUID) -> HttpResponseBase:
    found = _visible(request, pk)
    etag = following.token(request, found.state, found.looked_at)
    context = {"export": found}
    return following.follow(
        request,
        etag,
        lambda: following.show(request, etag, "audit/exports/export.html", context, in_motion=found.is_open),
    )


@never_cache
@require_http_methods(["GET"])
@readers_only
def download(request: AuditRequest, pk: UUID) -> HttpResponseBase:
    found = _visible(request, pk)
    try:
        return file_of(found, request.actor)
    except services.Gone as gone:
        messages.error(request, str(gone))
        return redirect(found)


def file_of(export: Export, actor: Actor) -> FileResponse:
    """Its file, sent piece by piece; that it was taken is on record. Raises `Gone`."""
    file = services.take_file(export=export, actor=actor)
    response = FileResponse(file, as_attachment=True, filename=export.download_name)
    response["Content-Type"] = _TYPES[Export.Format(export.format)]
    response["X-Content-Type-Options"] = "nosniff"
    return response


_TYPES = {Export.Format.LINES: "application/x-ndjson", Export.Format.CSV: "text/csv; charset=utf-8"}


@require_POST
@readers_only
def end(request: AuditRequest, pk: UUID) -> HttpResponse:
    """Cancel it, or remove its file."""
    found = _visible(request, pk)
    if services.end_export(export=found, actor=request.actor):
        messages.info(request, "The export is cancelled." if found.is_open else "The file is removed.")
    else:
        messages.info(request, "It had come to its end already.")
    return redirect(found)


def _visible(request: AuditRequest, pk: UUID) -> Export:
    return get_object_or_404(services.visible(request.actor), pk=pk)
