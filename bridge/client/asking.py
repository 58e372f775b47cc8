"""What an app asks of other apps: of those beside it, and, over the bridge, of those of other agents.

A target that names another agent is looked for there and nowhere else; one that names none is an app of this agent
(R37). Only what names no target is asked of everyone, and what this agent knows itself comes first (R59).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from bridge.client import contexts
from bridge.client.askers import AppHere
from bridge.client.channels import Channels
from bridge.client.connection import Connection
from bridge.client.contexts import Context
from bridge.client.directory import Directory
from bridge.client.effects import Answered, CallId, Channel, Failed, ResultArrived, ResultFailed
from bridge.client.errors import FDC3Error, NotConnectedToBridge
from bridge.client.home_channels import HomeChannels
from bridge.client.outbox import Outbox
from bridge.client.remote_channels import RemoteChannels
from bridge.client.requests import Requests
from bridge.client.work import Work
from bridge.protocol.messages import (
    AppDestination,
    AppIdentifier,
    AppIntent,
    AppMetadata,
    ChannelType,
    DesktopAgentIdentifier,
    FindInstancesPayload,
    FindInstancesRequest,
    FindIntentPayload,
    FindIntentRequest,
    FindIntentsByContextMeta,
    FindIntentsByContextPayload,
    FindIntentsByContextRequest,
    FindMeta,
    GetAppMetadataPayload,
    GetAppMetadataRequest,
    IntentMetadata,
    IntentResult,
    OpenMeta,
    OpenPayload,
    OpenRequest,
    RaiseIntentMeta,
    RaiseIntentPayload,
    RaiseIntentRequest,
    Request,
)


@dataclass
class Asking:
    out: Outbox
    connection: Connection
    requests: Requests
    directory: Directory
    channels: Channels
    home: HomeChannels
    remote: RemoteChannels
    work: Work

    # --- Of everyone ---

    def find_intent(
        self, call: CallId, app: AppIdentifier, intent: str, context: Context | None, result_type: str | None, at: float
    ) -> None:
        own = self.directory.find_intent(intent, context["type"] if context else None, result_type)
        payload = FindIntentPayload(intent=intent, context=_optional(context), result_type=result_type)
        request = FindIntentRequest(payload=payload, meta=self._find_meta(app))

        def merged(answer: Any) -> AppIntent | None:
            theirs = answer.payload.app_intent
            both = _one_intent(own, theirs) if own else theirs
            return both if both.apps else None

        self._collate(call, request, own, merged, at)

    def find_intents_by_context(
        self, call: CallId, app: AppIdentifier, context: Context, result_type: str | None, at: float
    ) -> None:
        own = self.directory.find_intents_by_context(context["type"], result_type)
        payload = FindIntentsByContextPayload(context=contexts.write(context), result_type=result_type)
        meta = FindIntentsByContextMeta(request_uuid=self.out.new_id(), timestamp=self.out.timestamp, source=app)

        def merged(answer: Any) -> list[AppIntent] | None:
            return _by_name([*own, *answer.payload.app_intents]) or None

        self._collate(call, FindIntentsByContextRequest(payload=payload, meta=meta), own or None, merged, at)

    def find_instances(self, call: CallId, app: AppIdentifier, target: AppIdentifier, at: float) -> None:
        payload = FindInstancesPayload(app=target)
        if self._is_elsewhere(target):
            request = FindInstancesRequest(payload=payload, meta=self._find_meta(app, target))
            self._ask_there(call, request, lambda answer: _identifiers(answer.payload.app_identifiers), at)
            return
        own = self.directory.instances(target.app_id)
        if target.desktop_agent:
            self._answer(call, own)
            return

        def merged(answer: Any) -> list[AppIdentifier]:
            return [*(own or ()), *_identifiers(answer.payload.app_identifiers)]

        self._collate(call, FindInstancesRequest(payload=payload, meta=self._find_meta(app)), own, merged, at)

    # --- Of one ---

    def get_app_metadata(self, call: CallId, app: AppIdentifier, target: AppIdentifier, at: float) -> None:
        if self._is_elsewhere(target):
            payload = GetAppMetadataPayload(app=_destination(target))  # R65
            request = GetAppMetadataRequest(payload=payload, meta=self._find_meta(app, target))
            self._ask_there(call, request, lambda answer: answer.payload.app_metadata, at)
        else:
            self._answer(call, self.directory.metadata(target), "TargetAppUnavailable")

    def open(self, call: CallId, app: AppIdentifier, target: AppIdentifier, context: Context | None, at: float) -> None:
        if not self._is_elsewhere(target):
            self.work.open(AppHere(self.out, call, app), target.app_id, context, at)
            return
        payload = OpenPayload(app=_destination(target), context=_optional(context))  # R65
        meta = OpenMeta(
            request_uuid=self.out.new_id(),
            timestamp=self.out.timestamp,
            source=app,
            destination=_agent(target),
        )
        request = OpenRequest(payload=payload, meta=meta)
        self._ask_there(call, request, lambda answer: answer.payload.app_identifier, at, launches=True)

    def raise_intent(
        self, call: CallId, app: AppIdentifier, target: AppIdentifier, intent: str, context: Context, at: float
    ) -> None:
        """The target is resolved already, and always names an app (R60)."""
        if not self._is_elsewhere(target):
            self.work.raise_intent(AppHere(self.out, call, app), target, intent, context, at)
            return
        destination = _destination(target)
        payload = RaiseIntentPayload(intent=intent, context=contexts.write(context), app=destination)
        meta = RaiseIntentMeta(
            request_uuid=self.out.new_id(), timestamp=self.out.timestamp, source=app, destination=destination
        )

        def resolved(answer: Any) -> Any:
            source = answer.payload.intent_resolution.source
            handler = AppIdentifier(
                app_id=source.app_id,
                instance_id=source.instance_id,
                desktop_agent=_responder(answer) or source.desktop_agent or destination.desktop_agent,
            )
            self.requests.await_result(meta.request_uuid, lambda result: self._result(call, app, handler, result))
            return answer.payload.intent_resolution

        self._ask_there(call, RaiseIntentRequest(payload=payload, meta=meta), resolved, at, launches=True)

    def _result(self, call: CallId, app: AppIdentifier, handler: AppIdentifier, answer: Any) -> None:
        if isinstance(answer, FDC3Error):
            self.out.add(ResultFailed(call, answer.error))
            return
        result: IntentResult = answer.payload.intent_result
        if result.channel:
            self._got_channel(result.channel.id, result.channel.type, app, handler)
            self.out.add(ResultArrived(call, Channel(result.channel.id, result.channel.type.value)))
        elif isinstance(result.context, Raw):
            self.out.add(ResultArrived(call, contexts.read(result.context)))
        else:
            self.out.add(ResultArrived(call, None))

    def _got_channel(self, id_: str, type_: ChannelType, app: AppIdentifier, handler: AppIdentifier) -> None:
        if type_ is not ChannelType.PRIVATE:
            self.channels.ensure(id_)
        elif id_ in self.home:
            self.home.hand_to(id_, app)  # One of our own, that came back.
        else:
            self.remote.joined(id_, app, handler)  # R73
        if not self.directory.runs(app):
            self.home.disconnect(id_, app)
            self.remote.disconnect(id_, app)

    # --- How ---

    def _is_elsewhere(self, target: AppIdentifier) -> bool:
        return target.desktop_agent is not None and target.desktop_agent != self.connection.name

    def _collate(self, call: CallId, request: Request, own: Any, merged: Callable[[Any], Any], at: float) -> None:
        """What others know is added to our own, which has to do where they know nothing or can't be asked."""

        def finish(answer: Any) -> None:
            if isinstance(answer, FDC3Error):
                self._answer(call, own, answer.error)
            else:
                self._answer(call, merged(answer))

        if self.connection.is_bridged:
            self.requests.ask(request, finish, at + self.connection.settings.answer_within)
        else:
            self._answer(call, own)

    def _ask_there(
        self, call: CallId, request: Request, value: Callable[[Any], Any], at: float, *, launches: bool = False
    ) -> None:
        if not self.connection.is_bridged:
            raise NotConnectedToBridge  # R58

        def finish(answer: Any) -> None:
            if isinstance(answer, FDC3Error):
                self.out.add(Failed(call, answer.error))
            else:
                self.out.add(Answered(call, value(answer)))

        settings = self.connection.settings
        within = settings.launch_answer_within if launches else settings.answer_within
        self.requests.ask(request, finish, at + within)

    def _answer(self, call: CallId, value: Any, otherwise: str = "NoAppsFound") -> None:
        """A value of None: nobody knows such a thing."""
        if value is None:
            self.out.add(Failed(call, otherwise))
        else:
            self.out.add(Answered(call, value))

    def _find_meta(self, app: AppIdentifier, target: AppIdentifier | None = None) -> FindMeta:
        return FindMeta(
            request_uuid=self.out.new_id(),
            timestamp=self.out.timestamp,
            source=app,
            destination=_agent(target) if target else None,
        )


