"""Requests that are answered: to whom they go, what is waited for, and the one answer that comes of it."""

from typing import Any

from bridge.protocol.collation import (
    DISCONNECTED,
    LAUNCHES,
    MALFORMED,
    NOT_FOUND,
    RESPONSES,
    TIMED_OUT,
    Pending,
    nothing_found,
)
from bridge.protocol.effects import Event
from bridge.protocol.identity import app_of, hosted
from bridge.protocol.messages import (
    ChannelType,
    ErrorResponse,
    FindIntentsByContextRequest,
    Malformed,
    RaiseIntentResponse,
    RaiseIntentResultResponse,
    ResponseMeta,
    stamped,
)
from bridge.protocol.outbox import Outbox
from bridge.protocol.peers import Peer
from bridge.protocol.private_channels import PrivateChannels
from bridge.protocol.settings import HubSettings
from bridge.protocol.waits import Waits


class Exchanges:
    """Every request in flight between the agents in `agents`, which is the hub's own dict."""

    def __init__(
        self, settings: HubSettings, outbox: Outbox, agents: dict[str, Peer], private: PrivateChannels
    ) -> None:
        self._settings = settings
        self._out = outbox
        self._agents = agents
        self._private = private
        # R40: whose answer it is, until the last one is there.
        self._pending: dict[str, Pending] = {}
        # R48: one time-out for what agents know by themselves, one for what apps take their time for (Q7).
        self._finds = Waits[str](settings.find_timeout)
        self._launches = Waits[str](settings.launch_timeout)

    def __len__(self) -> int:
        return len(self._pending)

    # Asking

    def ask(self, peer: Peer, request: Any) -> None:
        uuid, target = request.meta.request_uuid, _target(request)
        if (known := self._pending.get(uuid)) is not None:
            self._asked_twice(peer, request, known)
        elif request.meta.source is None and isinstance(request, FindIntentsByContextRequest):
            # R36 has the bridge name the agent alone, which no receiver of this kind may accept: it has to be an app.
            self._out.answer_error(peer, request.type, uuid, MALFORMED, [peer.name])
        elif target is None:
            # R42, R43: everybody but the sender.
            self._ask(peer, request, [other for other in self._agents.values() if other is not peer])
        elif (other := self._agents.get(target)) is None or other is peer:
            self._out.answer_error(peer, request.type, uuid, NOT_FOUND, [target])  # R57
        else:
            self._ask(peer, request, [other])

    def _ask(self, peer: Peer, request: Any, responders: list[Peer]) -> None:
        uuid = request.meta.request_uuid
        response = RESPONSES[type(request)]
        if not responders:
            # Q10: nobody was there to fail.
            meta = ResponseMeta(request_uuid=uuid, response_uuid=self._out.new_id(), timestamp=self._out.timestamp())
            self._out.send(peer, response(payload=nothing_found(request), meta=meta))
            return
        if len(peer.asked) >= self._settings.max_requests:
            names = [other.name for other in responders]
            self._out.answer_error(peer, request.type, uuid, TIMED_OUT, names)
            return
        source = request.meta.source
        pending = Pending(
            uuid=uuid,
            requester=peer,
            response=response,
            asked_at=self._out.at,
            is_targeted=_target(request) is not None,
            is_launch=type(request) in LAUNCHES,
            asking=None if source is None else app_of(source, peer.name),
            waiting={other.conn: other for other in responders},
        )
        self._pending[uuid] = peer.asked[uuid] = pending
        for other in responders:
            other.owed[uuid] = pending
        (self._launches if pending.is_launch else self._finds).begin(uuid, self._out.at)
        self._out.send_all(responders, stamped(request, peer.name))  # R35, R36

    def _asked_twice(self, peer: Peer, request: Any, known: Pending) -> None:
        uuid = request.meta.request_uuid
        if known.requester is peer:
            # An error would be taken for the answer to the first.
            self._out.drop(peer, f"{request.type} with the requestUuid of another in flight")
        else:
            self._out.answer_error(peer, request.type, uuid, MALFORMED, [peer.name])

    # Answering

    def answer(self, peer: Peer, response: Any) -> None:
        pending = peer.owed.get(response.meta.request_uuid)
        if pending is None:
            # R44, and nobody answers for another.
            self._out.drop(peer, f"{response.type} that nobody waits for")
        elif response.type != pending.type:
            self._answer_malformed(peer, pending, response.type)
        else:
            peer.silent_rounds = 0
            if isinstance(response, ErrorResponse):
                self._failed(pending, peer, response.payload.error, response.meta)
            else:
                self._learn(pending, peer, response)
                pending.answered(peer, hosted(response.payload, peer.name), response.meta)
                self._settled(pending, peer)

    def malformed(self, peer: Peer, wrong: Malformed) -> None:
        """A response that is none: its sender's error in the answer, and an error to the sender too (R55, Q8)."""
        pending = peer.owed.get(wrong.request_uuid or "")
        if pending is None:
            self._out.drop(peer, "malformed response that nobody waits for")
        else:
            self._answer_malformed(peer, pending, wrong.type or pending.type)

    def _answer_malformed(self, peer: Peer, pending: Pending, type: str) -> None:
        peer.silent_rounds = 0
        self._out.answer_error(peer, type, pending.uuid, MALFORMED, [peer.name])
        self._failed(pending, peer, MALFORMED)

    def _failed(self, pending: Pending, peer: Peer, error: str, meta: ResponseMeta | None = None) -> None:
        pending.failed(peer, error, meta)
        self._settled(pending, peer)

    def _settled(self, pending: Pending, peer: Peer) -> None:
        """This agent has nothing more to say to this, for now."""
        del peer.owed[pending.uuid]
        if not pending.waiting:
            self._finish(pending)

    def _finish(self, pending: Pending) -> None:
        self._forget(pending)
        self._out.send(pending.requester, pending.outcome(self._out.new_id, self._out.timestamp()))
        if pending.answers and pending.response is RaiseIntentResponse:
            self._await_result(pending, self._agents[pending.answers[0][0]])

    def _forget(self, pending: Pending) -> None:
        del self._pending[pending.uuid]
        pending.requester.asked.pop(pending.uuid, None)
        pending.requester.results.pop(pending.uuid, None)
        for other in pending.waiting.values():
            del other.owed[pending.uuid]
        (self._launches if pending.is_launch else self._finds).end(pending.uuid)

    # The second answer to raiseIntentRequest

    def _await_result(self, resolved: Pending, peer: Peer) -> None:
        """Handlers may take for ever, so nothing but a bound on their number ends this."""
        requester, uuid = resolved.requester, resolved.uuid
        if len(requester.results) >= self._settings.max_results:
            self._give_up(next(iter(requester.results.values())))
        self._pending[uuid] = requester.results[uuid] = peer.owed[uuid] = Pending(
            uuid=uuid,
            requester=requester,
            response=RaiseIntentResultResponse,
            asked_at=self._out.at,
            is_targeted=True,
            is_launch=True,
            asking=resolved.asking,
            waiting={peer.conn: peer},
            resolved_by=resolved.resolved_by,
        )

    def _learn(self, pending: Pending, peer: Peer, response: Any) -> None:
        """The app that took the intent, and a private channel that it hands to the app that raised it."""
        if isinstance(response, RaiseIntentResponse):
            pending.resolved_by = app_of(response.payload.intent_resolution.source, peer.name)
        elif isinstance(response, RaiseIntentResultResponse):
            channel = response.payload.intent_result.channel
            if channel is None or channel.type is not ChannelType.PRIVATE:
                return
            if pending.resolved_by and pending.asking:
                self._private.opened(channel.id, pending.resolved_by, pending.asking, self._out.at)

    # Nobody answers

    def next_deadline(self) -> float | None:
        ends = [end for end in (self._finds.next_end(), self._launches.next_end()) if end is not None]
        return min(ends, default=None)

    def tick(self) -> list[Peer]:
        """End what waited long enough; returns the agents that have been silent too often (R52)."""
        silent: dict[Peer, None] = {}
        for uuid in self._finds.over(self._out.at):
            pending = self._pending[uuid]
            silent |= dict.fromkeys(peer for peer in pending.waiting.values() if self._was_silent(peer, pending))
            self._give_up(pending)
        for uuid in self._launches.over(self._out.at):
            self._give_up(self._pending[uuid])
        return list(silent)

    def _was_silent(self, peer: Peer, pending: Pending) -> bool:
        """Count rounds, not questions (Q29): what was asked before the last one ended is the same round."""
        if pending.asked_at >= peer.silent_at:
            peer.silent_at = self._out.at
            peer.silent_rounds += 1
        return 0 < self._settings.silent_rounds <= peer.silent_rounds

    def _give_up(self, pending: Pending) -> None:
        for peer in list(pending.waiting.values()):
            peer.traffic.timed_out += 1
            self._out.note_rarely(peer, Event.TIMED_OUT, f"no {pending.type} in time", peer.traffic.timed_out)
            self._failed(pending, peer, TIMED_OUT)  # R50

    def lost(self, peer: Peer) -> None:
        """R51: an agent is gone, so nobody waits for it, and nobody answers it."""
        for pending in [*peer.asked.values(), *peer.results.values()]:
            self._forget(pending)
        for pending in list(peer.owed.values()):
            self._failed(pending, peer, DISCONNECTED)


def _target(request: Any) -> str | None:
    """The agent that is asked alone: by destination or, where an agent left that out, by the app it names (Q23)."""
    if request.meta.destination is not None:
        return request.meta.destination.desktop_agent  # type: ignore[no-any-return]
    return getattr(getattr(request.payload, "app", None), "desktop_agent", None)
