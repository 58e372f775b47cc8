"""The current contexts of user and app channels, as the bridge knows them; never of private ones."""

from msgspec import Raw

from bridge.protocol.messages import ChannelsState, context_type
from bridge.protocol.settings import HubSettings


class ChannelState:
    """At most one context of each type a channel.

    Within, the most recent one is last, which makes a broadcast one step; on the wire it is first. Bounded: the
    channel that changed longest ago goes first, and in one channel the context that was broadcast longest ago.
    """

    def __init__(self, settings: HubSettings) -> None:
        self._settings = settings
        self._channels: dict[str, dict[str, Raw]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._channels)

    def types(self) -> dict[str, tuple[str, ...]]:
        """The types that each channel holds a context of, most recent first."""
        return {channel: tuple(reversed(contexts)) for channel, contexts in self._channels.items()}

    def on_the_wire(self) -> ChannelsState:
        return {channel: list(reversed(contexts.values())) for channel, contexts in self._channels.items()}

    def merge(self, arriving: ChannelsState) -> None:
        """Take over what a newcomer knows and we do not: what is here wins, what is new is the least recent (R18)."""
        for channel, contexts in arriving.items():
            known = self._taken(channel)
            added: dict[str, Raw] = {}
            for context in contexts:
                type = context_type(context)
                # Of a type that stands twice in one list, which may not be, the more recent one counts.
                if type not in known and type not in added and self._is_kept(context):
                    added[type] = self._copied(context)
            self._put(channel, dict(reversed(added.items())) | known)

    def fold(self, channel: str, context: Raw) -> None:
        """A broadcast replaces the context of its type and becomes the most recent one (R31)."""
        contexts = self._taken(channel)
        type = context_type(context)
        if type in contexts:
            self._bytes -= _size(contexts.pop(type))
        if self._is_kept(context):
            contexts[type] = self._copied(context)
        self._put(channel, contexts)

    def discard(self) -> None:
        self._channels.clear()
        self._bytes = 0

    def _taken(self, channel: str) -> dict[str, Raw]:
        """What is known of a channel, until `_put` puts it back as the one that changed last."""
        if channel not in self._channels:
            self._bytes += len(channel)
        return self._channels.pop(channel, {})

    def _is_kept(self, context: Raw) -> bool:
        return _size(context) <= self._settings.max_context_bytes

    def _copied(self, context: Raw) -> Raw:
        """Bytes of its own: those that came are a view into the whole message."""
        self._bytes += _size(context)
        return context.copy()

    def _put(self, channel: str, contexts: dict[str, Raw]) -> None:
        self._channels[channel] = contexts
        while len(contexts) > self._settings.max_contexts:
            self._bytes -= _size(contexts.pop(next(iter(contexts))))
        while len(self._channels) > self._settings.max_channels or self._bytes > self._settings.max_state_bytes:
            oldest = next(iter(self._channels))
            self._bytes -= len(oldest) + sum(map(_size, self._channels.pop(oldest).values()))


def _size(context: Raw) -> int:
    return memoryview(context).nbytes
