"""Every message of the FDC3 bridging protocol: typed, parsed and validated in one step, made valid for its receiver.

One class serves all versions and both directions; where those differ, `from_agent` and `from_bridge` look again at
what they have read, and `encode` says it in the receiver's words. A context stays the bytes that came (`msgspec.Raw`),
once it is known to be one. Where we judge otherwise than the published schemas do, docs/bridge.md says so.

The bytes of a context are a view into the whole message: keep `context.copy()` where it outlives the message.
"""

import re
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Annotated, Any

from msgspec import UNSET, DecodeError, Meta, Raw, Struct, UnsetType, ValidationError, convert, field
from msgspec.json import Decoder, Encoder
from msgspec.structs import force_setattr, replace

from bridge.protocol import errors
from bridge.protocol.versions import Version, version_of

# Whatever is kept in memory beyond its message is bounded here; the whole message, by whoever reads the socket.
LONGEST_NAME = 1024
DEEPEST = 64

Name = Annotated[str, Meta(max_length=LONGEST_NAME)]


class Malformed(Exception):
    """No valid message. Carries what could still be read of its envelope, to answer it by (R54, R55)."""

    def __init__(
        self, why: str, type: str | None = None, request_uuid: str | None = None, response_uuid: str | None = None
    ) -> None:
        super().__init__(why)
        self.why = why
        self.type = type
        self.request_uuid = request_uuid
        self.response_uuid = response_uuid


class Unparseable(Malformed):
    """Not even JSON in UTF-8: nothing can be read of it."""


class _Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """A closed object. An optional key is None where it is absent, and `null` is read as absent."""


