"""The audit log for programs, /api/console/v1/audit/events: read only."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.actions import Action
from audit.keyset import Paging, asked, page
from audit.models import Event


class EventShown(serializers.ModelSerializer[Event]):
    """One event, as it is kept. `hash` is that of the event and of `previous_hash` (docs/audit.md)."""

    sequence = serializers.IntegerField(read_only=True)
    says = serializers.CharField(source="action_words", read_only=True)
    data = serializers.DictField(source="details", read_only=True)  # type: ignore[assignment]

    class Meta:
        model = Event
        fields = [
            "sequence",
            "at",
            "action",
            "says",
            "actor_kind",
            "actor_id",
            "actor_label",
            "target_kind",
            "target_id",
            "target_label",
            "operation",
            "request_id",
            "address",
            "user_agent",
            "authentication",
            "data",
            "previous_hash",
            "hash",
        ]
        read_only_fields = fields


class EventPage(serializers.Serializer[Any]):
    items = EventShown(many=True)
    next = serializers.URLField(allow_null=True)


class EventFilter(Paging):
    actor = serializers.CharField(required=False, max_length=200, help_text="A whole name.")
    action = serializers.ChoiceField(required=False, choices=Action.values)
    target = serializers.CharField(required=False, max_length=200, help_text="A whole name.")
    operation = serializers.UUIDField(required=False)
    since = serializers.DateTimeField(required=False, help_text="Not before this moment.")
    before = serializers.DateTimeField(required=False, help_text="Before this moment.")

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if "since" in given and "before" in given and given["since"] >= given["before"]:
            raise serializers.ValidationError({"before": "This must be later than `since`."})
        return given


_LOOKUPS = {
    "actor": "actor_label",
    "action": "action",
    "target": "target_label",
    "operation": "operation",
    "since": "at__gte",
    "before": "at__lt",
}


class _View(APIView):
    http_method_names = ["get", "head"]


class Events(_View):
    """Events of the audit log, newest first."""

    scopes = {"GET": "audit:get"}

    @extend_schema(operation_id="audit_events", tags=["Audit log"], parameters=[EventFilter], responses=EventPage)
    def get(self, request: Request) -> Response:
        wanted = {_LOOKUPS[name]: value for name, value in asked(request, EventFilter).items() if name in _LOOKUPS}
        events = Event.objects.filter(**wanted)
        return Response(page(request, events, ["-sequence"], lambda found: EventShown(found, many=True).data))


class OneEvent(_View):
    """One event of the audit log."""

    scopes = {"GET": "audit:get"}

    @extend_schema(operation_id="audit_event", tags=["Audit log"], responses=EventShown)
    def get(self, request: Request, sequence: int) -> Response:
        return Response(EventShown(get_object_or_404(Event, sequence=sequence)).data)
