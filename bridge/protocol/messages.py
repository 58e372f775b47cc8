"""Every message of the FDC3 bridging protocol: typed, parsed and validated in one step, made valid for its receiver.

One class serves all versions and both directions. Where those differ, `check` says what else must hold, and `suited`
says it in the receiver's words. A context stays the bytes that came (`msgspec.Raw`), once it is known to be one.
Where we judge otherwise than the published schemas do, docs/bridge.md says so.

The bytes of a context are a view into the whole message: keep `context.copy()` where it outlives the message.
"""

from typing import Any, Self

from msgspec import UNSET, Raw, Struct, UnsetType, ValidationError, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import replace

from bridge.protocol import errors
from bridge.protocol.damage import DEEPEST, is_error_form, malformed, too_deep
from bridge.protocol.damage import Malformed as Malformed
from bridge.protocol.damage import Unparseable as Unparseable
from bridge.protocol.parts import AppDestination as AppDestination
from bridge.protocol.parts import AppIdentifier as AppIdentifier
from bridge.protocol.parts import AppIntent as AppIntent
from bridge.protocol.parts import AppMetadata as AppMetadata
from bridge.protocol.parts import AppProvidableContextMetadata as AppProvidableContextMetadata
from bridge.protocol.parts import Channel as Channel
from bridge.protocol.parts import ChannelsState as ChannelsState
from bridge.protocol.parts import ChannelType as ChannelType
from bridge.protocol.parts import ContextMetadata as ContextMetadata
from bridge.protocol.parts import DesktopAgentIdentifier as DesktopAgentIdentifier
from bridge.protocol.parts import DesktopAgentImplementationMetadata as DesktopAgentImplementationMetadata
from bridge.protocol.parts import DisplayMetadata as DisplayMetadata
from bridge.protocol.parts import Identifier as Identifier
from bridge.protocol.parts import ImplementationMetadata as ImplementationMetadata
from bridge.protocol.parts import IntentMetadata as IntentMetadata
from bridge.protocol.parts import IntentResolution as IntentResolution
from bridge.protocol.parts import IntentResult as IntentResult
from bridge.protocol.parts import ListenerType as ListenerType
from bridge.protocol.parts import Name, Part, check_channels, check_context, check_timestamp, take_null_as_absent
from bridge.protocol.parts import OptionalFeatures as OptionalFeatures
from bridge.protocol.parts import context_type as context_type
from bridge.protocol.versions import Version as Version
from bridge.protocol.versions import version_of as version_of


class _Meta(Part, frozen=True, kw_only=True):
    timestamp: str

    def __post_init__(self) -> None:
        check_timestamp(self.timestamp)


class HelloMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: None = None
    response_uuid: None = None


class HandshakeMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: Name
    response_uuid: None = None


class ConnectionMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: Name
    response_uuid: Name


class RequestMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: Name
    response_uuid: None = None
    source: Identifier | None = None
    destination: Identifier | None = None


class BroadcastMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier
    destination: None = None


class FindMeta(RequestMeta, frozen=True, kw_only=True):
    destination: DesktopAgentIdentifier | None = None


class FindIntentsByContextMeta(FindMeta, frozen=True, kw_only=True):
    source: AppIdentifier | None = None


class OpenMeta(FindMeta, frozen=True, kw_only=True):
    source: AppIdentifier


class RaiseIntentMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier
    destination: AppDestination


class PrivateChannelMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier | None = None
    destination: AppDestination | None = None


class ResponseMeta(_Meta, frozen=True, kw_only=True):
    """The three lists are the bridge's: an agent's answer has none of them, and no source or destination (R38)."""

    request_uuid: Name
    response_uuid: Name
    source: None = None
    destination: None = None
    sources: list[DesktopAgentIdentifier] | None = None
    error_sources: list[DesktopAgentIdentifier] | None = None
    error_details: list[str] | None = None

    def check(self, version: Version, by_bridge: bool) -> None:
        if not by_bridge and (self.sources, self.error_sources, self.error_details) != (None, None, None):
            raise ValueError("An agent's answer names no sources - at `$.meta`")
        for detail in self.error_details or ():
            if detail not in errors.known(version):
                raise ValueError(f"Invalid enum value {detail!r} - at `$.meta.errorDetails[...]`")

    def suited(self, receiver: Version) -> Self:
        if not self.error_details:
            return self
        return replace(self, error_details=[errors.in_words_of(receiver, detail) for detail in self.error_details])


