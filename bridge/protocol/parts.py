"""What the messages of the bridging protocol are made of: contexts, who is who, what is said of apps and agents."""

from datetime import datetime
from enum import Enum
from typing import Annotated, Self

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, convert, field
from msgspec.json import Decoder
from msgspec.structs import force_setattr, replace

from bridge.protocol.versions import Version, version_of

# Whatever is kept in memory beyond its message is bounded; the whole message is, by whoever reads the socket.
LONGEST_NAME = 1024

Name = Annotated[str, Meta(max_length=LONGEST_NAME)]


class Part(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, forbid_unknown_fields=True):
    """A closed object. An optional key is None where it is absent, and `null` is read as absent."""


class _Object(Struct, frozen=True):
    pass


class _Context(Struct):
    type: str
    name: str = ""
    id: _Object = _Object()


_NULL = Raw(b"null")
_context = Decoder(_Context)


def context_type(context: Raw) -> str:
    return _context.decode(context).type


def check_context(context: Raw | UnsetType) -> None:
    if context is not UNSET:
        _context.decode(context)


def take_null_as_absent(struct: Struct, name: str) -> None:
    """What `X | None` does of itself for all but `Raw`."""
    if getattr(struct, name) == _NULL:
        force_setattr(struct, name, UNSET)


ChannelsState = dict[Name, list[Raw]]


def check_channels(state: ChannelsState | None) -> None:
    for contexts in (state or {}).values():
        for context in contexts:
            _context.decode(context)


def check_timestamp(text: str) -> None:
    """RFC 3339, of which the parser alone is too tolerant: a T between date and time, an offset with its colon."""
    convert(text, datetime)
    if not (text[10] in "Tt" and (text[-1] in "Zz" or text[-6] in "+-")):
        raise ValueError("Invalid RFC3339 encoded datetime")


class Identifier(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Who sent a request or shall receive it: an app, or a desktop agent itself. Keys unknown here are not relayed."""

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


class OptionalFeatures(Part, frozen=True, kw_only=True):
    user_channel_membership_apis: bool = field(name="UserChannelMembershipAPIs")
    desktop_agent_bridging: bool = field(name="DesktopAgentBridging")
    # Required until 2.2, gone afterwards.
    originating_app_metadata: bool | None = field(name="OriginatingAppMetadata", default=None)

    def check(self, version: Version | None) -> None:
        if (self.originating_app_metadata is None) is not (version is Version.NEXT):
            raise ValueError("`OriginatingAppMetadata` is required until FDC3 2.2 and gone afterwards")


class ImplementationMetadata(Part, frozen=True, kw_only=True):
    fdc3_version: Name
    provider: Name
    provider_version: Name | None = None
    optional_features: OptionalFeatures

    @property
    def version(self) -> Version | None:
        return version_of(self.fdc3_version)

    def suited(self, receiver: Version) -> Self:
        features = self.optional_features
        known = None if receiver is Version.NEXT else bool(features.originating_app_metadata)
        if features.originating_app_metadata is known:
            return self
        return replace(self, optional_features=replace(features, originating_app_metadata=known))


class DesktopAgentImplementationMetadata(ImplementationMetadata, frozen=True, kw_only=True):
    """An entry of the roster."""

    desktop_agent: Name


class Icon(Part, frozen=True, kw_only=True):
    src: str
    size: str | None = None
    type: str | None = None


class Image(Icon, frozen=True, kw_only=True):
    label: str | None = None


class AppMetadata(Part, frozen=True, kw_only=True):
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
    # The schemas give `null` a place of its own here.
    result_type: str | UnsetType | None = UNSET


class IntentMetadata(Part, frozen=True, kw_only=True):
    name: str
    display_name: str | None = None


class AppIntent(Part, frozen=True, kw_only=True):
    intent: IntentMetadata
    apps: list[AppMetadata]

    def suited(self, receiver: Version) -> Self:
        if receiver is not Version.V2_1 or self.intent.display_name is not None:
            return self
        # Required in 2.1.
        return replace(self, intent=replace(self.intent, display_name=self.intent.name))


class IntentResolution(Part, frozen=True, kw_only=True):
    intent: str
    source: AppIdentifier
    # In 2.1 only.
    version: str | None = None


class DisplayMetadata(Part, frozen=True, kw_only=True):
    name: str | None = None
    color: str | None = None
    glyph: str | None = None


class ChannelType(Enum):
    APP = "app"
    PRIVATE = "private"
    USER = "user"


class Channel(Part, frozen=True, kw_only=True):
    id: Name
    type: ChannelType
    display_metadata: DisplayMetadata | None = None


class DetachedSignature(Part, frozen=True, kw_only=True):
    protected: str
    signature: str


class AntiReplay(Part, frozen=True, kw_only=True):
    iat: int | float
    exp: int | float
    jti: str


class AppProvidableContextMetadata(Part, frozen=True, kw_only=True):
    """What an app may say of the context that it sends, after 2.2."""

    trace_id: str | None = None
    custom: dict[str, Raw] | None = None
    signature: DetachedSignature | None = None
    anti_replay: AntiReplay | None = None


class ContextMetadata(AppProvidableContextMetadata, frozen=True, kw_only=True):
    source: AppIdentifier
    timestamp: str
    trace_id: str

    def __post_init__(self) -> None:
        check_timestamp(self.timestamp)


class IntentResult(Part, frozen=True, kw_only=True):
    """A context, a channel, or (both absent) nothing."""

    context: Raw | UnsetType = UNSET
    channel: Channel | None = None

    def __post_init__(self) -> None:
        take_null_as_absent(self, "context")
        check_context(self.context)
        if self.context is not UNSET and self.channel is not None:
            raise ValueError("Is a context and a channel at once")


class ListenerType(Enum):
    ADD_CONTEXT_LISTENER = "addContextListener"
    UNSUBSCRIBE = "unsubscribe"
    DISCONNECT = "disconnect"

    @classmethod
    def _missing_(cls, value: object) -> "ListenerType | None":
        """The names of 2.1, which the documents of later versions still show in their examples."""
        return _OF_2_1.get(str(value))

    def in_words_of(self, receiver: Version) -> str:
        return _IN_2_1[self] if receiver is Version.V2_1 else str(self.value)


_OF_2_1 = {
    "onAddContextListener": ListenerType.ADD_CONTEXT_LISTENER,
    "onUnsubscribe": ListenerType.UNSUBSCRIBE,
    "onDisconnect": ListenerType.DISCONNECT,
}
_IN_2_1 = {listener: name for name, listener in _OF_2_1.items()}
