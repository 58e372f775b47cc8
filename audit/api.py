"""The audit log for programs, /api/console/v1/audit/…: read only."""

from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from audit.canonical import COLUMNS
from audit.keyset import Paging, asked
from audit.models import Event
from audit.paging import page_of
from audit.search import Query, QueryError, parse
from audit.search.facets import Facets, facets
from audit.search.find import find
from audit.search.histogram import histogram
from audit.search.terms import COUNTED


class EventShown(serializers.ModelSerializer[Event]):
    """One event, as it is kept. `hash` is that of the event and of `previous_hash` (docs/audit.md)."""

    sequence = serializers.IntegerField(read_only=True)
    says = serializers.CharField(source="action_words", read_only=True)
    data = serializers.DictField(source="details", read_only=True)  # type: ignore[assignment]

    class Meta:
        model = Event
        # What the hash is made of, so that a program can make it again.
        fields = ["says", *COLUMNS, "hash"]
        read_only_fields = fields


class EventPage(serializers.Serializer[Any]):
    items = EventShown(many=True)
    next = serializers.URLField(allow_null=True, help_text="The page of older events.")
    previous = serializers.URLField(allow_null=True, help_text="The page of newer events.")


class Search(serializers.Serializer[Any]):
    q = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        help_text="A search such as `actor:alice action:disconnection.* -source:demo` (docs/audit.md).",
    )

    def validate_q(self, line: str) -> Query:
        try:
            return parse(line)
        except QueryError as error:
            raise serializers.ValidationError(error.message) from None


class EventFilter(Search, Paging):
    cursor = serializers.RegexField(r"^[on][0-9]{1,18}$", required=False, help_text="As `next` and `previous` hold it.")


class _View(APIView):
    http_method_names = ["get", "head"]


class Events(_View):
    """Events of the audit log, newest first."""

    scopes = {"GET": "audit:get"}

    @extend_schema(operation_id="audit_events", tags=["Audit log"], parameters=[EventFilter], responses=EventPage)
    def get(self, request: Request) -> Response:
        wanted = asked(request, EventFilter)
        query, cursor = wanted["q"], wanted.get("cursor", "")
        place = {{"o": "older", "n": "newer"}[cursor[0]]: int(cursor[1:])} if cursor else {}
        page = page_of(query, find(query), query.events(), size=wanted["limit"], **place)
        return Response(
            {
                "items": EventShown(page.events, many=True).data,
                "next": None if page.older is None else _url(request, f"o{page.older}"),
                "previous": None if page.newer is None else _url(request, f"n{page.newer}"),
            }
        )


def _url(request: Request, cursor: str) -> str:
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


class NameShown(serializers.Serializer[Any]):
    name = serializers.CharField()
    count = serializers.IntegerField()


class NamesShown(serializers.Serializer[Any]):
    among = serializers.IntegerField(help_text="How many of the newest events found were counted.")
    outcome = NameShown(many=True)
    action = NameShown(many=True)
    actor = NameShown(many=True)
    source = NameShown(many=True)  # type: ignore[assignment]
    target = NameShown(many=True)
    address = NameShown(many=True)


class BarShown(serializers.Serializer[Any]):
    begin = serializers.DateTimeField()
    end = serializers.DateTimeField()
    count = serializers.IntegerField()


class SummaryShown(serializers.Serializer[Any]):
    """How many events a search finds, what they have in common and how they spread over time."""

    q = serializers.CharField(help_text="The search as it was understood.")
    count = serializers.IntegerField(allow_null=True, help_text="Null while the index is too far behind to count with.")
    exact = serializers.BooleanField(help_text="False: there may be fewer.")
    names = NamesShown()
    times = BarShown(many=True)


class Summary(_View):
    """What a search of the audit log finds, in numbers."""

    scopes = {"GET": "audit:get"}

    @extend_schema(operation_id="audit_summary", tags=["Audit log"], parameters=[Search], responses=SummaryShown)
    def get(self, request: Request) -> Response:
        query: Query = asked(request, Search)["q"]
        found = find(query)
        counted = facets(found) if found else Facets(0, {field: [] for field in COUNTED})
        names = {
            field: [{"name": name, "count": count} for name, count in names] for field, names in counted.names.items()
        }
        shown = {
            "q": str(query),
            "count": found.count if found else None,
            "exact": found is not None and found.exact,
            "names": {"among": counted.among, **names},
            "times": histogram(found) if found else [],
        }
        return Response(SummaryShown(shown).data)


class OneEvent(_View):
    """One event of the audit log."""

    scopes = {"GET": "audit:get"}

    @extend_schema(operation_id="audit_event", tags=["Audit log"], responses=EventShown)
    def get(self, request: Request, sequence: int) -> Response:
        return Response(EventShown(get_object_or_404(Event, sequence=sequence)).data)