class _Message(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
):
    """An object of type, payload and meta, and nothing else (R32)."""

    @property
    def type(self) -> str:
        return str(self.__struct_config__.tag)

    def check(self, version: Version, by_bridge: bool) -> None:
        """What the types alone do not say. Raises ValueError."""

    def suited(self, receiver: Version) -> Self:
        """The same, valid for a receiver of this version."""
        return self


class Request(_Message, frozen=True, kw_only=True):
    meta: RequestMeta

    def check(self, version: Version, by_bridge: bool) -> None:
        if by_bridge and (self.meta.source is None or self.meta.source.desktop_agent is None):
            raise ValueError("Object missing required field `desktopAgent` - at `$.meta.source`")


class AppRequest(Request, frozen=True, kw_only=True):
    """An agent may leave its source out, but no valid request can be forwarded without an app there."""


class Response(_Message, frozen=True, kw_only=True):
    meta: ResponseMeta

    def check(self, version: Version, by_bridge: bool) -> None:
        self.meta.check(version, by_bridge)

    def suited(self, receiver: Version) -> Self:
        return replace(self, meta=self.meta.suited(receiver)) if self.meta.error_details else self


class HelloPayload(Part, frozen=True, kw_only=True):
    desktop_agent_bridge_version: str
    supported_fdc3_versions: list[str] = field(name="supportedFDC3Versions")
    auth_required: bool
    auth_token: str | None = None


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    payload: HelloPayload
    meta: HelloMeta


class HandshakePayload(Part, frozen=True, kw_only=True):
    implementation_metadata: ImplementationMetadata
    requested_name: Name
    channels_state: ChannelsState
    auth_token: str | None = None

    def __post_init__(self) -> None:
        check_channels(self.channels_state)


class Handshake(_Message, frozen=True, kw_only=True, tag="handshake"):
    """Says in which version it is to be judged itself."""

    payload: HandshakePayload
    meta: HandshakeMeta

    def check(self, version: Version, by_bridge: bool) -> None:
        said = self.payload.implementation_metadata
        said.optional_features.check(said.version)

    def suited(self, receiver: Version) -> Self:
        said = self.payload.implementation_metadata
        suited = said.suited(said.version or Version.V2_1)
        return replace(self, payload=replace(self.payload, implementation_metadata=suited))


class AuthenticationFailedPayload(Part, frozen=True, kw_only=True):
    message: str | None = None


class AuthenticationFailed(_Message, frozen=True, kw_only=True, tag="authenticationFailed"):
    payload: AuthenticationFailedPayload
    meta: ConnectionMeta


class ConnectedAgentsUpdatePayload(Part, frozen=True, kw_only=True):
    all_agents: list[DesktopAgentImplementationMetadata]
    add_agent: Name | None = None
    remove_agent: Name | None = None
    channels_state: ChannelsState | None = None

    def __post_init__(self) -> None:
        check_channels(self.channels_state)


class ConnectedAgentsUpdate(_Message, frozen=True, kw_only=True, tag="connectedAgentsUpdate"):
    payload: ConnectedAgentsUpdatePayload
    meta: ConnectionMeta

    def check(self, version: Version, by_bridge: bool) -> None:
        for agent in self.payload.all_agents:
            agent.optional_features.check(version)

    def suited(self, receiver: Version) -> Self:
        agents = [agent.suited(receiver) for agent in self.payload.all_agents]
        return replace(self, payload=replace(self.payload, all_agents=agents))


class BroadcastPayload(Part, frozen=True, kw_only=True):
    channel_id: Name
    context: Raw
    metadata: AppProvidableContextMetadata | None = None

    def __post_init__(self) -> None:
        check_context(self.context)


class BroadcastRequest(Request, frozen=True, kw_only=True, tag="broadcastRequest"):
    payload: BroadcastPayload
    meta: BroadcastMeta

    def check(self, version: Version, by_bridge: bool) -> None:
        Request.check(self, version, by_bridge)
        if self.payload.metadata is not None and version is not Version.NEXT:
            raise ValueError("Object contains unknown field `metadata` - at `$.payload`")

    def suited(self, receiver: Version) -> Self:
        # After 2.2 the schemas require it, if only as an empty object; until then they forbid it.
        empty = AppProvidableContextMetadata() if receiver is Version.NEXT else None
        if receiver is Version.NEXT and self.payload.metadata is not None or self.payload.metadata is empty:
            return self
        return replace(self, payload=replace(self.payload, metadata=empty))


