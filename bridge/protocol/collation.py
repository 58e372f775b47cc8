"""One request that waits for its answers, and how many answers become one."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from bridge.protocol.identity import AppKey
from bridge.protocol.messages import (
    AppIntent,
    DesktopAgentIdentifier,
    ErrorPayload,
    ErrorResponse,
    FindInstancesAnswer,
    FindInstancesRequest,
    FindInstancesResponse,
    FindIntentAnswer,
    FindIntentRequest,
    FindIntentResponse,
    FindIntentsByContextAnswer,
    FindIntentsByContextRequest,
    FindIntentsByContextResponse,
    GetAppMetadataRequest,
    GetAppMetadataResponse,
    IntentMetadata,
    OpenRequest,
    OpenResponse,
    RaiseIntentRequest,
    RaiseIntentResponse,
    Request,
    ResponseMeta,
)
from bridge.protocol.peers import Peer

TIMED_OUT = "ResponseToBridgeTimedOut"
DISCONNECTED = "AgentDisconnected"
MALFORMED = "MalformedMessage"
NOT_FOUND = "DesktopAgentNotFound"

RESPONSES: dict[type[Request], Any] = {
    FindIntentRequest: FindIntentResponse,
    FindIntentsByContextRequest: FindIntentsByContextResponse,
    FindInstancesRequest: FindInstancesResponse,
    GetAppMetadataRequest: GetAppMetadataResponse,
    OpenRequest: OpenResponse,
    RaiseIntentRequest: RaiseIntentResponse,
}
#: What may have to start an app, and wait for it, before it is answered (Q7).
LAUNCHES = frozenset({OpenRequest, RaiseIntentRequest})


@dataclass(slots=True, eq=False)
class Pending:
    """A request until its last answer (R40).

    Asked of all, the answers are collated into one of ours; asked of one, that agent's own answer is passed on, with
    the uuid that it gave it. raiseIntentRequest has two answers, so it stays here for the result after the first.
    """

    uuid: str
    requester: Peer
    response: Any
    asked_at: float
    is_targeted: bool
    is_launch: bool
    #: The app that asks, which is handed the private channel where an intent results in one.
    asking: AppKey | None
    waiting: dict[int, Peer]
    #: The app that took the intent, once its agent said which.
    resolved_by: AppKey | None = None
    answers: list[tuple[str, Any]] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    #: Of the last answer that came.
    response_uuid: str | None = None
    timestamp: str | None = None

    @property
    def type(self) -> str:
        """Of the answer that is awaited."""
        return str(self.response.__struct_config__.tag)

    def answered(self, peer: Peer, payload: Any, meta: ResponseMeta) -> None:
        del self.waiting[peer.conn]
        self.answers.append((peer.name, payload))
        self.response_uuid, self.timestamp = meta.response_uuid, meta.timestamp

    def failed(self, peer: Peer, error: str, meta: ResponseMeta | None = None) -> None:
        """With the meta of the answer where it was the agent that said so."""
        del self.waiting[peer.conn]
        self.failures.append((peer.name, error))
        if meta is not None:
            self.response_uuid, self.timestamp = meta.response_uuid, meta.timestamp

    def outcome(self, new_id: Callable[[], str], timestamp: str) -> Any:
        """The one answer for the requester: a success where at least one agent had one (R46)."""
        # R47 and Q21: what one agent answered keeps its uuid; what we put together has one of ours (R45).
        keeps = self.is_targeted and self.response_uuid is not None and self.timestamp is not None
        meta = ResponseMeta(
            request_uuid=self.uuid,
            response_uuid=self.response_uuid if keeps and self.response_uuid else new_id(),
            timestamp=self.timestamp if keeps and self.timestamp else timestamp,
            sources=_named(name for name, _ in self.answers),
            error_sources=_named(name for name, _ in self.failures),
            error_details=[error for _, error in self.failures] or None,
        )
        if self.answers:
            return self.response(payload=merged([payload for _, payload in self.answers]), meta=meta)
        return ErrorResponse(
            type=self.type,
            payload=ErrorPayload(error=chosen([error for _, error in self.failures])),
            meta=meta,
        )


def _named(names: Any) -> list[DesktopAgentIdentifier] | None:
    return [DesktopAgentIdentifier(desktop_agent=name) for name in names] or None


def chosen(errors: list[str]) -> str:
    """The error that stands for all (Q25): the most frequent one that says more than that nobody answered."""
    said = Counter(error for error in errors if error != TIMED_OUT)
    return said.most_common(1)[0][0] if said else errors[0]


def merged(payloads: list[Any]) -> Any:
    """Several answers to one question as one, in the order in which they came."""
    if len(payloads) == 1:
        return payloads[0]
    return _MERGES[type(payloads[0])](payloads)


def _find_intent(payloads: list[FindIntentAnswer]) -> FindIntentAnswer:
    apps = [app for payload in payloads for app in payload.app_intent.apps]
    return FindIntentAnswer(app_intent=replace(payloads[0].app_intent, apps=apps))


def _find_intents_by_context(payloads: list[FindIntentsByContextAnswer]) -> FindIntentsByContextAnswer:
    by_name: dict[str, AppIntent] = {}
    for each in (intent for payload in payloads for intent in payload.app_intents):
        known = by_name.get(each.intent.name)
        by_name[each.intent.name] = each if known is None else replace(known, apps=[*known.apps, *each.apps])
    return FindIntentsByContextAnswer(app_intents=list(by_name.values()))


def _find_instances(payloads: list[FindInstancesAnswer]) -> FindInstancesAnswer:
    return FindInstancesAnswer(app_identifiers=[app for payload in payloads for app in payload.app_identifiers])


_MERGES: dict[type, Callable[[list[Any]], Any]] = {
    FindIntentAnswer: _find_intent,
    FindIntentsByContextAnswer: _find_intents_by_context,
    FindInstancesAnswer: _find_instances,
}


def nothing_found(request: Any) -> Any:
    """What is answered where there is nobody to ask (Q10)."""
    match request:
        case FindIntentRequest():
            intent = AppIntent(intent=IntentMetadata(name=request.payload.intent), apps=[])
            return FindIntentAnswer(app_intent=intent)
        case FindIntentsByContextRequest():
            return FindIntentsByContextAnswer(app_intents=[])
        case _:
            return FindInstancesAnswer(app_identifiers=[])
