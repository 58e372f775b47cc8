"""The console's own API of sessions, sources, operations and disconnections, /api/console/v1."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from agents import services
from agents.clock import database_now
from agents.freshness import Freshness, ShownSource, counted, sources_with_states
from agents.kinds import hidden_kinds
from agents.models import AgentSession, Attempt, Disconnection, Operation
from agents.ordering import order
from agents.progress import Progress, progress_of
from agents.services import LONGEST_REASON, AlreadyOpen
from agents.states import State
from agents.story import summary_of
from apikeys.base import ApiView, KeyRequest
from apikeys.checking import LiveKey
from apikeys.errors import Problem, Refusal
from apikeys.idempotency import idempotent
from audit.keyset import Paging, asked, page

#: Sessions that one operation may be asked for with.
MOST_SESSIONS = 5_000
_BIGGEST = 2**63 - 1


def _touched(key: LiveKey) -> Q:
    """Rows of the sources that the key may touch."""
    return Q() if key.all_sources else Q(source__name__in=sorted(key.sources))


def _seen(key: LiveKey) -> Q:
    """Of these, the sessions that it may see: each kind of source has a scope for that."""
    hidden = hidden_kinds(key.rights)
    return _touched(key) & ~Q(source__kind__in=hidden) if hidden else _touched(key)


def _url(request: KeyRequest, name: str, pk: object) -> str:
    return request.build_absolute_uri(reverse(f"agents-api:{name}", args=[pk]))


# --- Sessions ----------------------------------------------------------------------------------------------------


class SessionShown(serializers.ModelSerializer[AgentSession]):
    """One connection of one agent to a source. `started_text` is the start as the remote wrote it."""

    source = serializers.CharField(source="source.name", read_only=True)  # type: ignore[assignment]
    phase = serializers.ChoiceField(choices=AgentSession.Phase.values, read_only=True)
    connection_ids = serializers.ListField(child=serializers.CharField(), read_only=True)
    ended_by = serializers.ChoiceField(choices=["", *AgentSession.EndedBy.values], read_only=True)

    class Meta:
        model = AgentSession
        fields = [
            "id",
            "source",
            "session_id",
            "agent_id",
            "direction",
            "connection_ids",
            "endpoint",
            "started_at",
            "started_text",
            "version",
            "phase",
            "supports_disconnection",
            "first_seen_at",
            "ended_at",
            "ended_by",
        ]
        read_only_fields = fields


class SessionPage(serializers.Serializer[Any]):
    items = SessionShown(many=True)
    next = serializers.URLField(allow_null=True)


class SessionFilter(Paging):
    state = serializers.ChoiceField(choices=["live", "ended"], default="live", help_text="Connected, or not any more.")
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, max_length=60, help_text="A source's name."
    )
    agent_id = serializers.CharField(required=False, max_length=255, help_text="A whole agent ID.")
    session_id = serializers.CharField(required=False, max_length=255, help_text="A whole session ID of the remote's.")
    direction = serializers.CharField(required=False, max_length=20, help_text="`send` or `receive`.")
    endpoint = serializers.CharField(required=False, max_length=255, help_text="A whole endpoint.")


class Sessions(ApiView):
    """Agent sessions: live ones by agent ID, or with `state=ended` those that were, the last to end first."""

    scopes = {"GET": "agent:get"}

    @extend_schema(
        operation_id="agent_sessions", tags=["Agent sessions"], parameters=[SessionFilter], responses=SessionPage
    )
    def get(self, request: KeyRequest) -> Response:
        wanted = asked(request, SessionFilter)
        names = {"source": "source__name", "agent_id": "agent_id", "session_id": "session_id"}
        names |= {"direction": "direction", "endpoint": "endpoint"}
        filters = {lookup: wanted[name] for name, lookup in names.items() if name in wanted}
        live = wanted["state"] == "live"
        rows = AgentSession.objects.of_agents().filter(_seen(request.auth), ended_at__isnull=live, **filters)
        by = ["agent_id", "pk"] if live else ["-ended_at", "-pk"]
        rows = rows.for_lists().select_related("source")
        return Response(page(request, rows, by, lambda found: SessionShown(found, many=True).data))


class Session(ApiView):
    """One agent session, also one that has ended."""

    scopes = {"GET": "agent:get"}

    @extend_schema(operation_id="agent_session", tags=["Agent sessions"], responses=SessionShown)
    def get(self, request: KeyRequest, pk: int) -> Response:
        rows = AgentSession.objects.filter(_seen(request.auth)).select_related("source")
        return Response(SessionShown(get_object_or_404(rows, pk=pk)).data)


# --- Sources -----------------------------------------------------------------------------------------------------


class SourceShown(serializers.Serializer[Any]):
    """A source and how fresh its list is. Its credentials are nowhere in the API."""

    id = serializers.IntegerField(source="source.pk")
    name = serializers.CharField(source="source.name")
    kind = serializers.CharField(source="source.kind")
    contract = serializers.CharField(source="source.contract.name", allow_null=True, default=None)
    requests_per_minute = serializers.IntegerField(
        source="source.contract.requests_per_minute", allow_null=True, default=None
    )
    place = serializers.CharField()
    state = serializers.ChoiceField(source="freshness.state", choices=list(Freshness))
    until = serializers.DateTimeField(source="freshness.until", allow_null=True)
    read_at = serializers.DateTimeField(source="source.read_at", allow_null=True)
    connected = serializers.IntegerField()
    closing = serializers.IntegerField()


class Sources(ApiView):
    """The sources that the key may touch, by name."""

    scopes = {"GET": "source:get"}

    @extend_schema(operation_id="sources", tags=["Sources"], responses=SourceShown(many=True))
    def get(self, request: KeyRequest) -> Response:
        return Response(SourceShown(_sources(request.auth), many=True).data)


class OneSource(ApiView):
    """One source."""

    scopes = {"GET": "source:get"}

    @extend_schema(operation_id="source", tags=["Sources"], responses=SourceShown)
    def get(self, request: KeyRequest, pk: int) -> Response:
        for shown in _sources(request.auth):
            if shown.source.pk == pk:
                return Response(SourceShown(shown).data)
        raise Refusal(Problem.NOT_FOUND)


def _sources(key: LiveKey) -> list[ShownSource]:
    return counted([each for each in sources_with_states(database_now()) if key.may_touch(each.source.name)])


# --- Disconnections ----------------------------------------------------------------------------------------------


class DisconnectionShown(serializers.ModelSerializer[Disconnection]):
    """One request to end one agent session; `state` is final where `finished_at` is given."""

    source = serializers.CharField(source="source.name", read_only=True)  # type: ignore[assignment]
    session_id = serializers.CharField(source="session_id_then", read_only=True)
    endpoint = serializers.CharField(source="endpoint_then", read_only=True)
    agent_id = serializers.CharField(source="agent_id_then", read_only=True)
    state = serializers.ChoiceField(choices=State.values, read_only=True)
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


class AttemptShown(serializers.ModelSerializer[Attempt]):
    """One call to the remote, and what came back."""

    class Meta:
        model = Attempt
        fields = ["number", "begun_at", "ended_at", "result", "status", "code", "message"]
        read_only_fields = fields


class DisconnectionInFull(DisconnectionShown):
    """The same with its reason, who asked, and each attempt."""

    reason = serializers.CharField(source="operation.reason", read_only=True)
    requested_by = serializers.CharField(source="operation.actor_label", read_only=True)
    attempts = AttemptShown(many=True, read_only=True)

    class Meta(DisconnectionShown.Meta):
        fields = [*DisconnectionShown.Meta.fields, "reason", "requested_by", "attempts"]
        read_only_fields = fields


class DisconnectionPage(serializers.Serializer[Any]):
    items = DisconnectionShown(many=True)
    next = serializers.URLField(allow_null=True)


class DisconnectionFilter(Paging):
    operation = serializers.UUIDField(required=False)
    session = serializers.IntegerField(required=False, min_value=1, max_value=_BIGGEST)
    state = serializers.ChoiceField(required=False, choices=State.values)


class WantedDisconnection(serializers.Serializer[Any]):
    session = serializers.IntegerField(min_value=1, max_value=_BIGGEST, help_text="The `id` of an agent session.")
    reason = serializers.CharField(max_length=LONGEST_REASON, help_text="What the audit log will show.")


def _disconnections(key: LiveKey) -> "QuerySet[Disconnection]":
    return Disconnection.objects.filter(_touched(key)).select_related("source", "operation")


def _in_full(key: LiveKey, pk: UUID) -> Any:
    return DisconnectionInFull(get_object_or_404(_disconnections(key).prefetch_related("attempts"), pk=pk)).data


class Disconnections(ApiView):
    """Disconnections, the newest first."""

    scopes = {"GET": "operation:get", "POST": "agent:disconnect"}

    @extend_schema(
        operation_id="disconnections",
        tags=["Disconnections"],
        parameters=[DisconnectionFilter],
        responses=DisconnectionPage,
    )
    def get(self, request: KeyRequest) -> Response:
        wanted = asked(request, DisconnectionFilter)
        filters = {name: wanted[name] for name in ("operation", "session", "state") if name in wanted}
        rows = _disconnections(request.auth).filter(**filters)
        by = ["-requested_at", "id"]
        return Response(page(request, rows, by, lambda found: DisconnectionShown(found, many=True).data))

    @extend_schema(
        operation_id="disconnect",
        tags=["Disconnections"],
        request=WantedDisconnection,
        responses={202: DisconnectionInFull, 200: DisconnectionInFull},
    )
    @idempotent
    def post(self, request: KeyRequest) -> Response:
        """Order one agent session disconnected. 202: recorded; 200: it is being disconnected already, by that one."""
        wanted = WantedDisconnection(data=request.data)
        wanted.is_valid(raise_exception=True)
        sessions = _live_sessions(request.auth, [wanted.validated_data["session"]])
        try:
            operation = order(
                request.auth,
                sessions,
                reason=wanted.validated_data["reason"],
                operation_token=request.operation_token,
            )
            pk, status = operation.disconnections.values_list("pk", flat=True).get(), 202
        except AlreadyOpen as error:
            pk, status = error.existing.pk, 200
        headers = {"Location": _url(request, "disconnection", pk)}
        return Response(_in_full(request.auth, pk), status=status, headers=headers)


class OneDisconnection(ApiView):
    """One disconnection: where it stands, or how it ended."""

    scopes = {"GET": "operation:get"}

    @extend_schema(operation_id="disconnection", tags=["Disconnections"], responses=DisconnectionInFull)
    def get(self, request: KeyRequest, pk: UUID) -> Response:
        return Response(_in_full(request.auth, pk))


class CancelDisconnection(ApiView):
    """Take an order back before it is sent."""

    scopes = {"POST": "agent:disconnect"}

    @extend_schema(
        operation_id="cancel_disconnection", tags=["Disconnections"], request=None, responses=DisconnectionInFull
    )
    @idempotent
    def post(self, request: KeyRequest, pk: UUID) -> Response:
        row = get_object_or_404(_disconnections(request.auth), pk=pk)
        if not services.cancel_disconnection(disconnection=row, actor=request.actor):
            raise Refusal(Problem.TOO_LATE)
        return Response(_in_full(request.auth, pk))


def _live_sessions(key: LiveKey, pks: Iterable[int]) -> list[AgentSession]:
    """All of these, in their order. Raises `Refusal` where one is not live, or is none that the key may touch."""
    wanted = list(dict.fromkeys(pks))
    live = AgentSession.objects.live().filter(_touched(key)).select_related("source__contract")
    found = {session.pk: session for chunk in _chunks(wanted) for session in live.filter(pk__in=chunk)}
    missing = [pk for pk in wanted if pk not in found]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise Refusal(Problem.SESSION_UNKNOWN, f"There is no live agent session {missing[0]}{more}.")
    return [found[pk] for pk in wanted]


def _chunks(pks: list[int], size: int = 500) -> Iterable[list[int]]:
    return (pks[start : start + size] for start in range(0, len(pks), size))


# --- Operations --------------------------------------------------------------------------------------------------


class OperationShown(serializers.Serializer[Any]):
    """One order for one or many disconnections. `states` counts them; `state` is that of the whole."""

    id = serializers.UUIDField(source="operation.pk")
    reason = serializers.CharField(source="operation.reason")
    requested_at = serializers.DateTimeField(source="operation.requested_at")
    requested_by = serializers.CharField(source="operation.actor_label")
    requested_by_kind = serializers.CharField(source="operation.actor_kind")
    size = serializers.IntegerField(source="operation.size")
    sources = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=State.values)
    is_open = serializers.BooleanField()
    states = serializers.DictField(child=serializers.IntegerField())

    def get_sources(self, progress: Progress) -> list[str]:
        return sorted(progress.sources)


class OperationPage(serializers.Serializer[Any]):
    items = OperationShown(many=True)
    next = serializers.URLField(allow_null=True)


class WantedOperation(serializers.Serializer[Any]):
    sessions = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=_BIGGEST),
        min_length=1,
        max_length=MOST_SESSIONS,
        help_text="The `id`s of live agent sessions.",
    )
    reason = serializers.CharField(max_length=LONGEST_REASON, help_text="What the audit log will show.")


class Cancelled(serializers.Serializer[Any]):
    cancelled = serializers.IntegerField()


def _operations(key: LiveKey) -> "QuerySet[Operation]":
    """Those that are wholly about sources that the key may touch."""
    operations = Operation.objects.all()
    if key.all_sources:
        return operations
    elsewhere = Disconnection.objects.filter(operation=OuterRef("pk")).exclude(_touched(key))
    return operations.filter(~Exists(elsewhere))


def _shown(operation: Operation) -> Any:
    return OperationShown(progress_of([operation])[0]).data


class Operations(ApiView):
    """Operations, the newest first."""

    scopes = {"GET": "operation:get", "POST": "agent:disconnect"}

    @extend_schema(operation_id="operations", tags=["Operations"], parameters=[Paging], responses=OperationPage)
    def get(self, request: KeyRequest) -> Response:
        def shown(found: list[Operation]) -> Any:
            return OperationShown(progress_of(found), many=True).data

        return Response(page(request, _operations(request.auth), ["-requested_at", "id"], shown))

    @extend_schema(
        operation_id="disconnect_many",
        tags=["Operations"],
        request=WantedOperation,
        responses={202: OperationShown, 200: OperationShown},
    )
    @idempotent
    def post(self, request: KeyRequest) -> Response:
        """Order many agent sessions disconnected. 202: recorded; 200: all are being disconnected already."""
        wanted = WantedOperation(data=request.data)
        wanted.is_valid(raise_exception=True)
        sessions = _live_sessions(request.auth, wanted.validated_data["sessions"])
        try:
            reason = wanted.validated_data["reason"]
            operation = order(request.auth, sessions, reason=reason, operation_token=request.operation_token)
            status = 202
        except AlreadyOpen as error:
            operation, status = error.existing.operation, 200
        headers = {"Location": _url(request, "operation", operation.pk)}
        return Response(_shown(operation), status=status, headers=headers)


class OneOperation(ApiView):
    """One operation, and how far it is."""

    scopes = {"GET": "operation:get"}

    @extend_schema(operation_id="operation", tags=["Operations"], responses=OperationShown)
    def get(self, request: KeyRequest, pk: UUID) -> Response:
        return Response(_shown(get_object_or_404(_operations(request.auth), pk=pk)))


class CancelOperation(ApiView):
    """Take back what of an operation is not sent yet."""

    scopes = {"POST": "agent:disconnect"}

    @extend_schema(operation_id="cancel_operation", tags=["Operations"], request=None, responses=Cancelled)
    @idempotent
    def post(self, request: KeyRequest, pk: UUID) -> Response:
        operation = get_object_or_404(_operations(request.auth), pk=pk)
        count = services.cancel_operation(operation=operation, actor=request.actor)
        if not count:
            raise Refusal(Problem.TOO_LATE)
        return Response({"cancelled": count})