class FindIntentPayload(Part, frozen=True, kw_only=True):
    intent: str
    context: Raw | UnsetType = UNSET
    result_type: str | None = None

    def __post_init__(self) -> None:
        take_null_as_absent(self, "context")
        check_context(self.context)


class FindIntentRequest(Request, frozen=True, kw_only=True, tag="findIntentRequest"):
    payload: FindIntentPayload
    meta: FindMeta

    def suited(self, receiver: Version) -> Self:
        return _without_result_type(self) if receiver is Version.V2_1 else self


class FindIntentAnswer(Part, frozen=True, kw_only=True):
    app_intent: AppIntent


class FindIntentResponse(Response, frozen=True, kw_only=True, tag="findIntentResponse"):
    payload: FindIntentAnswer

    def suited(self, receiver: Version) -> Self:
        payload = replace(self.payload, app_intent=self.payload.app_intent.suited(receiver))
        return replace(self, payload=payload, meta=self.meta.suited(receiver))


class FindIntentsByContextPayload(Part, frozen=True, kw_only=True):
    context: Raw
    result_type: str | None = None

    def __post_init__(self) -> None:
        check_context(self.context)


class FindIntentsByContextRequest(AppRequest, frozen=True, kw_only=True, tag="findIntentsByContextRequest"):
    payload: FindIntentsByContextPayload
    meta: FindIntentsByContextMeta

    def suited(self, receiver: Version) -> Self:
        return _without_result_type(self) if receiver is Version.V2_1 else self


class FindIntentsByContextAnswer(Part, frozen=True, kw_only=True):
    app_intents: list[AppIntent]


class FindIntentsByContextResponse(Response, frozen=True, kw_only=True, tag="findIntentsByContextResponse"):
    payload: FindIntentsByContextAnswer

    def suited(self, receiver: Version) -> Self:
        intents = [intent.suited(receiver) for intent in self.payload.app_intents]
        return replace(self, payload=replace(self.payload, app_intents=intents), meta=self.meta.suited(receiver))


class FindInstancesPayload(Part, frozen=True, kw_only=True):
    app: AppIdentifier


class FindInstancesRequest(Request, frozen=True, kw_only=True, tag="findInstancesRequest"):
    payload: FindInstancesPayload
    meta: FindMeta


class FindInstancesAnswer(Part, frozen=True, kw_only=True):
    app_identifiers: list[AppMetadata]


class FindInstancesResponse(Response, frozen=True, kw_only=True, tag="findInstancesResponse"):
    payload: FindInstancesAnswer


class GetAppMetadataPayload(Part, frozen=True, kw_only=True):
    app: AppDestination


class GetAppMetadataRequest(Request, frozen=True, kw_only=True, tag="getAppMetadataRequest"):
    payload: GetAppMetadataPayload
    meta: FindMeta


class GetAppMetadataAnswer(Part, frozen=True, kw_only=True):
    app_metadata: AppMetadata


class GetAppMetadataResponse(Response, frozen=True, kw_only=True, tag="getAppMetadataResponse"):
    payload: GetAppMetadataAnswer


class OpenPayload(Part, frozen=True, kw_only=True):
    app: AppDestination
    context: Raw | UnsetType = UNSET

    def __post_init__(self) -> None:
        take_null_as_absent(self, "context")
        check_context(self.context)


class OpenRequest(Request, frozen=True, kw_only=True, tag="openRequest"):
    payload: OpenPayload
    meta: OpenMeta


class OpenAnswer(Part, frozen=True, kw_only=True):
    app_identifier: AppIdentifier


class OpenResponse(Response, frozen=True, kw_only=True, tag="openResponse"):
    payload: OpenAnswer


class RaiseIntentPayload(Part, frozen=True, kw_only=True):
    intent: str
    context: Raw
    app: AppDestination

    def __post_init__(self) -> None:
        check_context(self.context)


