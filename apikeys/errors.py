"""What both APIs say when they refuse: one shape, `{"code", "message"}`, and one table of codes.

The table in docs/api.md is made from `Problem` and a test compares the two. `answer_problem` is the one exception
handler; an app tells it of its own exceptions with `translates`.
"""

import logging
import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.authentication import endpoint_of
from apikeys.checking import LiveKey
from apikeys.permissions import MissingScope
from apikeys.refusals import record_refused
from apikeys.rights import NotAllowed
from audit.keyset import BadParameter

logger = logging.getLogger(__name__)

#: Characters of a message: it may quote what was sent.
LONGEST_MESSAGE = 500


class Problem(Enum):
    """Code, status, what it says where nothing more exact is known, and what to do about it."""

    BODY = ("C400001", 400, "The body is not a JSON object.", "Send one JSON object in UTF-8.")
    VALUE = ("C400002", 400, "A value is missing or not valid.", "The message names the property and what it takes.")
    PARAMETER = (
        "C400003",
        400,
        "A query or path parameter is not valid.",
        "The message names the parameter and its range.",
    )
    HEADER = ("C400004", 400, "A header is not valid.", "The message names the header and what it takes.")
    SESSION_UNKNOWN = (
        "C400101",
        400,
        "There is no such live agent session.",
        "Read the list again: the session has ended, or belongs to a source that the key may not touch.",
    )
    ENDPOINT = (
        "C400102",
        400,
        "The agent session is not at this endpoint.",
        "Take `endpoint` from the same row of the list as `sessionId`.",
    )
    NOT_DISCONNECTABLE = (
        "C400103",
        400,
        "This agent can't be disconnected.",
        "Agents below version 1.2.0 can't be, nor those whose `supportingDisconnectApi` is false: end it on its host.",
    )
    CLOSING = (
        "C400104",
        400,
        "The remote says that this session will be closed already.",
        "Read the list again; once the time to confirm is over, a session that is still listed can be asked for anew.",
    )
    AMBIGUOUS = (
        "C400105",
        400,
        "More than one source has this session at this endpoint.",
        "Use the console's own API, which names sessions by its own IDs, or a key for one of the sources.",
    )
    NO_KEY = ("C401001", 401, "No API key was sent.", "Send `Authorization: Bearer ac_…`.")
    BAD_KEY = (
        "C401002",
        401,
        "This API key is not accepted.",
        "Check that it is complete; whoever manages keys sees in the audit log why it is refused.",
    )
    MISSING_SCOPE = ("C403001", 403, "The API key lacks the scope.", "Have the scope that the message names given.")
    LOST_RIGHT = (
        "C403002",
        403,
        "The owner of the API key no longer has the right.",
        "Give the owner the role back, or make a key for somebody who has it.",
    )
    NOT_ALLOWED = ("C403003", 403, "This is not allowed.", "The message says which right it needs.")
    NOT_FOUND = (
        "C404001",
        404,
        "There is nothing at this address.",
        "Check path and ID; what the key may not touch is not there for it.",
    )
    METHOD = ("C405001", 405, "This address does not know the method.", "The header `Allow` names those that it knows.")
    UNDER_WAY = (
        "C409001",
        409,
        "A request with this Idempotency-Key is under way.",
        "Send it again after `Retry-After` seconds to read the first one's answer.",
    )
    SECRET_SHOWN = (
        "C409002",
        409,
        "The answer to this request carried a secret, which is shown once.",
        "Use the secret that the first answer brought; where it is lost, rotate the key.",
    )
    TOO_LATE = (
        "C409003",
        409,
        "There is nothing left to cancel.",
        "It was sent, or is over, already: read the disconnection.",
    )
    KEY_ENDED = ("C409004", 409, "This API key is revoked, which is final.", "Make a new key.")
    OVERLAP = (
        "C409005",
        409,
        "This API key was rotated and its old secret is still good.",
        "End that overlap first, or wait for its end.",
    )
    RACED = ("C409006", 409, "Somebody else was quicker.", "Read the session again, then decide anew.")
    STILL_CONNECTED = (
        "C409101",
        409,
        "Accepted by the remote, but still connected.",
        "Look at the agent itself, or ask again.",
    )
    ALREADY_GONE = (
        "C409102",
        409,
        "The session was gone before it was disconnected.",
        "Nothing: it is not connected any more.",
    )
    CANCELLED = ("C409103", 409, "Cancelled by somebody before it was sent.", "`Location` tells by whom.")
    NO_FILE = (
        "C409201",
        409,
        "There is no file of this export.",
        "Read the export: its state says whether it is being made, has failed or was removed.",
    )
    OWN_ACT = (
        "C409202",
        409,
        "Nobody reviews what they have done themselves.",
        "Have somebody else review it; an API key acts for its owner.",
    )
    TOO_LARGE = ("C413001", 413, "The body is too large.", "Send at most 1,000,000 bytes.")
    MEDIA_TYPE = ("C415001", 415, "The body is not declared as JSON.", "Send `Content-Type: application/json`.")
    OTHER_BODY = (
        "C422001",
        422,
        "This Idempotency-Key was used for another request.",
        "Use a new Idempotency-Key for each new request.",
    )
    TOO_MANY = (
        "C429001",
        429,
        "This API key has used its requests of this minute.",
        "Wait for `Retry-After` seconds; ask less often, or have the key's requests a minute raised.",
    )
    TOO_MANY_BAD_KEYS = (
        "C429002",
        429,
        "Too many requests with bad API keys came from this address.",
        "Stop the program that sends them; wait for `Retry-After` seconds.",
    )
    OUR_FAULT = (
        "C500001",
        500,
        "The console failed.",
        "Tell whoever runs it the time and the `X-Request-ID` of the answer.",
    )
    REFUSED = ("C502001", 502, "The remote refused the disconnection.", "The message says why; `Location` has it all.")
    FAILED = ("C502002", 502, "The disconnection could not be sent.", "If the session is still listed, ask again.")
    PAUSED = ("C503001", 503, "The source is paused.", "Ask an Administrator to resume it.")
    SOURCE_REFUSED = (
        "C503002",
        503,
        "The remote's rate limit refuses every request of this source.",
        "Send it again after `Retry-After` seconds.",
    )
    UNKNOWN = (
        "C504001",
        504,
        "The outcome is unknown.",
        "Look for the session once the list can be read again; if it is there, ask again.",
    )

    def __init__(self, code: str, status: int, message: str, advice: str) -> None:
        self.code, self.status, self.message, self.advice = code, status, message, advice

    def body(self, message: str = "") -> dict[str, str]:
        return {"code": self.code, "message": (message or self.message)[:LONGEST_MESSAGE]}


