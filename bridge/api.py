"""The console's own API of bridges, /api/console/v1: their desktop agents, private channels, and ending both.

Desktop agents and memberships of private channels are agent sessions, so what becomes of a disconnection is read where
all disconnections are.
"""

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from agents import services
from agents.api import DisconnectionInFull, SessionShown, WantedDisconnection
from agents.clock import database_now
from agents.freshness import Freshness, ShownSource, counted, sources_with_states
from agents.models import AgentSession, Disconnection
from agents.ordering import order
from agents.services import AlreadyOpen
from apikeys.base import ApiView, KeyRequest
from apikeys.checking import LiveKey
from apikeys.errors import Problem, Refusal
from apikeys.idempotency import idempotent
from audit.keyset import Paging, asked, page
from bridge.channels import channels_of, is_creator, oldest_channels
from bridge.kind import BRIDGE
from bridge.models import BridgeProcess
from bridge.process import alive_since

TAG = "Bridges"


def _bridges(key: LiveKey) -> list[ShownSource]:
    """Those that the key may touch, by name."""
    sources = sources_with_states(database_now())
    return [each for each in sources if each.kind is BRIDGE and key.may_touch(each.source.name)]


def _bridge(key: LiveKey, pk: int) -> ShownSource:
    """Raises `Refusal`."""
    for each in _bridges(key):
        if each.source.pk == pk:
            return each
    raise Refusal(Problem.NOT_FOUND)


def _sessions(key: LiveKey) -> Any:
    """Sessions of bridges that the key may touch: of desktop agents, and memberships."""
    sessions = AgentSession.objects.filter(source__kind=BRIDGE.name).select_related("source__contract")
    return sessions if key.all_sources else sessions.filter(source__name__in=sorted(key.sources))


# --- Bridges and their agents ------------------------------------------------------------------------------------


class BridgeShown(serializers.Serializer[Any]):
    """A bridge. `address` is where it listens now; empty where it does not run."""

    id = serializers.IntegerField(source="source.pk")
    name = serializers.CharField(source="source.name")
    state = serializers.ChoiceField(source="freshness.state", choices=list(Freshness))
    read_at = serializers.DateTimeField(source="source.read_at", allow_null=True)
    address = serializers.SerializerMethodField()
    authentication = serializers.CharField(source="source.bridge.authentication")
    agents = serializers.IntegerField(source="connected")

    def get_address(self, shown: ShownSource) -> str:
        return _address(shown)


def _address(shown: ShownSource) -> str:
    process = BridgeProcess.objects.filter(pk=shown.source.pk).first()
    return process.address if process and process.is_alive(alive_since()) else ""


class Bridges(ApiView):
    """The bridges that the key may touch, by name."""

    scopes = {"GET": "bridge:get"}

    @extend_schema(operation_id="bridges", tags=[TAG], responses=BridgeShown(many=True))
    def get(self, request: KeyRequest) -> Response:
        return Response(BridgeShown(counted(_bridges(request.auth)), many=True).data)


class OneBridge(ApiView):
    """One bridge."""

    scopes = {"GET": "bridge:get"}

    @extend_schema(operation_id="bridge", tags=[TAG], responses=BridgeShown)
    def get(self, request: KeyRequest, pk: int) -> Response:
        return Response(BridgeShown(counted([_bridge(request.auth, pk)])[0]).data)


class BridgeAddress(serializers.Serializer[Any]):
    """Where a desktop agent connects, and what it has to show there."""

    name = serializers.CharField(source="source.name")
    address = serializers.SerializerMethodField()
    authentication = serializers.CharField(source="source.bridge.authentication")

    def get_address(self, shown: ShownSource) -> str:
        return _address(shown)


class Address(ApiView):
    """Where desktop agents on the bridge's own machine connect to it, without looking through the range of ports."""

    scopes = {"GET": "bridge:connect"}

    @extend_schema(operation_id="bridge_address", tags=[TAG], responses=BridgeAddress)
    def get(self, request: KeyRequest, pk: int) -> Response:
        return Response(BridgeAddress(_bridge(request.auth, pk)).data)


class DesktopAgentShown(SessionShown):
    """One desktop agent's connection: an agent session, and what the bridge says of it."""

    bridge = serializers.JSONField(source="received", read_only=True)

    class Meta(SessionShown.Meta):
        fields = [*SessionShown.Meta.fields, "bridge"]
        read_only_fields = fields


class DesktopAgentPage(serializers.Serializer[Any]):
    items = DesktopAgentShown(many=True)
    next = serializers.URLField(allow_null=True)


class DesktopAgents(ApiView):
    """The desktop agents that are connected to a bridge, by name."""

    scopes = {"GET": "bridge:get"}

    @extend_schema(operation_id="desktop_agents", tags=[TAG], parameters=[Paging], responses=DesktopAgentPage)
    def get(self, request: KeyRequest, pk: int) -> Response:
        _bridge(request.auth, pk)
        rows = _sessions(request.auth).live().of_agents().filter(source=pk)
        return Response(page(request, rows, ["agent_id", "pk"], lambda some: DesktopAgentShown(some, many=True).data))


# --- Private channels --------------------------------------------------------------------------------------------


