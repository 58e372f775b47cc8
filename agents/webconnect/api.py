"""The WebConnect-compatible API, /api/v2: a program that was written for WebConnect talks to the console instead.

What the manual documents is kept to the letter; what it leaves open is decided in docs/api.md.
"""

import re
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from agents.models import AgentSession, Disconnection, Source
from agents.ordering import order
from agents.services import AlreadyOpen
from agents.states import State
from agents.waiting import a_place, wait_for
from agents.webconnect.kind import WEBCONNECT
from agents.webconnect.parameters import DIRECTIONS, ListParameters, direction_parameter, list_parameters
from apikeys.base import ApiView, KeyRequest
from apikeys.checking import LiveKey
from apikeys.errors import Problem, Refusal

TAG = "As WebConnect"
LONGEST_WAIT = 30
_DAY = {"type": "string", "pattern": "^([0-9]{8})?$"}
_WAIT = re.compile(r"""(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,9})"?\s*(?:$|[,;])""", re.IGNORECASE)


def sessions_of(key: LiveKey) -> "QuerySet[AgentSession]":
    """The live WebConnect sessions that the key may touch."""
    sources = list(Source.objects.values_list("pk", "name", "kind"))
    touched = [pk for pk, name, kind in sources if kind == WEBCONNECT.name and key.may_touch(name)]
    live = AgentSession.objects.live()
    # Where it is all of them, nothing has to be compared.
    return live if len(touched) == len(sources) else live.filter(source__in=touched)


def _page(sessions: "QuerySet[AgentSession]", parameters: ListParameters) -> dict[str, Any]:
    sessions = sessions.filter(parameters.started)
    first, most = parameters.start_index, parameters.max_results
    # By agent, then as the console got to know them: an order that nothing but the agents themselves changes.
    rows = list(sessions.order_by("agent_id", "pk").values_list("received", flat=True)[first : first + most])
    return {
        "totalSize": sessions.order_by().count(),
        "fetchSize": len(rows),
        "startIndex": first,
        "maxResults": most,
        "status": rows,
    }


COMMON = [
    OpenApiParameter("startIndex", {"type": "integer", "minimum": 0, "maximum": 10_000, "default": 0}),
    OpenApiParameter("maxResults", {"type": "integer", "minimum": 1, "maximum": 1_000, "default": 30}),
    OpenApiParameter("from", _DAY, description="The first day of the start of the connection, `YYYYMMDD`."),
    OpenApiParameter("to", _DAY, description="The last day of the start of the connection, `YYYYMMDD`."),
    OpenApiParameter("timezone", str, description="The zone of these days, such as `Asia/Tokyo`; UTC by default."),
]


class StatusList(serializers.Serializer[Any]):
    """The manual's wrapper. A row of `status` has the properties that the remote gave it."""

    totalSize = serializers.IntegerField()
    fetchSize = serializers.IntegerField()
    startIndex = serializers.IntegerField()
    maxResults = serializers.IntegerField()
    status = serializers.ListField(child=serializers.DictField())


class Status(ApiView):
    """The agents that are connected now, each row as the remote gave it."""

    scopes = {"GET": "agent:get"}

    @extend_schema(operation_id="agent_status", tags=[TAG], parameters=COMMON, responses=StatusList)
    def get(self, request: KeyRequest) -> Response:
        return Response(_page(sessions_of(request.auth), list_parameters(request.query_params)))


class StatusOfDirection(ApiView):
    """The same, of one direction."""

    scopes = {"GET": "agent:get"}

    @extend_schema(
        operation_id="agent_status_of_direction",
        tags=[TAG],
        parameters=[OpenApiParameter("direction", str, "path", enum=DIRECTIONS), *COMMON],
        responses=StatusList,
    )
    def get(self, request: KeyRequest, direction: str) -> Response:
        sessions = sessions_of(request.auth).filter(direction=direction_parameter(direction))
        return Response(_page(sessions, list_parameters(request.query_params)))


