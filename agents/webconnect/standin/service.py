"""The documented endpoints. No socket and no clock: a request and the time go in, an answer comes out."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from math import ceil
from urllib.parse import unquote

from agents.webconnect.standin.connections import Connections
from agents.webconnect.standin.keys import Key, KeyRing, bearer
from agents.webconnect.standin.parameters import ListParameters, list_parameters, read_query
from agents.webconnect.standin.places import ACCESS_POINTS, TRANSFER_SITES
from agents.webconnect.standin.problems import Problem, Refused, encode
from agents.webconnect.standin.rate_limit import Blocked, RateLimit
from agents.webconnect.standin.relay_log import Transfer
from agents.webconnect.standin.sessions import DIRECTIONS, Session
from agents.webconnect.standin.switches import Switches

BASE = "/api/v2"
ROWS_MOVED = 7

RELAY_LOG_FILTERS: dict[str, Callable[[Transfer], str]] = {
    "processingId": lambda transfer: transfer.processing_id,
    "fileId": lambda transfer: transfer.file_id,
    "senderConnectionId": lambda transfer: transfer.sender.agent.connection_ids[0],
    "receiverConnectionId": lambda transfer: transfer.receiver.agent.connection_ids[0],
}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: str = ""
    authorization: str | None = None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    """Empty: no such header."""
    hold: float = 0.0
    """Seconds for which the service keeps the caller waiting."""


type Handler = Callable[[Request, str, float], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    name: str
    method: str
    scope: str
    handle: Handler


class Service:
    def __init__(self, switches: Switches, keys: KeyRing, connections: Connections, rng: random.Random) -> None:
        self.switches = switches
        self.keys = keys
        self.connections = connections
        self.rate_limit = RateLimit(switches)
        self._rng = rng
        self._readings = 0
        self._routes = {
            "agent/status": Route("agent-status", "GET", "agent:get", self._agent_status),
            "agent/disconnection": Route("agent-disconnection", "POST", "agent:disconnect", self._agent_disconnection),
            "service/status": Route("service-status", "GET", "service-status:get", self._service_status),
            "relay/log": Route("relay-log", "GET", "relay-log:get", self._relay_log),
        }

    # Requests

    def answer(self, request: Request, at: float) -> Answer:
        self.connections.schedule.run_until(at)
        try:
            key = self._authenticate(request.authorization, at)
            self.rate_limit.take(at)
            route, rest = self._route(request)
            if route.scope not in key.scopes:
                raise Refused(Problem.SCOPE_MISSING, int(self.switches["missing-scope"]), route.scope)
            return route.handle(request, rest, at)
        except Blocked as blocked:
            return self.refusal(Refused(Problem.RATE_LIMIT, 429, headers=self._retry_after(blocked.until, at)))
        except Refused as refused:
            return self.refusal(refused)

    def route_name(self, path: str) -> str:
        """What faults and the log call the endpoint; empty where there is none."""
        found = self._find_route(path)
        return found[0].name if found else ""

    def key_name(self, authorization: str | None) -> str:
        secret = bearer(authorization)
        key = self.keys.find(secret) if secret else None
        return key.name if key else ""

    def refusal(self, refused: Refused) -> Answer:
        headers = refused.headers
        if refused.status == 401 and self.switches["www-authenticate"] == "on":
            headers += (("WWW-Authenticate", "Bearer"),)
        if self.switches["error-body"] == "empty":
            return Answer(refused.status, headers=headers, content_type="")
        body = refused.problem.body(refused.detail, self.switches["message-language"])
        return Answer(refused.status, body, headers, self._content_type())

    def _authenticate(self, authorization: str | None, at: float) -> Key:
        secret = bearer(authorization)
        if secret is None:
            raise Refused(Problem.KEY_MISSING, int(self.switches["missing-key"]))
        key = self.keys.find(secret)
        if key is None or key.expired:
            problem = Problem.KEY_EXPIRED if key else Problem.KEY_INVALID
            raise Refused(problem, int(self.switches["invalid-key"]))
        return key

    def _find_route(self, path: str) -> tuple[Route, str] | None:
        if not path.startswith(f"{BASE}/"):
            return None
        first, _, more = path.removeprefix(f"{BASE}/").partition("/")
        second, _, rest = more.partition("/")
        route = self._routes.get(f"{first}/{second}")
        takes_more = route is not None and route.name in ("agent-status", "relay-log")
        if route is None or (rest and not takes_more) or "/" in rest:
            return None
        return route, unquote(rest)

    def _route(self, request: Request) -> tuple[Route, str]:
        found = self._find_route(request.path)
        if found is None:
            raise Refused(Problem.NO_SUCH_PATH, 404)
        if request.method != found[0].method:
            raise Refused(Problem.METHOD, 405, headers=(("Allow", found[0].method),))
        return found

    def _retry_after(self, until: float, at: float) -> tuple[tuple[str, str], ...]:
        values = {
            "http-date": formatdate(ceil(until) + self.switches.number("clock-skew"), usegmt=True),
            "seconds": str(ceil(until - at)),
            "absurd": "later, perhaps",
            "far-future": "99999999999",
        }
        value = values.get(self.switches["retry-after"])
        return (("Retry-After", value),) if value else ()

    # GET /agent/status

    def _agent_status(self, request: Request, rest: str, at: float) -> Answer:
        parameters = self._list_parameters(request)
        sessions = self._listed(rest)
        if self.switches["period"] == "honoured":
            sessions = [session for session in sessions if parameters.covers(session.started)]
        page = _page(sessions, parameters)
        return self._list("status", len(sessions), [one.encoded(parameters.zone) for one in page], parameters)

    def _listed(self, direction: str) -> Sequence[Session]:
        sessions = self._of_direction(direction)
        if self.switches["order"] == "shuffled":
            return self._rng.sample(sessions, len(sessions))
        if self.switches["paging"] == "moving" and sessions:
            self._readings += 1
            moved = self._readings * ROWS_MOVED % len(sessions)
            return [*sessions[moved:], *sessions[:moved]]
        return sessions

    def _of_direction(self, direction: str) -> Sequence[Session]:
        newest_first = self.switches["order"] == "newest-first"
        if self.switches["direction-case"] == "insensitive":
            direction = direction.lower()
        if direction and direction not in DIRECTIONS:
            match self.switches["invalid-direction"]:
                case "400":
                    raise Refused(Problem.PARAMETER, 400, "direction is send or receive.")
                case "empty":
                    return []
        return self.connections.sessions.listing(
            direction if direction in DIRECTIONS else None, newest_first=newest_first
        )

    # POST /agent/disconnection

    def _agent_disconnection(self, request: Request, rest: str, at: float) -> Answer:
        session_id, endpoint = self._read_order(request.body)
        session = self.connections.sessions.get(session_id)
        if session is None:
            if self.connections.has_ended(session_id):
                return self._as_switched("ended-session", Problem.SESSION_ENDED)
            return self._as_switched("unknown-session", Problem.SESSION_UNKNOWN)
        for switch, problem, applies in (
            ("wrong-endpoint", Problem.ENDPOINT, session.agent.endpoint != endpoint),
            ("unsupported-agent", Problem.UNSUPPORTED, not session.agent.supports_disconnection),
            ("second-request", Problem.CLOSING, session.closing),
        ):
            if applies and self.switches[switch] != "closes":
                return self._as_switched(switch, problem)
        self.connections.disconnect(session, at)
        return self._accepted()

    def _read_order(self, body: bytes) -> tuple[str, str]:
        try:
            order = json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(Problem.BODY, 400, "It is not JSON.") from None
        if not isinstance(order, dict):
            raise Refused(Problem.BODY, 400, "It is not a JSON object.")
        if self.switches["unknown-property"] == "400" and order.keys() - {"sessionId", "endpoint"}:
            raise Refused(Problem.BODY, 400, "It has a property that is not known here.")
        session_id, endpoint = order.get("sessionId"), order.get("endpoint")
        if not isinstance(session_id, str) or not session_id:
            raise Refused(Problem.BODY, 400, "sessionId is required.")
        if not isinstance(endpoint, str) or not endpoint:
            raise Refused(Problem.BODY, 400, "endpoint is required.")
        return session_id, endpoint

    def _as_switched(self, switch: str, problem: Problem) -> Answer:
        reaction = self.switches[switch]
        if reaction in ("200", "ignored"):
            return self._accepted()
        raise Refused(problem, int(reaction))

    def _accepted(self) -> Answer:
        status = int(self.switches["success-status"])
        hold = self.switches.number("closing-delay") if self.switches["answer-when"] == "closed" else 0.0
        if self.switches["success-body"] == "json" and status != 204:
            return Answer(status, encode({}), content_type=self._content_type(), hold=hold)
        return Answer(status, content_type="", hold=hold)

    # GET /service/status and /relay/log

    def _service_status(self, request: Request, rest: str, at: float) -> Answer:
        state = self.switches["service-state"]
        size = len(ACCESS_POINTS) + len(TRANSFER_SITES)
        wrapper = {"totalSize": size, "fetchSize": size, "startIndex": 0, "maxResults": size}
        places = {
            name: [{"region": region, "endpoint": host, "status": state} for region, host in points]
            for name, points in (("serviceStatus", ACCESS_POINTS), ("dataTransferSiteStatus", TRANSFER_SITES))
        }
        return self._ok(encode(wrapper | {"totalStatus": state} | places))

    def _relay_log(self, request: Request, rest: str, at: float) -> Answer:
        parameters = self._list_parameters(request)
        query = read_query(request.query, self.switches) | ({"processingId": rest} if rest else {})
        wanted = {name: query[name] for name in RELAY_LOG_FILTERS if query.get(name)}
        found = [
            transfer
            for transfer in self.connections.relay_log.newest_first()
            if parameters.covers(transfer.started)
            and all(RELAY_LOG_FILTERS[name](transfer) == value for name, value in wanted.items())
        ]
        page = [encode(transfer.row(parameters.zone)) for transfer in _page(found, parameters)]
        return self._list("logs", len(found), page, parameters)

    # Shapes

    def _list_parameters(self, request: Request) -> ListParameters:
        return list_parameters(read_query(request.query, self.switches), self.switches)

    def _list(self, name: str, total: int, rows: list[bytes], parameters: ListParameters) -> Answer:
        if not rows and self.switches["empty-list"] == "204":
            return Answer(204, content_type="")
        wrapper = encode(
            {
                "totalSize": total,
                "fetchSize": len(rows),
                "startIndex": parameters.start_index,
                "maxResults": parameters.max_results,
                name: [],
            }
        )
        return self._ok(wrapper[:-2] + b",".join(rows) + wrapper[-2:])

    def _ok(self, body: bytes) -> Answer:
        return Answer(200, body, content_type=self._content_type())

    def _content_type(self) -> str:
        value = self.switches["content-type"]
        return "" if value == "absent" else value


def _page[T](rows: Sequence[T], parameters: ListParameters) -> Sequence[T]:
    return rows[parameters.start_index : parameters.start_index + parameters.max_results]
