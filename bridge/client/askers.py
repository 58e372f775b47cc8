"""Who asks something of an app of this agent, and how the answer gets there: an app beside it, or another agent."""

from dataclasses import dataclass
from typing import Any, Protocol

from bridge.client import contexts
from bridge.client.contexts import Context
from bridge.client.effects import Answered, CallId, Channel, Failed, ResultArrived, ResultFailed
from bridge.client.outbox import Outbox
from bridge.protocol import messages
from bridge.protocol.messages import (
    RESPONSE_TO,
    AppIdentifier,
    ErrorPayload,
    ErrorResponse,
    IntentResolution,
    IntentResult,
    OpenAnswer,
    OpenResponse,
    RaiseIntentAnswer,
    RaiseIntentResponse,
    RaiseIntentResultAnswer,
    RaiseIntentResultResponse,
    Request,
    ResponseMeta,
)

type Result = Context | Channel | None


class Asker(Protocol):
    @property
    def app(self) -> AppIdentifier:
        """Who gets the answer."""

    def opened(self, app: AppIdentifier) -> None: ...
    def resolved(self, resolution: IntentResolution) -> None: ...
    def failed(self, error: str) -> None: ...
    def result(self, result: Result) -> None: ...
    def result_failed(self, error: str) -> None: ...


@dataclass(frozen=True)
class AppHere:
    out: Outbox
    call: CallId
    app: AppIdentifier

    def opened(self, app: AppIdentifier) -> None:
        self.out.add(Answered(self.call, app))

    def resolved(self, resolution: IntentResolution) -> None:
        self.out.add(Answered(self.call, resolution))

    def failed(self, error: str) -> None:
        self.out.add(Failed(self.call, error))

    def result(self, result: Result) -> None:
        self.out.add(ResultArrived(self.call, result))

    def result_failed(self, error: str) -> None:
        self.out.add(ResultFailed(self.call, error))


@dataclass(frozen=True)
class AppElsewhere:
    """Answered over the socket that the request came on; on a later one the bridge would not know of it."""

    out: Outbox
    attempt: int
    request: Request
    app: AppIdentifier

    def opened(self, app: AppIdentifier) -> None:
        self._answer(OpenResponse(payload=OpenAnswer(app_identifier=app), meta=self._meta()))

    def resolved(self, resolution: IntentResolution) -> None:
        payload = RaiseIntentAnswer(intent_resolution=resolution)
        self._answer(RaiseIntentResponse(payload=payload, meta=self._meta()))

    def failed(self, error: str) -> None:
        self._answer(error_response(RESPONSE_TO[self.request.type], error, self._meta()))

    def result(self, result: Result) -> None:
        """Sent in every case, also where there is nothing to tell (R63)."""
        payload = RaiseIntentResultAnswer(intent_result=_intent_result(result))
        self._answer(RaiseIntentResultResponse(payload=payload, meta=self._meta()))

    def result_failed(self, error: str) -> None:
        self._answer(error_response("raiseIntentResultResponse", error, self._meta()))

    def _meta(self) -> ResponseMeta:
        return response_meta(self.request, self.out)

    def _answer(self, response: Any) -> None:
        if self.attempt == self.out.attempt:
            self.out.send(response)


def response_meta(request: Request, out: Outbox) -> ResponseMeta:
    """Quotes the request and has an ID of its own (R33); of who answers the bridge knows (R38)."""
    return ResponseMeta(request_uuid=request.meta.request_uuid, response_uuid=out.new_id(), timestamp=out.timestamp)


def error_response(type_: str, error: str, meta: ResponseMeta) -> ErrorResponse:
    """Only the string crosses the bridge (R56)."""
    return ErrorResponse(type=type_, payload=ErrorPayload(error=error), meta=meta)


def _intent_result(result: Result) -> IntentResult:
    match result:
        case None:
            return IntentResult()
        case Channel(id=id_, type=type_):
            return IntentResult(channel=messages.Channel(id=id_, type=messages.ChannelType(type_)))
        case context:
            return IntentResult(context=contexts.write(context))
