"""What the bridge forwards from other agents: questions, which are answered at once or by `Work`, and broadcasts."""

from dataclasses import dataclass
from typing import Any

from msgspec import Raw, UnsetType

from bridge.client import contexts
from bridge.client.askers import AppElsewhere, error_response, response_meta
from bridge.client.channels import Channels
from bridge.client.contexts import Context
from bridge.client.directory import Directory
from bridge.client.home_channels import HomeChannels
from bridge.client.outbox import Outbox
from bridge.client.remote_channels import RemoteChannels
from bridge.client.work import Work
from bridge.protocol.messages import (
    RESPONSE_TO,
    AppIdentifier,
    AppMetadata,
    BroadcastRequest,
    FindInstancesAnswer,
    FindInstancesRequest,
    FindInstancesResponse,
    FindIntentAnswer,
    FindIntentRequest,
    FindIntentResponse,
    FindIntentsByContextAnswer,
    FindIntentsByContextRequest,
    FindIntentsByContextResponse,
    GetAppMetadataAnswer,
    GetAppMetadataRequest,
    GetAppMetadataResponse,
    Identifier,
    OpenRequest,
    PrivateChannelRequest,
    RaiseIntentRequest,
    Request,
)


@dataclass
class Answering:
    out: Outbox
    directory: Directory
    channels: Channels
    home: HomeChannels
    remote: RemoteChannels
    work: Work

    def received(self, request: Request, at: float) -> None:
        match request:
            case BroadcastRequest(payload=payload, meta=meta):
                self.channels.broadcast(payload.channel_id, contexts.read(payload.context), _app(meta.source))
            case PrivateChannelRequest():
                self._private_channel(request)
            case FindIntentRequest(payload=payload):
                type_ = _type(payload.context)
                found = self.directory.find_intent(payload.intent, type_, payload.result_type)
                self._answer(request, FindIntentResponse, found and FindIntentAnswer(app_intent=found))
            case FindIntentsByContextRequest(payload=payload):
                intents = self.directory.find_intents_by_context(_type(payload.context) or "", payload.result_type)
                answer = FindIntentsByContextAnswer(app_intents=intents) if intents else None
                self._answer(request, FindIntentsByContextResponse, answer)
            case FindInstancesRequest(payload=payload):
                self._find_instances(request, payload.app.app_id)
            case GetAppMetadataRequest(payload=payload):
                metadata = self.directory.metadata(payload.app)
                answered = metadata and GetAppMetadataAnswer(app_metadata=metadata)
                self._answer(request, GetAppMetadataResponse, answered, "TargetAppUnavailable")
            case OpenRequest(payload=payload, meta=meta):
                self.work.open(self._asker(request), payload.app.app_id, _context(payload.context), at)
            case RaiseIntentRequest(payload=payload):
                context = contexts.read(payload.context)
                self.work.raise_intent(self._asker(request), payload.app, payload.intent, context, at)

    def _private_channel(self, request: PrivateChannelRequest) -> None:
        """Kept apart from ordinary broadcasts (R68). A hub listens to everyone who holds the channel; who is no hub,
        for the addressed app alone."""
        if request.meta.source is None or request.meta.destination is None:
            return
        self.out.timestamp = request.meta.timestamp  # Of all that follows from it (Q2).
        if request.payload.channel_id in self.home:
            self.home.received(request, _app(request.meta.source))
        else:
            to = request.meta.destination
            here = AppIdentifier(app_id=to.app_id, instance_id=to.instance_id)
            self.remote.received(request, _app(request.meta.source), here)

    def _find_instances(self, request: FindInstancesRequest, app_id: str) -> None:
        instances = self.directory.instances(app_id)
        if instances is None:
            self._answer(request, FindInstancesResponse, None)
            return
        apps = [AppMetadata(app_id=app.app_id, instance_id=app.instance_id) for app in instances]
        self._answer(request, FindInstancesResponse, FindInstancesAnswer(app_identifiers=apps))

    def _answer(self, request: Request, kind: Any, payload: Any, otherwise: str = "NoAppsFound") -> None:
        meta = response_meta(request, self.out)
        if payload is None:
            self.out.send(error_response(RESPONSE_TO[request.type], otherwise, meta))
        else:
            self.out.send(kind(payload=payload, meta=meta))

    def _asker(self, request: Request) -> AppElsewhere:
        return AppElsewhere(self.out, self.out.attempt, request, _app(request.meta.source))


def _app(source: Identifier | None) -> AppIdentifier:
    """As a key: two of the same app are equal, whatever kind of identifier they were."""
    assert source and source.app_id
    return AppIdentifier(app_id=source.app_id, instance_id=source.instance_id, desktop_agent=source.desktop_agent)


def _context(raw: Raw | UnsetType) -> Context | None:
    return contexts.read(raw) if isinstance(raw, Raw) else None


def _type(raw: Raw | UnsetType) -> str | None:
    context = _context(raw)
    return context["type"] if context else None
