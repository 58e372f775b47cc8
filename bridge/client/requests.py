"""Requests of this agent that wait for the bridge's answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bridge.client.errors import FDC3Error, NotConnectedToBridge, TimedOut, error_of
from bridge.client.outbox import Outbox
from bridge.protocol.messages import RESPONSE_TO, ErrorResponse, Request, Response

#: Gets the response, or why there is none.
type Finish = Callable[[Any], None]


@dataclass(frozen=True)
class Waiting:
    finish: Finish
    deadline: float | None


class Requests:
    def __init__(self, out: Outbox) -> None:
        self._out = out
        #: An intent is answered twice, so the type belongs to the key.
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self.timeouts_in_a_row = 0

    def ask(self, request: Request, finish: Finish, deadline: float) -> None:
        self._waiting[request.meta.request_uuid, RESPONSE_TO[request.type]] = Waiting(finish, deadline)
        self._out.send(request)

    def await_result(self, request_uuid: str, finish: Finish) -> None:
        """The result of an intent comes when it comes: an app may take its time, and so may a person."""
        self._waiting[request_uuid, "raiseIntentResultResponse"] = Waiting(finish, None)

    def answered(self, response: Response | ErrorResponse) -> None:
        waiting = self._waiting.pop((response.meta.request_uuid, response.type), None)
        if waiting is None:
            return  # Late, or never asked.
        self.timeouts_in_a_row = 0
        waiting.finish(error_of(response.payload.error) if isinstance(response, ErrorResponse) else response)

    def next_deadline(self) -> float | None:
        return min((each.deadline for each in self._waiting.values() if each.deadline is not None), default=None)

    def tick(self, at: float) -> None:
        """R49."""
        for key, waiting in list(self._waiting.items()):
            if waiting.deadline is not None and waiting.deadline <= at:
                del self._waiting[key]
                self.timeouts_in_a_row += 1
                waiting.finish(TimedOut())

    def lost(self) -> None:
        """With the bridge everything is lost that it was asked."""
        waiting, self._waiting = self._waiting, {}
        self.timeouts_in_a_row = 0
        for each in waiting.values():
            each.finish(NotConnectedToBridge("the bridge was lost before it answered"))


def raise_if_error(answer: Any) -> None:
    if isinstance(answer, FDC3Error):
        raise answer
