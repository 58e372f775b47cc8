"""The events of a private channel, and the messages by which one agent tells another of them."""

from bridge.protocol.messages import (
    ChannelPayload,
    ContextListenerPayload,
    ListenerType,
    PrivateChannelOnAddContextListener,
    PrivateChannelOnDisconnect,
    PrivateChannelOnUnsubscribe,
    PrivateChannelRequest,
)

ADD_CONTEXT_LISTENER = ListenerType.ADD_CONTEXT_LISTENER
UNSUBSCRIBE = ListenerType.UNSUBSCRIBE
DISCONNECT = ListenerType.DISCONNECT

MESSAGE_OF: dict[ListenerType, type[PrivateChannelRequest]] = {
    ADD_CONTEXT_LISTENER: PrivateChannelOnAddContextListener,
    UNSUBSCRIBE: PrivateChannelOnUnsubscribe,
    DISCONNECT: PrivateChannelOnDisconnect,
}


def payload_of(type_: ListenerType, channel_id: str, context_type: str | None) -> ChannelPayload:
    if type_ is DISCONNECT:
        return ChannelPayload(channel_id=channel_id)
    return ContextListenerPayload(channel_id=channel_id, context_type=context_type)
