"""The console's own API of sessions, sources, operations and disconnections, /api/console/v1."""

from uuid import UUID

from django.db.models import Q
from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.response import Response

from agents.models import Disconnection
from agents.states import State
from agents.story import summary_of
from apikeys.base import ApiView, KeyRequest
from apikeys.checking import LiveKey


def _touched(key: LiveKey) -> Q:
    return Q() if key.all_sources else Q(source__name__in=sorted(key.sources))


class DisconnectionShown(serializers.ModelSerializer[Disconnection]):
    """One request to end one agent session; `state` is final where `finished_at` is given."""

    source = serializers.SlugRelatedField(slug_field="name", read_only=True)  # type: ignore[assignment]
    session_id = serializers.CharField(source="session_id_then", read_only=True)
    endpoint = serializers.CharField(source="endpoint_then", read_only=True)
    agent_id = serializers.CharField(source="agent_id_then", read_only=True)
    state = serializers.ChoiceField(choices=State.choices, read_only=True)
    summary = serializers.SerializerMethodField()

    class Meta:
        model = Disconnection
        fields = [
            "id",
            "operation",
            "source",
            "session",
            "session_id",
            "endpoint",
            "agent_id",
            "state",
            "summary",
            "requested_at",
            "accepted_at",
            "finished_at",
            "seen_gone_at",
            "came_back_at",
            "came_back_as",
        ]
        read_only_fields = fields

    def get_summary(self, row: Disconnection) -> str:
        return summary_of(row)


class OneDisconnection(ApiView):
    """One disconnection: where it stands, or how it ended."""

    scopes = {"GET": "operation:get"}

    def get(self, request: KeyRequest, pk: UUID) -> Response:
        rows = Disconnection.objects.filter(_touched(request.auth)).select_related("source")
        return Response(DisconnectionShown(get_object_or_404(rows, pk=pk)).data)
