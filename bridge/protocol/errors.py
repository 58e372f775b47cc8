"""The error strings that cross a bridge: which response may carry which, in which version."""

from bridge.protocol.versions import Version

BRIDGING = frozenset({"AgentDisconnected", "MalformedMessage", "NotConnectedToBridge", "ResponseToBridgeTimedOut"})
OPEN = frozenset(
    {
        "ApiTimeout",
        "AppNotFound",
        "AppTimeout",
        "DesktopAgentNotFound",
        "ErrorOnLaunch",
        "MalformedContext",
        "ResolverUnavailable",
    }
)
RESOLVE = frozenset(
    {
        "ApiTimeout",
        "DesktopAgentNotFound",
        "IntentDeliveryFailed",
        "MalformedContext",
        "NoAppsFound",
        "ResolverTimeout",
        "ResolverUnavailable",
        "TargetAppUnavailable",
        "TargetInstanceUnavailable",
        "UserCancelledResolution",
    }
)
RESULT = frozenset({"ApiTimeout", "IntentHandlerRejected", "NoResultReturned"})
CHANNEL = frozenset({"AccessDenied", "ApiTimeout", "CreationFailed", "MalformedContext", "NoChannelFound"})
ANY = BRIDGING | OPEN | RESOLVE | RESULT | CHANNEL

_OF_RESPONSE = {
    "findInstancesResponse": RESOLVE | BRIDGING,
    "findIntentResponse": RESOLVE | BRIDGING,
    "findIntentsByContextResponse": RESOLVE | BRIDGING,
    "getAppMetadataResponse": RESOLVE | BRIDGING,
    "openResponse": OPEN | BRIDGING,
    "raiseIntentResponse": RESOLVE | BRIDGING,
    "raiseIntentResultResponse": RESULT | BRIDGING,
}
# What FDC3 after 2.2 added, and what tells an older agent most nearly the same.
_ADDED = {"InvalidArguments": "MalformedMessage", "IntentListenerConflict": "IntentDeliveryFailed"}


def _with_added(known: frozenset[str]) -> frozenset[str]:
    if known == RESULT | BRIDGING:
        return known
    if known == OPEN | BRIDGING:
        return known | {"InvalidArguments"}
    return known | set(_ADDED)


_ALLOWED = {
    Version.V2_1: _OF_RESPONSE,
    Version.V2_2: _OF_RESPONSE,
    Version.NEXT: {type: _with_added(known) for type, known in _OF_RESPONSE.items()},
}
_ANY = {Version.V2_1: ANY, Version.V2_2: ANY, Version.NEXT: ANY | set(_ADDED)}


def allowed(type: str, version: Version) -> frozenset[str]:
    """The strings that `payload.error` of a response of this type may be; any for the generic error of another type."""
    return _ALLOWED[version].get(type, _ANY[version])


def known(version: Version) -> frozenset[str]:
    """The strings that `meta.errorDetails` may hold."""
    return _ANY[version]


def in_words_of(version: Version, error: str) -> str:
    """The error as an agent of this version can read it."""
    return error if error in _ANY[version] else _ADDED.get(error, "MalformedMessage")
