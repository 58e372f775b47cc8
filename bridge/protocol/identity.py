"""Who is meant: the name of the host put into every app that an agent tells of (R39).

Requests name their targets themselves and are left alone, but for their source (`messages.stamped`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec.structs import replace

from bridge.protocol.messages import (
    AppIdentifier,
    AppIntent,
    FindInstancesAnswer,
    FindIntentAnswer,
    FindIntentsByContextAnswer,
    GetAppMetadataAnswer,
    Identifier,
    OpenAnswer,
    RaiseIntentAnswer,
)


class AppKey(NamedTuple):
    """One app on one agent; without an instance id where its agent gives none."""

    app_id: str
    instance_id: str | None
    desktop_agent: str

    def may_be(self, other: "AppKey") -> bool:
        """Whether one of the two may be the other, where an instance id is missing."""
        return (
            self.app_id == other.app_id
            and self.desktop_agent == other.desktop_agent
            and (self.instance_id == other.instance_id or self.instance_id is None or other.instance_id is None)
        )

    def identifier(self) -> AppIdentifier:
        return AppIdentifier(app_id=self.app_id, instance_id=self.instance_id, desktop_agent=self.desktop_agent)


def app_of(identifier: Identifier, agent: str) -> AppKey:
    """The app that an agent calls this."""
    return AppKey(identifier.app_id or "", identifier.instance_id, agent)


def hosted(answer: Any, agent: str) -> Any:
    """The payload of a response, each app in it being one of this agent's."""
    stamp = _STAMPS.get(type(answer))
    return answer if stamp is None else stamp(answer, agent)


def _all_hosted[App](apps: list[App], agent: str) -> list[App]:
    return [replace(app, desktop_agent=agent) for app in apps]  # type: ignore[type-var]


def _intent_hosted(intent: AppIntent, agent: str) -> AppIntent:
    return replace(intent, apps=_all_hosted(intent.apps, agent))


def _find_intent(answer: FindIntentAnswer, agent: str) -> FindIntentAnswer:
    return FindIntentAnswer(app_intent=_intent_hosted(answer.app_intent, agent))


def _find_intents_by_context(answer: FindIntentsByContextAnswer, agent: str) -> FindIntentsByContextAnswer:
    return FindIntentsByContextAnswer(app_intents=[_intent_hosted(each, agent) for each in answer.app_intents])


def _find_instances(answer: FindInstancesAnswer, agent: str) -> FindInstancesAnswer:
    return FindInstancesAnswer(app_identifiers=_all_hosted(answer.app_identifiers, agent))


def _get_app_metadata(answer: GetAppMetadataAnswer, agent: str) -> GetAppMetadataAnswer:
    return GetAppMetadataAnswer(app_metadata=replace(answer.app_metadata, desktop_agent=agent))


def _open(answer: OpenAnswer, agent: str) -> OpenAnswer:
    return OpenAnswer(app_identifier=replace(answer.app_identifier, desktop_agent=agent))


def _raise_intent(answer: RaiseIntentAnswer, agent: str) -> RaiseIntentAnswer:
    source = replace(answer.intent_resolution.source, desktop_agent=agent)
    return RaiseIntentAnswer(intent_resolution=replace(answer.intent_resolution, source=source))


# An IntentResult tells of no app.
_STAMPS: dict[type, Callable[[Any, str], Any]] = {
    FindIntentAnswer: _find_intent,
    FindIntentsByContextAnswer: _find_intents_by_context,
    FindInstancesAnswer: _find_instances,
    GetAppMetadataAnswer: _get_app_metadata,
    OpenAnswer: _open,
    RaiseIntentAnswer: _raise_intent,
}