class RaiseIntentRequest(Request, frozen=True, kw_only=True, tag="raiseIntentRequest"):
    payload: RaiseIntentPayload
    meta: RaiseIntentMeta


class RaiseIntentAnswer(Part, frozen=True, kw_only=True):
    intent_resolution: IntentResolution


class RaiseIntentResponse(Response, frozen=True, kw_only=True, tag="raiseIntentResponse"):
    payload: RaiseIntentAnswer

    def check(self, version: Version, by_bridge: bool) -> None:
        Response.check(self, version, by_bridge)
        if self.payload.intent_resolution.version is not None and version is not Version.V2_1:
            raise ValueError("Object contains unknown field `version` - at `$.payload.intentResolution`")

    def suited(self, receiver: Version) -> Self:
        resolution = self.payload.intent_resolution
        if resolution.version is not None and receiver is not Version.V2_1:
            resolution = replace(resolution, version=None)
        return replace(
            self, payload=replace(self.payload, intent_resolution=resolution), meta=self.meta.suited(receiver)
        )


class RaiseIntentResultAnswer(Part, frozen=True, kw_only=True):
    intent_result: IntentResult
    result_metadata: ContextMetadata | None = None


class RaiseIntentResultResponse(Response, frozen=True, kw_only=True, tag="raiseIntentResultResponse"):
    payload: RaiseIntentResultAnswer

    def check(self, version: Version, by_bridge: bool) -> None:
        Response.check(self, version, by_bridge)
        if self.payload.result_metadata is not None and version is not Version.NEXT:
            raise ValueError("Object contains unknown field `resultMetadata` - at `$.payload`")

    def suited(self, receiver: Version) -> Self:
        payload = self.payload
        if payload.result_metadata is not None and receiver is not Version.NEXT:
            payload = replace(payload, result_metadata=None)
        return replace(self, payload=payload, meta=self.meta.suited(receiver))


class ChannelPayload(Part, frozen=True, kw_only=True):
    channel_id: Name


class PrivateChannelRequest(AppRequest, frozen=True, kw_only=True):
    payload: ChannelPayload
    meta: PrivateChannelMeta


class PrivateChannelBroadcastPayload(ChannelPayload, frozen=True, kw_only=True):
    context: Raw

    def __post_init__(self) -> None:
        check_context(self.context)