class AppShown(serializers.Serializer[Any]):
    appId = serializers.CharField()
    instanceId = serializers.CharField()
    desktopAgent = serializers.CharField()


class MemberShown(serializers.Serializer[Any]):
    """An app on a private channel. `session` is what a disconnection takes."""

    session = serializers.IntegerField(source="pk")
    app = AppShown(source="received.app")
    is_creator = serializers.SerializerMethodField()
    joined_at = serializers.DateTimeField(source="started_at")
    events = serializers.ListField(source="received.events", child=serializers.CharField())
    contexts = serializers.ListField(source="received.contexts", child=serializers.CharField(allow_null=True))

    def get_is_creator(self, member: AgentSession) -> bool:
        return is_creator(member)


class ChannelShown(serializers.Serializer[Any]):
    """A private channel, as far as it crosses the bridge. `key` names it in addresses, with the bridge."""

    bridge = serializers.IntegerField(source="source_id")
    key = serializers.CharField()
    id = serializers.CharField()
    creator = AppShown(source="facts.creator")
    created_at = serializers.DateTimeField()
    last_message_at = serializers.DateTimeField(allow_null=True)
    messages = serializers.IntegerField(source="facts.messages")
    bytes = serializers.IntegerField(source="facts.bytes")
    members = MemberShown(many=True)


#: Private channels in one answer.
MOST_CHANNELS = 1_000


class ChannelFilter(serializers.Serializer[Any]):
    bridge = serializers.IntegerField(required=False, min_value=1, max_value=2**63 - 1, help_text="The `id` of one.")


class PrivateChannels(ApiView):
    """The private channels that live now, the oldest first; a thousand at the most."""

    scopes = {"GET": "bridge:get"}

    @extend_schema(
        operation_id="private_channels", tags=[TAG], parameters=[ChannelFilter], responses=ChannelShown(many=True)
    )
    def get(self, request: KeyRequest) -> Response:
        wanted = asked(request, ChannelFilter)
        rows = _sessions(request.auth).live().exclude(part_of="")
        if "bridge" in wanted:
            rows = rows.filter(source=wanted["bridge"])
        channels, _ = oldest_channels(rows, MOST_CHANNELS)
        return Response(ChannelShown(channels, many=True).data)


class OnePrivateChannel(ApiView):
    """One private channel that lives now."""

    scopes = {"GET": "bridge:get"}

    @extend_schema(operation_id="private_channel", tags=[TAG], responses=ChannelShown)
    def get(self, request: KeyRequest, pk: int, key: str) -> Response:
        channels = channels_of(_sessions(request.auth).live().filter(source=pk, part_of=key).exclude(part_of=""))
        if not channels:
            raise Refusal(Problem.NOT_FOUND)
        return Response(ChannelShown(channels[0]).data)


# --- Disconnections ----------------------------------------------------------------------------------------------


class BridgeDisconnections(ApiView):
    """Ending the connection of a desktop agent, or an app's membership of a private channel."""

    scopes = {"POST": "bridge:disconnect"}

    @extend_schema(
        operation_id="bridge_disconnect",
        tags=[TAG],
        request=WantedDisconnection,
        responses={202: DisconnectionInFull, 200: DisconnectionInFull},
    )
    @idempotent
    def post(self, request: KeyRequest) -> Response:
        """Order a desktop agent disconnected, or an app from a private channel; `session` is of the one or the other.

        202: recorded; 200: it is being disconnected already, by that one.
        """
        wanted = WantedDisconnection(data=request.data)
        wanted.is_valid(raise_exception=True)
        session = _sessions(request.auth).live().filter(pk=wanted.validated_data["session"]).first()
        if session is None:
            raise Refusal(Problem.SESSION_UNKNOWN)
        try:
            operation = order(
                request.auth,
                [session],
                reason=wanted.validated_data["reason"],
                operation_token=request.operation_token,
            )
            pk, status = operation.disconnections.values_list("pk", flat=True).get(), 202
        except AlreadyOpen as error:
            pk, status = error.existing.pk, 200
        location = request.build_absolute_uri(reverse("agents-api:disconnection", args=[pk]))
        return Response(_in_full(request.auth, pk), status=status, headers={"Location": location})


class CancelBridgeDisconnection(ApiView):
    """Take such an order back before it is carried out."""

    scopes = {"POST": "bridge:disconnect"}

    @extend_schema(operation_id="cancel_bridge_disconnection", tags=[TAG], request=None, responses=DisconnectionInFull)
    @idempotent
    def post(self, request: KeyRequest, pk: UUID) -> Response:
        row = get_object_or_404(_disconnections(request.auth), pk=pk)
        if not services.cancel_disconnection(disconnection=row, actor=request.actor):
            raise Refusal(Problem.TOO_LATE)
        return Response(_in_full(request.auth, pk))


def _disconnections(key: LiveKey) -> Any:
    rows = Disconnection.objects.filter(source__kind=BRIDGE.name).select_related("source", "operation")
    return rows if key.all_sources else rows.filter(source__name__in=sorted(key.sources))


def _in_full(key: LiveKey, pk: UUID) -> Any:
    return DisconnectionInFull(get_object_or_404(_disconnections(key).prefetch_related("attempts"), pk=pk)).data
