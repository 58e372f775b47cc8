"""The error strings that cross a bridge: which response may carry which, in which version.

What agents of 2.1 send is read as 2.2 is; what they are sent is what 2.1 knew.
"""

from bridge.protocol.versions import Version

_BRIDGING = {"AgentDisconnected", "MalformedMessage", "NotConnectedToBridge", "ResponseToBridgeTimedOut"}
_OPEN = {
    "ApiTimeout",
    "AppNotFound",
    "AppTimeout",
    "DesktopAgentNotFound",
    "ErrorOnLaunch",
    "MalformedContext",
    "ResolverUnavailable",
}
_RESOLVE = {
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
_RESULT = {"ApiTimeout", "IntentHandlerRejected", "NoResultReturned"}
_CHANNEL = {"AccessDenied", "ApiTimeout", "CreationFailed", "MalformedContext", "NoChannelFound"}

# What came after 2.2: which responses have it.
_ADDED_TO_OPEN = {"InvalidArguments"}
_ADDED_TO_RESOLVE = {"InvalidArguments", "IntentListenerConflict"}

_FINDING = (
    "findInstancesResponse",
    "findIntentResponse",
    "findIntentsByContextResponse",
    "getAppMetadataResponse",
    "raiseIntentResponse",
)
_OF_2_2 = {
    **dict.fromkeys(_FINDING, frozenset(_RESOLVE | _BRIDGING)),
    "openResponse": frozenset(_OPEN | _BRIDGING),
    "raiseIntentResultResponse": frozenset(_RESULT | _BRIDGING),
}
_OF_NEXT = {
    **dict.fromkeys(_FINDING, frozenset(_RESOLVE | _ADDED_TO_RESOLVE | _BRIDGING)),
    "openResponse": frozenset(_OPEN | _ADDED_TO_OPEN | _BRIDGING),
    "raiseIntentResultResponse": frozenset(_RESULT | _BRIDGING),
}
_ANY_OF_2_2 = frozenset(_BRIDGING | _OPEN | _RESOLVE | _RESULT | _CHANNEL)
_ANY_OF_NEXT = _ANY_OF_2_2 | _ADDED_TO_OPEN | _ADDED_TO_RESOLVE

# What tells an agent most nearly the same that does not know the word.
_BEFORE_NEXT = {"InvalidArguments": "MalformedMessage", "IntentListenerConflict": "IntentDeliveryFailed"}
_IN_2_1 = {**_BEFORE_NEXT, "ApiTimeout": "ResponseToBridgeTimedOut"}
_WORDS = {Version.V2_1: _IN_2_1, Version.V2_2: _BEFORE_NEXT, Version.NEXT: dict[str, str]()}


def known(version: Version) -> frozenset[str]:
    """What `meta.errorDetails` may hold."""
    return _ANY_OF_NEXT if version is Version.NEXT else _ANY_OF_2_2


def allowed(response: str, version: Version) -> frozenset[str]:
    """What `payload.error` may be; a type that is no response's has the generic error form, which takes any."""
    return (_OF_NEXT if version is Version.NEXT else _OF_2_2).get(response, known(version))


def in_words_of(receiver: Version, error: str) -> str:
    return _WORDS[receiver].get(error, error)
