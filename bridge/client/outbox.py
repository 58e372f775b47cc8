"""Where every part of the core puts what is to happen, in its order, and what every message needs: IDs and the time."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from bridge.client.effects import Effect, Send
from bridge.protocol.messages import (
    AppDestination,
    AppIdentifier,
    PrivateChannelMeta,
    PrivateChannelRequest,
    encode,
)
from bridge.protocol.versions import Version


class Outbox:
    def __init__(self, version: Version, new_id: Callable[[], str]) -> None:
        self.version = version
        self.new_id = new_id
        #: What messages of this moment say of when they were made.
        self.timestamp = ""
        #: The number of the socket that messages go to.
        self.attempt = 0
        self._effects: list[Effect] = []
        self._numbers = 0

    def begin(self, at: float) -> None:
        self.timestamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def add(self, effect: Effect) -> None:
        self._effects.append(effect)

    def take(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects

    def send(self, message: Any) -> None:
        self.add(Send(self.attempt, encode(message, self.version)))

    def send_private(
        self,
        kind: type[PrivateChannelRequest],
        payload: Any,
        source: AppIdentifier,
        destination: AppIdentifier,
    ) -> None:
        """A repeat has an ID of its own, and the time of what it repeats (Q2)."""
        to = AppDestination(
            app_id=destination.app_id,
            instance_id=destination.instance_id,
            desktop_agent=destination.desktop_agent or "",
        )
        meta = PrivateChannelMeta(request_uuid=self.new_id(), timestamp=self.timestamp, source=source, destination=to)
        self.send(kind(payload=payload, meta=meta))