class Refusal(exceptions.APIException):
    """Raise it to answer with a `Problem`, `message` being more exact than the problem's own."""

    def __init__(self, problem: Problem, message: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message or problem.message, problem.code)
        self.status_code = problem.status
        self.problem, self.message, self.headers = problem, message, dict(headers or {})


type Translation = Callable[[Any], Refusal]
_translations: dict[type[Exception], Translation] = {}


def translates(error: type[Exception], translation: Translation) -> None:
    """An app's own exception becomes this refusal wherever an API view lets it through."""
    _translations[error] = translation


def answer_problem(error: Exception, context: dict[str, Any]) -> Response:
    """REST_FRAMEWORK's EXCEPTION_HANDLER: every exception becomes an answer of the one shape."""
    request: Request = context["request"]
    refusal = _refusal_of(error, request)
    if refusal.problem is Problem.OUR_FAULT:
        logger.error("%s %s failed", request.method, request.path, exc_info=error)
        got_request_exception.send(sender=None, request=request._request)
    _put_on_record(refusal, error, request)
    return Response(refusal.problem.body(refusal.message), refusal.problem.status, headers=refusal.headers)


def _put_on_record(refusal: Refusal, error: Exception, request: Request) -> None:
    """What a key asked to be done and was not, and what it asked too often; a scope that lacks is recorded already."""
    key = getattr(request, "_auth", None)
    if not isinstance(key, LiveKey) or isinstance(error, MissingScope):
        return
    if refusal.problem is Problem.TOO_MANY or request.method not in ("GET", "HEAD", "OPTIONS"):
        why = f"{refusal.problem.code}: {refusal.message or refusal.problem.message}"
        record_refused(key, why=why, endpoint=endpoint_of(request._request), at=timezone.now())


