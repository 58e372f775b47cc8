"""Exports and reviews of the audit log, /api/console/v1/audit; here, because `audit` knows nothing of API keys."""

from typing import Any
from uuid import UUID

from django.http import FileResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apikeys.base import ApiView, KeyRequest
from apikeys.errors import Problem, Refusal, translates
from apikeys.idempotency import idempotent
from audit.clock import database_now
from audit.exports import services
from audit.exports.models import Export
from audit.exports.views import file_of
from audit.keyset import Paging, asked, page
from audit.reviews import wanted
from audit.reviews.models import LONGEST_NOTE, Review
from audit.reviews.services import MOST_AT_ONCE, Item, OwnAct, mark
from audit.search.parsing import LONGEST_LINE

_BIGGEST = 2**63 - 1
translates(services.Gone, lambda error: Refusal(Problem.NO_FILE, str(error)))
translates(OwnAct, lambda error: Refusal(Problem.OWN_ACT, str(error)))


# --- Exports ------------------------------------------------------------------------------------------------------


class ExportShown(serializers.ModelSerializer[Export]):
    """One search taken away as a file. `looked_at` of `up_to` events are looked through; `digest` is a SHA-256."""

    state = serializers.ChoiceField(choices=Export.State.values, read_only=True)
    format = serializers.ChoiceField(choices=Export.Format.values, read_only=True)

    class Meta:
        model = Export
        fields = [
            "id",
            "query",
            "zone",
            "format",
            "state",
            "requested_at",
            "up_to",
            "looked_at",
            "count",
            "size",
            "digest",
            "finished_at",
            "expires_at",
            "explanation",
        ]
        read_only_fields = fields


class ExportPage(serializers.Serializer[Any]):
    items = ExportShown(many=True)
    next = serializers.URLField(allow_null=True)


class WantedExport(serializers.Serializer[Any]):
    query = serializers.CharField(
        default="", allow_blank=True, max_length=LONGEST_LINE, help_text="A search; empty: everything. Times are UTC."
    )
    format = serializers.ChoiceField(choices=Export.Format.values, default=Export.Format.LINES.value)


def _export(request: KeyRequest, pk: UUID) -> Export:
    return get_object_or_404(services.visible(request.actor), pk=pk)


class Exports(ApiView):
    """The exports of this key, newest first, and new ones."""

    scopes = {"GET": "audit:get", "POST": "audit:get"}

    @extend_schema(operation_id="audit_exports", tags=["Audit log"], parameters=[Paging], responses=ExportPage)
    def get(self, request: KeyRequest) -> Response:
        found = services.visible(request.actor)
        order = ["-requested_at", "pk"]
        return Response(page(request, found, order, lambda rows: ExportShown(rows, many=True).data))

    @extend_schema(
        operation_id="make_audit_export", tags=["Audit log"], request=WantedExport, responses={202: ExportShown}
    )
    @idempotent
    def post(self, request: KeyRequest) -> Response:
        """Have a search made into a file. `Location` says when it is ready."""
        wanted = WantedExport(data=request.data)
        wanted.is_valid(raise_exception=True)
        export = services.request_export(**wanted.validated_data, actor=request.actor)
        location = request.build_absolute_uri(reverse("apikeys-audit-api:export", args=[export.pk]))
        return Response(ExportShown(export).data, 202, headers={"Location": location})


class OneExport(ApiView):
    """One export and how far it is."""

    scopes = {"GET": "audit:get"}

    @extend_schema(operation_id="audit_export", tags=["Audit log"], responses=ExportShown)
    def get(self, request: KeyRequest, pk: UUID) -> Response:
        return Response(ExportShown(_export(request, pk)).data)


class ExportFile(ApiView):
    """The file of an export that is ready."""

    scopes = {"GET": "audit:get"}
    http_method_names = ["get"]

    @extend_schema(
        operation_id="audit_export_file",
        tags=["Audit log"],
        responses={
            (200, "application/x-ndjson"): OpenApiTypes.BINARY,
            (200, "text/csv"): OpenApiTypes.BINARY,
            409: {"$ref": "#/components/schemas/Problem"},
        },
    )
    def get(self, request: KeyRequest, pk: UUID) -> FileResponse:
        return file_of(_export(request, pk), request.actor)


