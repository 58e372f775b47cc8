"""API keys for programs, /api/console/v1/api-keys: what the pages do, by the same services."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apikeys import scopes, services
from apikeys.base import ApiView, KeyRequest
from apikeys.errors import Problem, Refusal, translates
from apikeys.idempotency import SecretResponse, idempotent
from apikeys.models import ApiKey
from apikeys.tokens import Token
from audit.keyset import Paging, page

_LONGEST_OVERLAP = int(services.LONGEST_OVERLAP.total_seconds())
translates(services.KeyEnded, lambda error: Refusal(Problem.KEY_ENDED, str(error)))
translates(services.OverlapUnderWay, lambda error: Refusal(Problem.OVERLAP, str(error)))


class KeyShown(serializers.ModelSerializer[ApiKey]):
    """An API key without its secret. `sources` is null where it may touch all of them."""

    state = serializers.SerializerMethodField()
    owner = serializers.CharField(source="owner.username", read_only=True, allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(), read_only=True)
    sources = serializers.SerializerMethodField()
    addresses = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "name",
            "note",
            "state",
            "owner",
            "scopes",
            "sources",
            "addresses",
            "requests_per_minute",
            "expires_at",
            "created_at",
            "created_by_label",
            "paused_at",
            "revoked_at",
            "last_used_at",
            "last_used_address",
        ]
        read_only_fields = fields

    def get_state(self, key: ApiKey) -> str:
        return key.state(timezone.now())

    def get_sources(self, key: ApiKey) -> list[str] | None:
        return None if key.all_sources else list(key.sources)


class KeyPage(serializers.Serializer[Any]):
    items = KeyShown(many=True)
    next = serializers.URLField(allow_null=True)


class KeyWithSecret(KeyShown):
    """The one answer that holds `secret`, the whole text of the key."""

    secret = serializers.CharField(read_only=True)

    class Meta(KeyShown.Meta):
        fields = [*KeyShown.Meta.fields, "secret"]
        read_only_fields = fields


class WantedKey(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=60)
    note = serializers.CharField(max_length=500, allow_blank=True, default="")
    scopes = serializers.ListField(child=serializers.CharField(max_length=60), min_length=1, max_length=50)
    sources = serializers.ListField(
        child=serializers.CharField(max_length=60),
        allow_null=True,
        default=None,
        min_length=1,
        max_length=services.MOST_LISTED,
        help_text="Names of sources; null: all of them.",
    )
    addresses = serializers.ListField(
        child=serializers.CharField(max_length=60),
        default=list,
        max_length=services.MOST_LISTED,
        help_text="Networks (CIDR) that the key may come from; empty: from everywhere.",
    )
    requests_per_minute = serializers.IntegerField(min_value=1, max_value=60_000, default=600)
    expires_at = serializers.DateTimeField()


class WantedRotation(serializers.Serializer[Any]):
    overlap_seconds = serializers.IntegerField(
        min_value=0, max_value=_LONGEST_OVERLAP, help_text="How long the old secret stays good."
    )
    expires_at = serializers.DateTimeField(required=False, help_text="A new end of the key; left out: as it was.")


def _keys(request: KeyRequest) -> "QuerySet[ApiKey]":
    keys: QuerySet[ApiKey] = services.visible_keys(request.actor)
    return keys.select_related("owner")


def _key(request: KeyRequest, pk: int) -> ApiKey:
    return get_object_or_404(_keys(request), pk=pk)


def _with_secret(request: KeyRequest, key: ApiKey, token: Token, status: int) -> SecretResponse:
    location = request.build_absolute_uri(reverse("apikeys-api:key", args=[key.pk]))
    data = {**KeyShown(key).data, "secret": token.text}
    return SecretResponse(data, name=key.name, status=status, headers={"Location": location})


class Keys(ApiView):
    """API keys: all that the key may see by their number, and new ones."""

    scopes = {"GET": "apikey:get", "POST": "apikey:manage"}

    @extend_schema(operation_id="api_keys", tags=["API keys"], parameters=[Paging], responses=KeyPage)
    def get(self, request: KeyRequest) -> Response:
        return Response(page(request, _keys(request), ["pk"], lambda found: KeyShown(found, many=True).data))

    @extend_schema(operation_id="make_api_key", tags=["API keys"], request=WantedKey, responses={201: KeyWithSecret})
    @idempotent
    def post(self, request: KeyRequest) -> Response:
        """Make a key for the same owner, which can do no more than the key that makes it. Its secret is shown once."""
        wanted = WantedKey(data=request.data)
        wanted.is_valid(raise_exception=True)
        given = dict(wanted.validated_data)
        sources = given.pop("sources")
        terms = services.Terms(
            owner=get_user_model().objects.filter(pk__in=[request.auth.owner_pk]).first(),
            scopes=frozenset(given.pop("scopes")),
            all_sources=sources is None,
            sources=frozenset(sources or ()),
            addresses=tuple(given.pop("addresses")),
            **given,
        )
        key, token = services.issue_key(terms=terms, actor=request.actor, at=timezone.now())
        return _with_secret(request, key, token, 201)


class Key(ApiView):
    """One API key, without its secret."""

    scopes = {"GET": "apikey:get"}

    @extend_schema(operation_id="api_key", tags=["API keys"], responses=KeyShown)
    def get(self, request: KeyRequest, pk: int) -> Response:
        return Response(KeyShown(_key(request, pk)).data)


class PauseKey(ApiView):
    """Let a key open nothing until it is resumed."""

    scopes = {"POST": "apikey:manage"}

    @extend_schema(operation_id="pause_api_key", tags=["API keys"], request=None, responses=KeyShown)
    @idempotent
    def post(self, request: KeyRequest, pk: int) -> Response:
        services.pause_key(key=_key(request, pk), actor=request.actor, at=timezone.now())
        return Response(KeyShown(_key(request, pk)).data)


class ResumeKey(ApiView):
    """Let a paused key open again what it did."""

    scopes = {"POST": "apikey:manage"}

    @extend_schema(operation_id="resume_api_key", tags=["API keys"], request=None, responses=KeyShown)
    @idempotent
    def post(self, request: KeyRequest, pk: int) -> Response:
        services.resume_key(key=_key(request, pk), actor=request.actor)
        return Response(KeyShown(_key(request, pk)).data)


class RevokeKey(ApiView):
    """End a key at once and for good."""

    scopes = {"POST": "apikey:manage"}

    @extend_schema(operation_id="revoke_api_key", tags=["API keys"], request=None, responses=KeyShown)
    @idempotent
    def post(self, request: KeyRequest, pk: int) -> Response:
        services.revoke_key(key=_key(request, pk), actor=request.actor, at=timezone.now())
        return Response(KeyShown(_key(request, pk)).data)


class RotateKey(ApiView):
    """Make a new secret beside the old one, which stays good for a while. The new one is shown once."""

    scopes = {"POST": "apikey:manage"}

    @extend_schema(
        operation_id="rotate_api_key", tags=["API keys"], request=WantedRotation, responses={200: KeyWithSecret}
    )
    @idempotent
    def post(self, request: KeyRequest, pk: int) -> Response:
        wanted = WantedRotation(data=request.data)
        wanted.is_valid(raise_exception=True)
        token = services.rotate_key(
            key=_key(request, pk),
            overlap=timedelta(seconds=wanted.validated_data["overlap_seconds"]),
            expires_at=wanted.validated_data.get("expires_at"),
            actor=request.actor,
            at=timezone.now(),
        )
        return _with_secret(request, _key(request, pk), token, 200)


class EndOverlap(ApiView):
    """Let the old secret of a rotated key be good no longer."""

    scopes = {"POST": "apikey:manage"}

    @extend_schema(operation_id="end_overlap_of_api_key", tags=["API keys"], request=None, responses=KeyShown)
    @idempotent
    def post(self, request: KeyRequest, pk: int) -> Response:
        services.end_overlap(key=_key(request, pk), actor=request.actor, at=timezone.now())
        return Response(KeyShown(_key(request, pk)).data)


class ScopeShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    opens = serializers.CharField()


class Scopes(ApiView):
    """Every scope that a key may be given, and what it opens."""

    scopes = {"GET": "apikey:get"}

    @extend_schema(operation_id="scopes", tags=["API keys"], responses=ScopeShown(many=True))
    def get(self, request: KeyRequest) -> Response:
        return Response(ScopeShown(scopes.all_scopes(), many=True).data)