def _refusal_of(error: Exception, request: Request) -> Refusal:
    if isinstance(error, exceptions.Throttled):
        return _of_throttled(error, of_key=bool(getattr(request, "_auth", None)))
    for kind in type(error).__mro__:
        if kind in _translations:
            return _translations[kind](error)
    return Refusal(Problem.OUR_FAULT)


def _of_validation(error: exceptions.ValidationError) -> Refusal:
    return Refusal(Problem.VALUE, " ".join(_sentences(error.detail)))


def _sentences(detail: Any, place: str = "") -> list[str]:
    """`sessionId: This field is required.` and so on, as deep as it goes."""
    if isinstance(detail, Mapping):
        inner = [(f"{place}.{name}" if place else str(name), each) for name, each in detail.items()]
        return [sentence for name, each in inner for sentence in _sentences(each, _without_marks(name))]
    if isinstance(detail, list):
        return [sentence for each in detail[:10] for sentence in _sentences(each, place)]
    return [f"{place}: {detail}" if place else str(detail)]


def _without_marks(name: str) -> str:
    return name.removesuffix("non_field_errors").removesuffix(".").removesuffix("__all__")


def _of_parameter(error: BadParameter) -> Refusal:
    return Refusal(Problem.PARAMETER, " ".join(_sentences(error.detail)))


def _of_django_validation(error: DjangoValidationError) -> Refusal:
    detail: Any = error.message_dict if hasattr(error, "error_dict") else error.messages
    return Refusal(Problem.VALUE, " ".join(_sentences(detail)))


def _of_throttled(error: exceptions.Throttled, *, of_key: bool) -> Refusal:
    problem = Problem.TOO_MANY if of_key else Problem.TOO_MANY_BAD_KEYS
    return Refusal(problem, headers={"Retry-After": str(max(1, math.ceil(getattr(error, "wait", None) or 1)))})


def _of_authentication(problem: Problem) -> Translation:
    def translate(error: exceptions.APIException) -> Refusal:
        header = getattr(error, "auth_header", "Bearer")
        return Refusal(problem, str(error.detail), {"WWW-Authenticate": header})

    return translate


def _of_missing_scope(error: MissingScope) -> Refusal:
    return Refusal(Problem.LOST_RIGHT if error.lost else Problem.MISSING_SCOPE, str(error.detail))


def plain(problem: Problem, message: str = "") -> JsonResponse:
    """The same shape from outside of a REST view."""
    return JsonResponse(problem.body(message), status=problem.status)


@csrf_exempt  # Nothing is done here, and a program has no CSRF token.
def no_such_path(request: HttpRequest) -> JsonResponse:
    """Whatever else is asked for below /api/."""
    return plain(Problem.NOT_FOUND)


translates(Refusal, lambda error: error)
translates(exceptions.ParseError, lambda error: Refusal(Problem.BODY, str(error.detail)))
translates(exceptions.ValidationError, _of_validation)
translates(BadParameter, _of_parameter)
translates(DjangoValidationError, _of_django_validation)
translates(exceptions.NotAuthenticated, _of_authentication(Problem.NO_KEY))
translates(exceptions.AuthenticationFailed, _of_authentication(Problem.BAD_KEY))
translates(MissingScope, _of_missing_scope)
translates(exceptions.PermissionDenied, lambda error: Refusal(Problem.NOT_ALLOWED))
translates(DjangoPermissionDenied, lambda error: Refusal(Problem.NOT_ALLOWED, str(error)))
translates(NotAllowed, lambda error: Refusal(Problem.NOT_ALLOWED, str(error)))
translates(exceptions.NotFound, lambda error: Refusal(Problem.NOT_FOUND))
translates(Http404, lambda error: Refusal(Problem.NOT_FOUND))
translates(exceptions.MethodNotAllowed, lambda error: Refusal(Problem.METHOD))
translates(exceptions.UnsupportedMediaType, lambda error: Refusal(Problem.MEDIA_TYPE))
translates(RequestDataTooBig, lambda error: Refusal(Problem.TOO_LARGE))