class AgentDisconnection(serializers.Serializer[Any]):
    sessionId = serializers.CharField(trim_whitespace=False, max_length=255)
    endpoint = serializers.CharField(trim_whitespace=False, max_length=255)


class Disconnect(ApiView):
    """Force one agent off. 200 means: durably recorded; `Location` leads to what becomes of it."""

    scopes = {"POST": "agent:disconnect"}

    @extend_schema(
        operation_id="agent_disconnection",
        tags=[TAG],
        parameters=[
            OpenApiParameter("Prefer", str, "header", description="`wait=N`: wait up to N (at most 30) seconds."),
            OpenApiParameter("X-Reason", str, "header", description="The reason; otherwise it names the key."),
        ],
        request=AgentDisconnection,
        responses={
            200: OpenApiResponse(description="Recorded, or confirmed."),
            202: OpenApiResponse(description="Not yet."),
        },
    )
    def post(self, request: KeyRequest) -> HttpResponse:
        wanted = AgentDisconnection(data=request.data)
        wanted.is_valid(raise_exception=True)
        session = _find(request.auth, **wanted.validated_data)
        disconnection = _order(request, session)
        response = _awaited(request, disconnection)
        location = reverse("agents-api:disconnection", args=[disconnection])
        response["Location"] = request.build_absolute_uri(location)
        return response


def _find(key: LiveKey, sessionId: str, endpoint: str) -> AgentSession:  # noqa: N803 - the manual's word
    found = list(sessions_of(key).filter(session_id=sessionId).select_related("source__contract")[:20])
    there = [session for session in found if session.endpoint == endpoint]
    if len(there) == 1:
        return there[0]
    if there:
        raise Refusal(Problem.AMBIGUOUS)
    raise Refusal(Problem.ENDPOINT if found else Problem.SESSION_UNKNOWN)


def _order(request: KeyRequest, session: AgentSession) -> UUID:
    """The disconnection that was recorded for it, or the open one of somebody else."""
    try:
        operation = order(request.auth, [session], reason=_reason(request))
    except AlreadyOpen as open_already:
        return open_already.existing.pk
    except ValidationError as error:
        raise Refusal(Problem.HEADER, f"X-Reason: {error.messages[0]}") from None
    return operation.disconnections.values_list("pk", flat=True).get()


def _reason(request: KeyRequest) -> str:
    """Headers are Latin-1 to WSGI; programs write UTF-8 into them all the same."""
    sent = request.headers.get("X-Reason", "").strip()
    try:
        return sent.encode("latin-1").decode()
    except UnicodeError:
        return sent


# --- Prefer: wait=N ----------------------------------------------------------------------------------------------

#: What a waiting caller is told of a final state other than confirmed.
_OUTCOMES = {
    State.STILL_CONNECTED: Problem.STILL_CONNECTED,
    State.ALREADY_GONE: Problem.ALREADY_GONE,
    State.CANCELLED: Problem.CANCELLED,
    State.REFUSED: Problem.REFUSED,
    State.FAILED: Problem.FAILED,
    State.UNKNOWN: Problem.UNKNOWN,
}


def _awaited(request: KeyRequest, disconnection: UUID) -> HttpResponse:
    """200 at once; or, where the caller prefers to wait and there is a place for it, the outcome."""
    preferred = _WAIT.search(request.headers.get("Prefer", ""))
    seconds = min(int(preferred[1]), LONGEST_WAIT) if preferred else 0
    if not seconds:
        return Response()
    with a_place() as held:
        if not held:
            return Response()
        row = wait_for(disconnection, seconds=seconds)
    response = _outcome(row)
    response["Preference-Applied"] = f"wait={seconds}"
    return response


def _outcome(row: Disconnection) -> HttpResponse:
    if row.is_open:
        return Response(status=202)
    problem = _OUTCOMES.get(State(row.state))
    return Response(problem.body(row.explanation), problem.status) if problem else Response()