def _agent(target: AppIdentifier) -> DesktopAgentIdentifier:
    return DesktopAgentIdentifier(desktop_agent=target.desktop_agent or "")


def _destination(target: AppIdentifier) -> AppDestination:
    return AppDestination(
        app_id=target.app_id, instance_id=target.instance_id, desktop_agent=target.desktop_agent or ""
    )


def _responder(answer: Any) -> str | None:
    return answer.meta.sources[0].desktop_agent if answer.meta.sources else None


def _optional(context: Context | None) -> Raw | UnsetType:
    return UNSET if context is None else contexts.write(context)


def _identifiers(apps: list[AppMetadata]) -> list[AppIdentifier]:
    return [
        AppIdentifier(app_id=app.app_id, instance_id=app.instance_id, desktop_agent=app.desktop_agent) for app in apps
    ]


def _one_intent(first: AppIntent, second: AppIntent) -> AppIntent:
    name = first.intent.display_name or second.intent.display_name
    return AppIntent(intent=IntentMetadata(name=first.intent.name, display_name=name), apps=[*first.apps, *second.apps])


def _by_name(found: list[AppIntent]) -> list[AppIntent]:
    by_name: dict[str, AppIntent] = {}
    for each in found:
        name = each.intent.name
        by_name[name] = _one_intent(by_name[name], each) if name in by_name else each
    return list(by_name.values())