class _Open(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An object that may hold keys that we do not know; they are not relayed."""


# --- Contexts


class _Object(Struct, frozen=True, kw_only=True):
    pass


class _Context(Struct):
    type: str
    name: str = ""
    id: _Object = _Object()


_context = Decoder(_Context)


def context_type(context: Raw) -> str:
    return _context.decode(context).type


def _check_context(context: Raw | UnsetType) -> None:
    if context is not UNSET:
        _context.decode(context)


def _without_null(struct: Struct, name: str) -> None:
    if bytes(getattr(struct, name) or b"") == b"null":
        force_setattr(struct, name, UNSET)


ChannelsState = dict[Name, list[Raw]]


def _check_channels(state: ChannelsState | None) -> None:
    for contexts in (state or {}).values():
        for context in contexts:
            _context.decode(context)


# --- Identities


class Identifier(_Open, frozen=True, kw_only=True):
    """Who sent a request or shall receive it: an app, or a desktop agent itself."""

    app_id: Name | None = None
    instance_id: Name | None = None
    desktop_agent: Name | None = None

    def __post_init__(self) -> None:
        if self.app_id is None and self.desktop_agent is None:
            raise ValueError("Names neither an app nor a desktop agent")


class AppIdentifier(Identifier, frozen=True, kw_only=True):
    app_id: Name


class DesktopAgentIdentifier(Identifier, frozen=True, kw_only=True):
    desktop_agent: Name


class AppDestination(AppIdentifier, frozen=True, kw_only=True):
    """An app on a remote desktop agent."""

    desktop_agent: Name


# --- Metadata


class OptionalFeatures(_Part, frozen=True, kw_only=True):
    user_channel_membership_apis: bool = field(name="UserChannelMembershipAPIs")
    desktop_agent_bridging: bool = field(name="DesktopAgentBridging")
    # Until 2.2 required, afterwards gone.
    originating_app_metadata: bool | None = field(name="OriginatingAppMetadata", default=None)


class ImplementationMetadata(_Part, frozen=True, kw_only=True):
    fdc3_version: Name
    provider: Name
    provider_version: Name | None = None
    optional_features: OptionalFeatures


class DesktopAgentImplementationMetadata(ImplementationMetadata, frozen=True, kw_only=True):
    """An entry of the roster."""

    desktop_agent: Name


class Icon(_Part, frozen=True, kw_only=True):
    src: str
    size: str | None = None
    type: str | None = None


class Image(Icon, frozen=True, kw_only=True):
    label: str | None = None


class AppMetadata(_Part, frozen=True, kw_only=True):
    app_id: Name
    instance_id: Name | None = None
    desktop_agent: Name | None = None
    name: str | None = None
    version: str | None = None
    instance_metadata: dict[str, Raw] | None = None
    title: str | None = None
    tooltip: str | None = None
    description: str | None = None
    icons: list[Icon] | None = None
    screenshots: list[Image] | None = None
    result_type: str | UnsetType | None = UNSET  # null means something here


class IntentMetadata(_Part, frozen=True, kw_only=True):
    name: str
    display_name: str | None = None


class AppIntent(_Part, frozen=True, kw_only=True):
    intent: IntentMetadata
    apps: list[AppMetadata]


class IntentResolution(_Part, frozen=True, kw_only=True):
    intent: str
    source: AppIdentifier


class DisplayMetadata(_Part, frozen=True, kw_only=True):
    name: str | None = None
    color: str | None = None
    glyph: str | None = None


class ChannelType(Enum):
    APP = "app"
    PRIVATE = "private"
    USER = "user"


class Channel(_Part, frozen=True, kw_only=True):
    id: Name
    type: ChannelType
    display_metadata: DisplayMetadata | None = None


class DetachedSignature(_Part, frozen=True, kw_only=True):
    protected: str
    signature: str


class AntiReplay(_Part, frozen=True, kw_only=True):
    iat: int | float
    exp: int | float
    jti: str


class AppProvidableContextMetadata(_Part, frozen=True, kw_only=True):
    """What an app may say of the context that it sends (after 2.2)."""

    trace_id: str | None = None
    custom: dict[str, Raw] | None = None
    signature: DetachedSignature | None = None
    anti_replay: AntiReplay | None = None


class ContextMetadata(AppProvidableContextMetadata, frozen=True, kw_only=True):
    source: AppIdentifier
    timestamp: str
    trace_id: str

    def __post_init__(self) -> None:
        _check_timestamp(self.timestamp)


class IntentResult(_Part, frozen=True, kw_only=True):
    """A context, a channel, or (both absent) nothing."""

    context: Raw | UnsetType = UNSET
    channel: Channel | None = None

    def __post_init__(self) -> None:
        _without_null(self, "context")
        _check_context(self.context)
        if self.context is not UNSET and self.channel is not None:
            raise ValueError("Is a context and a channel at once")


class ListenerType(Enum):
    ADD_CONTEXT_LISTENER = "addContextListener"
    UNSUBSCRIBE = "unsubscribe"
    DISCONNECT = "disconnect"

    @classmethod
    def _missing_(cls, value: object) -> "ListenerType | None":
        """The names of 2.1, which the documents of later versions still show in their examples."""
        return _LISTENERS_OF_2_1.get(str(value))


_IN_2_1 = {
    ListenerType.ADD_CONTEXT_LISTENER: "onAddContextListener",
    ListenerType.UNSUBSCRIBE: "onUnsubscribe",
    ListenerType.DISCONNECT: "onDisconnect",
}
_LISTENERS_OF_2_1 = {name: listener for listener, name in _IN_2_1.items()}


# --- Meta


def _check_timestamp(text: str) -> None:
    """RFC 3339 as the validators of our receivers read it: a capital T, a zone, `Z` or an offset with its colon."""
    convert(text, datetime)
    if not (text[10] == "T" and (text[-1] == "Z" or text[-6] in "+-")):
        raise ValueError("Invalid RFC3339 encoded datetime")


class _Meta(_Part, frozen=True, kw_only=True):
    timestamp: str

    def __post_init__(self) -> None:
        _check_timestamp(self.timestamp)


class HelloMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: None = None
    response_uuid: None = None


class RequestMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: Name
    response_uuid: None = None
    source: Identifier | None = None
    destination: Identifier | None = None


class HandshakeMeta(RequestMeta, frozen=True, kw_only=True):
    source: None = None
    destination: None = None


class BroadcastMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier
    destination: None = None


class FindIntentMeta(RequestMeta, frozen=True, kw_only=True):
    destination: DesktopAgentIdentifier | None = None


class FindIntentsByContextMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier | None = None
    destination: DesktopAgentIdentifier | None = None


class OpenMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier
    destination: DesktopAgentIdentifier | None = None


class RaiseIntentMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier
    destination: AppDestination


class PrivateChannelMeta(RequestMeta, frozen=True, kw_only=True):
    source: AppIdentifier | None = None
    destination: AppDestination | None = None


class ResponseMeta(_Meta, frozen=True, kw_only=True):
    """Of an answer. The three lists are the bridge's: an agent's answer has none of them."""

    request_uuid: Name
    response_uuid: Name
    source: None = None
    destination: None = None
    sources: list[DesktopAgentIdentifier] | None = None
    error_sources: list[DesktopAgentIdentifier] | None = None
    error_details: list[str] | None = None


class ConnectionMeta(_Meta, frozen=True, kw_only=True):
    request_uuid: Name
    response_uuid: Name


# --- Messages


class _Message(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    omit_defaults=True,
    forbid_unknown_fields=True,
    tag_field="type",
):
    @property
    def type(self) -> str:
        return str(self.__struct_config__.tag)


class Request(_Message, frozen=True, kw_only=True):
    meta: RequestMeta


class Response(_Message, frozen=True, kw_only=True):
    meta: ResponseMeta


# Connection


class HelloPayload(_Part, frozen=True, kw_only=True):
    desktop_agent_bridge_version: str
    supported_fdc3_versions: list[str] = field(name="supportedFDC3Versions")
    auth_required: bool
    auth_token: str | None = None


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    payload: HelloPayload
    meta: HelloMeta


class HandshakePayload(_Part, frozen=True, kw_only=True):
    implementation_metadata: ImplementationMetadata
    requested_name: Name
    channels_state: ChannelsState
    auth_token: str | None = None

    def __post_init__(self) -> None:
        _check_channels(self.channels_state)


class Handshake(_Message, frozen=True, kw_only=True, tag="handshake"):
    payload: HandshakePayload
    meta: HandshakeMeta


class AuthenticationFailedPayload(_Part, frozen=True, kw_only=True):
    message: str | None = None


class AuthenticationFailed(_Message, frozen=True, kw_only=True, tag="authenticationFailed"):
    payload: AuthenticationFailedPayload
    meta: ConnectionMeta


class ConnectedAgentsUpdatePayload(_Part, frozen=True, kw_only=True):
    all_agents: list[DesktopAgentImplementationMetadata]
    add_agent: Name | None = None
    remove_agent: Name | None = None
    channels_state: ChannelsState | None = None

    def __post_init__(self) -> None:
        _check_channels(self.channels_state)


class ConnectedAgentsUpdate(_Message, frozen=True, kw_only=True, tag="connectedAgentsUpdate"):
    payload: ConnectedAgentsUpdatePayload
    meta: ConnectionMeta


# Broadcast


class BroadcastPayload(_Part, frozen=True, kw_only=True):
    channel_id: Name
    context: Raw
    metadata: AppProvidableContextMetadata | None = None

    def __post_init__(self) -> None:
        _check_context(self.context)


class BroadcastRequest(Request, frozen=True, kw_only=True, tag="broadcastRequest"):
    payload: BroadcastPayload
    meta: BroadcastMeta


# Finding


class FindIntentPayload(_Part, frozen=True, kw_only=True):
    intent: str
    context: Raw | UnsetType = UNSET
    result_type: str | None = None

    def __post_init__(self) -> None:
        _without_null(self, "context")
        _check_context(self.context)


class FindIntentRequest(Request, frozen=True, kw_only=True, tag="findIntentRequest"):
    payload: FindIntentPayload
    meta: FindIntentMeta


class FindIntentAnswer(_Part, frozen=True, kw_only=True):
    app_intent: AppIntent


class FindIntentResponse(Response, frozen=True, kw_only=True, tag="findIntentResponse"):
    payload: FindIntentAnswer
    meta: ResponseMeta


class FindIntentsByContextPayload(_Part, frozen=True, kw_only=True):
    context: Raw
    result_type: str | None = None

    def __post_init__(self) -> None:
        _check_context(self.context)


class FindIntentsByContextRequest(Request, frozen=True, kw_only=True, tag="findIntentsByContextRequest"):
    payload: FindIntentsByContextPayload
    meta: FindIntentsByContextMeta


class FindIntentsByContextAnswer(_Part, frozen=True, kw_only=True):
    app_intents: list[AppIntent]


class FindIntentsByContextResponse(Response, frozen=True, kw_only=True, tag="findIntentsByContextResponse"):
    payload: FindIntentsByContextAnswer
    meta: ResponseMeta


class FindInstancesPayload(_Part, frozen=True, kw_only=True):
    app: AppIdentifier


class FindInstancesRequest(Request, frozen=True, kw_only=True, tag="findInstancesRequest"):
    payload: FindInstancesPayload
    meta: FindIntentMeta


class FindInstancesAnswer(_Part, frozen=True, kw_only=True):
    app_identifiers: list[AppMetadata]


class FindInstancesResponse(Response, frozen=True, kw_only=True, tag="findInstancesResponse"):
    payload: FindInstancesAnswer
    meta: ResponseMeta


class GetAppMetadataPayload(_Part, frozen=True, kw_only=True):
    app: AppDestination


class GetAppMetadataRequest(Request, frozen=True, kw_only=True, tag="getAppMetadataRequest"):
    payload: GetAppMetadataPayload
    meta: FindIntentMeta


class GetAppMetadataAnswer(_Part, frozen=True, kw_only=True):
    app_metadata: AppMetadata


class GetAppMetadataResponse(Response, frozen=True, kw_only=True, tag="getAppMetadataResponse"):
    payload: GetAppMetadataAnswer
    meta: ResponseMeta


# Starting


class OpenPayload(_Part, frozen=True, kw_only=True):
    app: AppDestination
    context: Raw | UnsetType = UNSET

    def __post_init__(self) -> None:
        _without_null(self, "context")
        _check_context(self.context)


class OpenRequest(Request, frozen=True, kw_only=True, tag="openRequest"):
    payload: OpenPayload
    meta: OpenMeta


class OpenAnswer(_Part, frozen=True, kw_only=True):
    app_identifier: AppIdentifier


class OpenResponse(Response, frozen=True, kw_only=True, tag="openResponse"):
    payload: OpenAnswer
    meta: ResponseMeta


class RaiseIntentPayload(_Part, frozen=True, kw_only=True):
    intent: str
    context: Raw
    app: AppDestination

    def __post_init__(self) -> None:
        _check_context(self.context)


class RaiseIntentRequest(Request, frozen=True, kw_only=True, tag="raiseIntentRequest"):
    payload: RaiseIntentPayload
    meta: RaiseIntentMeta


class RaiseIntentAnswer(_Part, frozen=True, kw_only=True):
    intent_resolution: IntentResolution


class RaiseIntentResponse(Response, frozen=True, kw_only=True, tag="raiseIntentResponse"):
    payload: RaiseIntentAnswer
    meta: ResponseMeta


class RaiseIntentResultAnswer(_Part, frozen=True, kw_only=True):
    intent_result: IntentResult
    result_metadata: ContextMetadata | None = None


class RaiseIntentResultResponse(Response, frozen=True, kw_only=True, tag="raiseIntentResultResponse"):
    payload: RaiseIntentResultAnswer
    meta: ResponseMeta


# Private channels


class ChannelPayload(_Part, frozen=True, kw_only=True):
    channel_id: Name


class PrivateChannelRequest(Request, frozen=True, kw_only=True):
    payload: ChannelPayload
    meta: PrivateChannelMeta


class PrivateChannelBroadcastPayload(ChannelPayload, frozen=True, kw_only=True):
    context: Raw

    def __post_init__(self) -> None:
        _check_context(self.context)


class PrivateChannelBroadcast(PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.broadcast"):
    payload: PrivateChannelBroadcastPayload


class EventListenerPayload(ChannelPayload, frozen=True, kw_only=True):
    listener_type: ListenerType


class PrivateChannelEventListenerAdded(
    PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.eventListenerAdded"
):
    payload: EventListenerPayload


class PrivateChannelEventListenerRemoved(
    PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.eventListenerRemoved"
):
    payload: EventListenerPayload


class ContextListenerPayload(ChannelPayload, frozen=True, kw_only=True):
    """`context_type` None: of every type."""

    context_type: Name | None


class PrivateChannelOnAddContextListener(
    PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.onAddContextListener"
):
    payload: ContextListenerPayload


class PrivateChannelOnUnsubscribe(PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.onUnsubscribe"):
    payload: ContextListenerPayload


class PrivateChannelOnDisconnect(PrivateChannelRequest, frozen=True, kw_only=True, tag="PrivateChannel.onDisconnect"):
    pass


# Errors


class ErrorPayload(_Part, frozen=True, kw_only=True):
    error: str


class ErrorResponse(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """The error form of every response; from a bridge also of a request that has no response (R54)."""

    type: Name
    payload: ErrorPayload
    meta: ResponseMeta


AgentMessage = (
    Handshake
    | BroadcastRequest
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
BridgeMessage = (
    Hello
    | AuthenticationFailed
    | ConnectedAgentsUpdate
    | BroadcastRequest
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
Message = AgentMessage | BridgeMessage | ErrorResponse

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

_agent_message: Decoder[Any] = Decoder(AgentMessage)
_bridge_message: Decoder[Any] = Decoder(BridgeMessage)
_error_response = Decoder(ErrorResponse)


def from_agent(raw: bytes, version: Version) -> Any:
    """The message that an agent of this version sent. A handshake is judged by the version that it states itself."""
    return _read(raw, _agent_message, _check_from_agent, version)


def from_bridge(raw: bytes, version: Version) -> Any:
    """The message that a bridge sent to an agent of this version."""
    return _read(raw, _bridge_message, _check_from_bridge, version)


def _read(raw: bytes, decoder: Decoder[Any], check: Callable[[Any, Version], None], version: Version) -> Any:
    try:
        str(raw, "utf-8")
    except UnicodeDecodeError as wrong:
        raise Unparseable(str(wrong)) from None
    if raw.count(b"{") + raw.count(b"[") > DEEPEST and _too_deep(raw):
        raise _malformed(raw, f"Nested deeper than {DEEPEST}")
    try:
        try:
            message = decoder.decode(raw)
        except ValidationError:
            if not _is_error_form(raw):
                raise
            message = _error_response.decode(raw)
        check(message, version)
    except (ValidationError, ValueError) as wrong:
        raise _malformed(raw, str(wrong)) from None
    return message


def _check_from_agent(message: Any, version: Version) -> None:
    if isinstance(message, Handshake):
        said = message.payload.implementation_metadata
        _check_features(said.optional_features, version_of(said.fdc3_version))
        return
    if isinstance(message, (Response, ErrorResponse)):
        meta = message.meta
        if (meta.sources, meta.error_sources, meta.error_details) != (None, None, None):
            raise ValueError("An agent's answer names no sources and no errors of others - at `$.meta`")
        if isinstance(message, ErrorResponse) and message.type not in RESPONSES:
            raise ValueError(f"Invalid value {message.type!r} - at `$.type`")
    _check_version(message, version)


def _check_from_bridge(message: Any, version: Version) -> None:
    if isinstance(message, Request):
        if message.meta.source is None or message.meta.source.desktop_agent is None:
            raise ValueError("Object missing required field `desktopAgent` - at `$.meta.source`")
    elif isinstance(message, ErrorResponse):
        if message.meta.error_sources is None or message.meta.error_details is None:
            raise ValueError("Object missing required fields `errorSources`, `errorDetails` - at `$.meta`")
        if message.meta.sources is not None:
            raise ValueError("Object contains unknown field `sources` - at `$.meta`")
    elif isinstance(message, ConnectedAgentsUpdate):
        for agent in message.payload.all_agents:
            _check_features(agent.optional_features, version)
    _check_version(message, version)


def _check_version(message: Any, version: Version) -> None:
    if isinstance(message, BroadcastRequest):
        if message.payload.metadata is not None and version is not Version.NEXT:
            raise ValueError("Object contains unknown field `metadata` - at `$.payload`")
    elif isinstance(message, RaiseIntentResultResponse):
        if message.payload.result_metadata is not None and version is not Version.NEXT:
            raise ValueError("Object contains unknown field `resultMetadata` - at `$.payload`")
    elif isinstance(message, ErrorResponse) and message.payload.error not in errors.allowed(message.type, version):
        raise ValueError(f"Invalid value {message.payload.error!r} - at `$.payload.error`")
    if isinstance(message, (Response, ErrorResponse)):
        for detail in message.meta.error_details or ():
            if detail not in errors.known(version):
                raise ValueError(f"Invalid value {detail!r} - at `$.meta.errorDetails[...]`")


def _check_features(features: OptionalFeatures, version: Version | None) -> None:
    if (features.originating_app_metadata is None) is not (version is Version.NEXT):
        raise ValueError("`OriginatingAppMetadata` is required until FDC3 2.2 and gone afterwards")


# --- What can still be read of a message that is no valid one


class _Head(Struct):
    type: Raw = Raw()
    payload: Raw = Raw()
    meta: Raw = Raw()


class _HeadMeta(Struct, rename="camel"):
    request_uuid: Raw = Raw()
    response_uuid: Raw = Raw()


class _HeadPayload(Struct):
    error: Raw = Raw()


_head = Decoder(_Head)
_head_meta = Decoder(_HeadMeta)
_head_payload = Decoder(_HeadPayload)
_name = Decoder(Name)


def _is_error_form(raw: bytes) -> bool:
    """Success and error share a type: only a string `payload.error` tells them apart."""
    try:
        return bytes(_head_payload.decode(_head.decode(raw).payload).error).startswith(b'"')
    except DecodeError:
        return False


def _malformed(raw: bytes, why: str) -> Malformed:
    try:
        head = _head.decode(raw)
    except ValidationError:
        return Malformed(why)
    except (DecodeError, RecursionError) as wrong:
        return Unparseable(str(wrong))
    try:
        meta = _head_meta.decode(head.meta)
    except DecodeError:
        meta = _HeadMeta()
    return Malformed(why, _text(head.type), _text(meta.request_uuid), _text(meta.response_uuid))


def _text(raw: Raw) -> str | None:
    try:
        return _name.decode(raw)
    except DecodeError:
        return None


_strings = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_all_but_braces = bytes(byte for byte in range(256) if byte not in b"{}[]")
_to_braces = bytes.maketrans(b"[]", b"{}")


def _too_deep(raw: bytes) -> bool:
    """Takes off the innermost pairs, all at once, as often as is allowed: no recursion, and each round is one scan."""
    braces = _strings.sub(b"", raw).translate(_to_braces, _all_but_braces)
    for _ in range(DEEPEST):
        braces = braces.replace(b"{}", b"")
    return bool(braces)


# --- Out


_encoder = Encoder()


def encode(message: Message, receiver: Version) -> bytes:
    """The message as the receiver's version has it."""
    rewrite = _REWRITES.get(type(message))
    return _encoder.encode(message if rewrite is None else rewrite(message, receiver))


def _roster_for(message: Any, receiver: Version) -> Any:
    agents = [
        replace(agent, optional_features=_features_for(agent.optional_features, receiver))
        for agent in message.payload.all_agents
    ]
    return replace(message, payload=replace(message.payload, all_agents=agents))


def _handshake_for(message: Any, receiver: Version) -> Any:
    said = message.payload.implementation_metadata
    said = replace(said, optional_features=_features_for(said.optional_features, receiver))
    return replace(message, payload=replace(message.payload, implementation_metadata=said))


def _features_for(features: OptionalFeatures, receiver: Version) -> OptionalFeatures:
    if receiver is Version.NEXT:
        return replace(features, originating_app_metadata=None)
    return replace(features, originating_app_metadata=bool(features.originating_app_metadata))


def _broadcast_for(message: Any, receiver: Version) -> Any:
    if receiver is Version.NEXT:
        # Required by the schemas of this version, if only as an empty object.
        metadata = message.payload.metadata or AppProvidableContextMetadata()
        return replace(message, payload=replace(message.payload, metadata=metadata))
    if message.payload.metadata is None:
        return message
    return replace(message, payload=replace(message.payload, metadata=None))


def _listener_for(message: Any, receiver: Version) -> Any:
    if receiver is not Version.V2_1:
        return message
    return replace(message, payload=replace(message.payload, listener_type=_IN_2_1[message.payload.listener_type]))


def _response_for(message: Any, receiver: Version) -> Any:
    if not message.meta.error_details:
        return message
    details = [errors.in_words_of(receiver, detail) for detail in message.meta.error_details]
    return replace(message, meta=replace(message.meta, error_details=details))


def _result_for(message: Any, receiver: Version) -> Any:
    if message.payload.result_metadata is not None and receiver is not Version.NEXT:
        message = replace(message, payload=replace(message.payload, result_metadata=None))
    return _response_for(message, receiver)


def _error_for(message: Any, receiver: Version) -> Any:
    error = errors.in_words_of(receiver, message.payload.error)
    return _response_for(replace(message, payload=ErrorPayload(error=error)), receiver)


_REWRITES: dict[Any, Callable[[Any, Version], Any]] = {
    Handshake: _handshake_for,
    ConnectedAgentsUpdate: _roster_for,
    BroadcastRequest: _broadcast_for,
    PrivateChannelEventListenerAdded: _listener_for,
    PrivateChannelEventListenerRemoved: _listener_for,
    FindIntentResponse: _response_for,
    FindIntentsByContextResponse: _response_for,
    FindInstancesResponse: _response_for,
    GetAppMetadataResponse: _response_for,
    OpenResponse: _response_for,
    RaiseIntentResponse: _response_for,
    RaiseIntentResultResponse: _result_for,
    ErrorResponse: _error_for,
}


# --- Stamping


def stamped(request: Any, desktop_agent: str) -> Any:
    """The request with the name of the connection it came over as `meta.source.desktopAgent` (R35, R36)."""
    meta = request.meta
    if meta.source is None:
        source: Identifier = DesktopAgentIdentifier(desktop_agent=desktop_agent)
    else:
        source = replace(meta.source, desktop_agent=desktop_agent)
    return replace(request, meta=replace(meta, source=source))
