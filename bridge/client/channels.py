"""User and app channels: what each holds, who listens, and what is taken over from the bridge.

Private channels are never here: they have no state, and are not told to the bridge (R12, R67, R68).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.client.effects import Context, ContextArrived, ListenerId
from bridge.client.errors import FDC3Error
from bridge.client.outbox import Outbox
from bridge.protocol.messages import AppIdentifier

#: The eight that the standard recommends (R30): identifier, name, colour.
USER_CHANNELS = (
    ("fdc3.channel.1", "Channel 1", "red"),
    ("fdc3.channel.2", "Channel 2", "orange"),
    ("fdc3.channel.3", "Channel 3", "yellow"),
    ("fdc3.channel.4", "Channel 4", "green"),
    ("fdc3.channel.5", "Channel 5", "cyan"),
    ("fdc3.channel.6", "Channel 6", "blue"),
    ("fdc3.channel.7", "Channel 7", "magenta"),
    ("fdc3.channel.8", "Channel 8", "purple"),
)
#: What is remembered; whatever anybody broadcasts beyond that is heard and forgotten.
MAX_CHANNELS = 1_000
MAX_CONTEXTS = 100

USER_CHANNEL_IDS = tuple(id_ for id_, _, _ in USER_CHANNELS)


@dataclass(frozen=True)
class ContextListener:
    app: AppIdentifier
    #: None: whichever user channel the app is on at the moment.
    channel_id: str | None
    context_type: str | None


@dataclass
class Channels:
    out: Outbox
    #: For each channel one context of each type, the newest first.
    _state: dict[str, list[Context]] = field(default_factory=lambda: {id_: [] for id_ in USER_CHANNEL_IDS})
    _joined: dict[AppIdentifier, str] = field(default_factory=dict)
    _listeners: dict[ListenerId, ContextListener] = field(default_factory=dict)

    # --- What apps do ---

    def ensure(self, channel_id: str) -> None:
        if len(self._state) < MAX_CHANNELS:
            self._state.setdefault(channel_id, [])

    def join(self, app: AppIdentifier, channel_id: str) -> None:
        """What the channel holds is told to the app's listeners, as if they were added now."""
        if channel_id not in USER_CHANNEL_IDS:
            raise FDC3Error("NoChannelFound", f"{channel_id} is no user channel")
        self._joined[app] = channel_id
        for listener, each in self._listeners.items():
            if each.app == app and each.channel_id is None:
                self._tell_current(listener, each)

    def leave(self, app: AppIdentifier) -> None:
        self._joined.pop(app, None)

    def joined_by(self, app: AppIdentifier) -> str | None:
        return self._joined.get(app)

    def current(self, channel_id: str, context_type: str | None) -> Context | None:
        """The newest of that type, or of any."""
        contexts = self._state.get(channel_id, [])
        return next((context for context in contexts if context_type in (None, context["type"])), None)

    def add_listener(
        self, listener: ListenerId, app: AppIdentifier, channel_id: str | None, context_type: str | None
    ) -> None:
        self._listeners[listener] = ContextListener(app, channel_id, context_type)
        if channel_id is None:
            self._tell_current(listener, self._listeners[listener])

    def remove_listener(self, listener: ListenerId) -> None:
        self._listeners.pop(listener, None)

    def listener_of(self, app: AppIdentifier, context: Context) -> ListenerId | None:
        """One that the app added for itself and not for a channel: where the context of an `open` goes."""
        return next(
            (
                listener
                for listener, each in self._listeners.items()
                if each.app == app and each.channel_id is None and each.context_type in (None, context["type"])
            ),
            None,
        )

    def app_closed(self, app: AppIdentifier) -> None:
        self.leave(app)
        self._listeners = {id_: each for id_, each in self._listeners.items() if each.app != app}

    def broadcast(self, channel_id: str, context: Context, source: AppIdentifier) -> None:
        """From an app of this agent or of another; the app that broadcast does not hear itself."""
        self.keep(channel_id, context)
        for listener, each in list(self._listeners.items()):
            if each.app != source and each.context_type in (None, context["type"]) and self._is_on(each, channel_id):
                self.out.add(ContextArrived(listener, context, source))

    # --- The state that agents and bridge share ---

    def keep(self, channel_id: str, context: Context) -> None:
        self.ensure(channel_id)
        if channel_id in self._state:
            others = [each for each in self._state[channel_id] if each["type"] != context["type"]]
            self._state[channel_id] = [context, *others[: MAX_CONTEXTS - 1]]

    def state(self) -> dict[str, list[Context]]:
        """For the handshake: every channel known, the newest context of each type first (R12)."""
        return {channel_id: list(contexts) for channel_id, contexts in self._state.items()}

    def adopt(self, state: Mapping[str, Sequence[Context]]) -> None:
        """What the bridge says of all channels; no broadcast (R24)."""
        for channel_id, contexts in state.items():
            if channel_id in self._state:
                self._adopt_known(channel_id, contexts)
            else:
                for context in reversed(contexts):
                    self.keep(channel_id, context)  # R25

    def _adopt_known(self, channel_id: str, contexts: Sequence[Context]) -> None:
        """R26, as in the numbered list of facts 3.5 (Q9): typed listeners hear of each context that is new to this
        agent, and untyped ones of the newest alone."""
        newest_before = self.current(channel_id, None)
        for context in reversed(contexts):
            if self.current(channel_id, context["type"]) != context:
                self._tell(channel_id, context, listening_for=context["type"])
            self.keep(channel_id, context)
        if contexts and contexts[0] != newest_before:
            self._tell(channel_id, contexts[0], listening_for=None)

    # --- Telling ---

    def _tell(self, channel_id: str, context: Context, *, listening_for: str | None) -> None:
        for listener, each in list(self._listeners.items()):
            if each.context_type == listening_for and self._is_on(each, channel_id):
                self.out.add(ContextArrived(listener, context, None))

    def _tell_current(self, listener: ListenerId, each: ContextListener) -> None:
        channel_id = self._joined.get(each.app)
        context = self.current(channel_id, each.context_type) if channel_id else None
        if context:
            self.out.add(ContextArrived(listener, context, None))

    def _is_on(self, listener: ContextListener, channel_id: str) -> bool:
        return (listener.channel_id or self._joined.get(listener.app)) == channel_id