class EndExport(ApiView):
    """Cancel an export that is being made, or remove the file of one that is ready."""

    scopes = {"POST": "audit:get"}

    @extend_schema(operation_id="end_audit_export", tags=["Audit log"], request=None, responses=ExportShown)
    @idempotent
    def post(self, request: KeyRequest, pk: UUID) -> Response:
        services.end_export(export=_export(request, pk), actor=request.actor)
        return Response(ExportShown(_export(request, pk)).data)


# --- Reviews ------------------------------------------------------------------------------------------------------


class ReviewShown(serializers.ModelSerializer[Review]):
    """One mark: of an event, or of an operation as a whole."""

    class Meta:
        model = Review
        fields = ["id", "event", "operation", "note", "actor_kind", "actor_id", "actor_label", "at"]
        read_only_fields = fields


class ReviewPage(serializers.Serializer[Any]):
    items = ReviewShown(many=True)
    next = serializers.URLField(allow_null=True)


class ReviewFilter(Paging):
    event = serializers.IntegerField(required=False, min_value=1, max_value=_BIGGEST)
    operation = serializers.UUIDField(required=False)


class WantedReview(serializers.Serializer[Any]):
    """What is marked as reviewed; at least one of `events` and `operations` names something."""

    events = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=_BIGGEST), default=list, max_length=MOST_AT_ONCE
    )
    operations = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=MOST_AT_ONCE)
    note = serializers.CharField(default="", allow_blank=True, max_length=LONGEST_NOTE)


class Reviews(ApiView):
    """Who has reviewed what, newest first, and new marks."""

    scopes = {"GET": "audit:get", "POST": "audit:review"}

    @extend_schema(operation_id="audit_reviews", tags=["Audit log"], parameters=[ReviewFilter], responses=ReviewPage)
    def get(self, request: KeyRequest) -> Response:
        given = asked(request, ReviewFilter)
        lookups = {name: given[name] for name in ("event", "operation") if name in given}
        found = Review.objects.filter(**lookups)
        return Response(page(request, found, ["-pk"], lambda rows: ReviewShown(rows, many=True).data))

    @extend_schema(
        operation_id="mark_reviewed",
        tags=["Audit log"],
        request=WantedReview,
        responses={201: ReviewShown(many=True)},
    )
    @idempotent
    def post(self, request: KeyRequest) -> Response:
        """Mark all of these as reviewed, or none. Nobody reviews what they, or their API keys, have done."""
        given = WantedReview(data=request.data)
        given.is_valid(raise_exception=True)
        items: list[Item] = [*given.validated_data["events"], *given.validated_data["operations"]]
        marks = mark(items=items, note=given.validated_data["note"], actor=request.actor)
        return Response(ReviewShown(marks, many=True).data, 201)


class UnreviewedFilter(serializers.Serializer[Any]):
    show = serializers.ChoiceField(
        choices=[group.name for group in wanted.GROUPS], default=wanted.GROUPS[0].name, help_text="Which acts."
    )
    before = serializers.IntegerField(
        required=False, min_value=1, max_value=_BIGGEST, help_text="Only events with a lower number."
    )


class UnreviewedEvent(serializers.Serializer[Any]):
    sequence = serializers.IntegerField()
    at = serializers.DateTimeField()
    action = serializers.CharField()
    actor_kind = serializers.CharField()
    actor_label = serializers.CharField()
    target_kind = serializers.CharField()
    target_label = serializers.CharField()
    operation = serializers.UUIDField(allow_null=True)


class UnreviewedPage(serializers.Serializer[Any]):
    """`before` leads to the next page, null at the end."""

    items = UnreviewedEvent(many=True)
    before = serializers.IntegerField(allow_null=True)


class Unreviewed(ApiView):
    """What nobody has reviewed, newest first."""

    scopes = {"GET": "audit:get"}

    @extend_schema(
        operation_id="audit_unreviewed", tags=["Audit log"], parameters=[UnreviewedFilter], responses=UnreviewedPage
    )
    def get(self, request: KeyRequest) -> Response:
        given = asked(request, UnreviewedFilter)
        group = next(group for group in wanted.GROUPS if group.name == given["show"])
        found = wanted.pending(group, database_now(), older=given.get("before"))
        return Response({"items": UnreviewedEvent(found.events, many=True).data, "before": found.older})