class PrivateChannelBroadcast(PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.broadcast"):
    payload: PrivateChannelBroadcastPayload


class EventListenerPayload(ChannelPayload, frozen=True, kw_only=True):
    listener_type: ListenerType


class _EventListenerRequest(PrivateChannelRequest, frozen=True, kw_only=True):
    payload: EventListenerPayload

    def suited(self, receiver: Version) -> Self:
        # The wire's own word stands in for the enumeration here: this goes nowhere but into `encode`.
        words: Any = self.payload.listener_type.in_words_of(receiver)
        return replace(self, payload=replace(self.payload, listener_type=words))


class PrivateChannelEventListenerAdded(
    _EventListenerRequest, frozen=True, kw_only=True, tag="PrivateChannel.eventListenerAdded"
):
    pass


class PrivateChannelEventListenerRemoved(
    _EventListenerRequest, frozen=True, kw_only=True, tag="PrivateChannel.eventListenerRemoved"
):
    pass


class ContextListenerPayload(ChannelPayload, frozen=True, kw_only=True):
    # None: a listener for every type.
    context_type: Name | None


class PrivateChannelOnAddContextListener(
    PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.onAddContextListener"
):
    payload: ContextListenerPayload


class PrivateChannelOnUnsubscribe(PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.onUnsubscribe"):
    payload: ContextListenerPayload


class PrivateChannelOnDisconnect(PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.onDisconnect"):
    pass


class ErrorPayload(Part, frozen=True, kw_only=True):
    error: str


class ErrorResponse(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """The error form of every response; from a bridge also the answer to a request that has no response (R54)."""

    type: Name
    payload: ErrorPayload
    meta: ResponseMeta

    def check(self, version: Version, by_bridge: bool) -> None:
        self.meta.check(version, by_bridge)
        if by_bridge and (self.meta.error_sources is None or self.meta.error_details is None):
            raise ValueError("Object missing required fields `errorSources`, `errorDetails` - at `$.meta`")
        if self.meta.sources is not None:
            raise ValueError("Object contains unknown field `sources` - at `$.meta`")
        if not by_bridge and self.type not in RESPONSES:
            raise ValueError(f"Invalid value {self.type!r} - at `$.type`")
        if self.payload.error not in errors.allowed(self.type, version):
            raise ValueError(f"Invalid enum value {self.payload.error!r} - at `$.payload.error`")

    def suited(self, receiver: Version) -> Self:
        payload = ErrorPayload(error=errors.in_words_of(receiver, self.payload.error))
        return replace(self, payload=payload, meta=self.meta.suited(receiver))


def _without_result_type[R: FindIntentRequest | FindIntentsByContextRequest](request: R) -> R:
    return replace(request, payload=replace(request.payload, result_type=None))


_Relayed = (
    BroadcastRequest
    | FindIntentRequest
    | FindIntentsByContextRequest
    | FindInstancesRequest
    | GetAppMetadataRequest
    | OpenRequest
    | RaiseIntentRequest
    | PrivateChannelBroadcast
    | PrivateChannelEventListenerAdded
    | PrivateChannelEventListenerRemoved
    | PrivateChannelOnAddContextListener
    | PrivateChannelOnUnsubscribe
    | PrivateChannelOnDisconnect
    | FindIntentResponse
    | FindIntentsByContextResponse
    | FindInstancesResponse
    | GetAppMetadataResponse
    | OpenResponse
    | RaiseIntentResponse
    | RaiseIntentResultResponse
)
Message = Hello | Handshake | AuthenticationFailed | ConnectedAgentsUpdate | _Relayed | ErrorResponse

# The answer to each request that has one; raiseIntentRequest has a second, raiseIntentResultResponse.
RESPONSE_TO = {
    "findIntentRequest": "findIntentResponse",
    "findIntentsByContextRequest": "findIntentsByContextResponse",
    "findInstancesRequest": "findInstancesResponse",
    "getAppMetadataRequest": "getAppMetadataResponse",
    "openRequest": "openResponse",
    "raiseIntentRequest": "raiseIntentResponse",
}
RESPONSES = frozenset({*RESPONSE_TO.values(), "raiseIntentResultResponse"})

_by_agent: Decoder[Any] = Decoder(Handshake | _Relayed)
_by_bridge: Decoder[Any] = Decoder(Hello | AuthenticationFailed | ConnectedAgentsUpdate | _Relayed)
_error = Decoder(ErrorResponse)
_encoder = Encoder()


def from_agent(raw: bytes, version: Version) -> Message:
    """The message that an agent of this version sent. Raises Malformed."""
    return _read(raw, _by_agent, version, by_bridge=False)


def from_bridge(raw: bytes, version: Version) -> Message:
    """The message that a bridge sent to an agent of this version. Raises Malformed."""
    return _read(raw, _by_bridge, version, by_bridge=True)


def _read(raw: bytes, decoder: Decoder[Any], version: Version, by_bridge: bool) -> Message:
    try:
        # The decoder looks into the strings that it keeps only.
        str(raw, "utf-8")
    except UnicodeDecodeError as wrong:
        raise Unparseable(str(wrong)) from None
    if too_deep(raw):
        raise malformed(raw, f"Nested deeper than {DEEPEST}")
    try:
        try:
            message: Message = decoder.decode(raw)
        except ValidationError:
            if not is_error_form(raw):
                raise
            message = _error.decode(raw)
        message.check(version, by_bridge)
    except ValueError as wrong:
        raise malformed(raw, str(wrong)) from None
    return message


def encode(message: Message, receiver: Version) -> bytes:
    """The message in bytes, valid for the version of its receiver."""
    return _encoder.encode(message.suited(receiver))


def stamped[R: Request](request: R, desktop_agent: str) -> R:
    """The request with the name of the agent it came from in its source (R35), which is made where it has none (R36).

    Raises Malformed where an app would have to be named there.
    """
    source = request.meta.source
    if source is not None:
        at: Identifier = replace(source, desktop_agent=desktop_agent)
    elif isinstance(request, AppRequest):
        raise Malformed("Object missing required field `source` - at `$.meta`", request.type, request.meta.request_uuid)
    else:
        at = DesktopAgentIdentifier(desktop_agent=desktop_agent)
    return replace(request, meta=replace(request.meta, source=at))
