"""What a bridge's own process says of itself, as rows: its desktop agents, and the memberships of private channels.

A membership is an app on a private channel, as long as it takes part and is not refused. Its row is told from an
agent's by `app`. What a membership is part of is named by a digest: IDs of channels are the agents' to choose, so they
may be of any length and in any script, and two agents may choose the same.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from agents.storable import storable, storable_json
from agents.versions import version_number
from bridge.protocol.identity import AppKey
from bridge.protocol.snapshot import Agent, ChannelMember, PrivateChannel, Snapshot

#: Channels of one agent that are kept: it may know very many, with long names, and its row is written every 2 s.
_MOST_CHANNELS = 50
#: What the session ID of a membership begins with.
MEMBERSHIP = "membership-"


def rows_of(snapshot: Snapshot) -> dict[str, Mapping[str, Any]]:
    """By session ID."""
    rows: dict[str, Mapping[str, Any]] = {agent.session_id: _agent_row(agent) for agent in snapshot.agents}
    for channel, member in memberships(snapshot):
        rows[membership_id(channel.id, channel.home, member.app)] = _member_row(channel, member)
    return rows


def memberships(snapshot: Snapshot) -> Iterator[tuple[PrivateChannel, ChannelMember]]:
    for channel in snapshot.private_channels:
        for member in channel.members:
            if member.app not in channel.refused:
                yield channel, member


def channel_key(channel_id: str, home: str) -> str:
    """Names a private channel: by its ID and the agent of its creator, since others may use the same ID."""
    return _digest([channel_id, home])


def membership_id(channel_id: str, home: str, app: AppKey) -> str:
    return MEMBERSHIP + _digest([channel_id, home, *app])


def is_membership(session_id: str) -> bool:
    return session_id.startswith(MEMBERSHIP)


def _digest(parts: list[str | None]) -> str:
    return blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()


def _agent_row(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "requestedName": agent.requested_name,
        "provider": agent.provider,
        "providerVersion": agent.provider_version or "",
        "fdc3Version": agent.fdc3_version,
        "optionalFeatures": agent.optional_features,
        "principal": agent.principal or "",
        "connectedAt": agent.connected_at,
        "channels": list(agent.channels[:_MOST_CHANNELS]),
        "moreChannels": len(agent.channels[_MOST_CHANNELS:]),
        "traffic": asdict(agent.traffic),
        "inFlight": agent.requests_in_flight,
        "resultsAwaited": agent.results_awaited,
        "answersOwed": agent.answers_owed,
        "silentRounds": agent.silent_rounds,
    }


def _member_row(channel: PrivateChannel, member: ChannelMember) -> dict[str, Any]:
    return {
        "app": _app(member.app),
        "joinedAt": member.joined_at,
        "events": list(member.events),
        "contexts": list(member.contexts),
        "channel": channel.id,
        "home": channel.home,
        "creator": _app(channel.creator),
        "createdAt": channel.created_at,
        "messages": channel.messages,
        "bytes": channel.bytes,
        "lastMessageAt": channel.last_message_at,
    }


def _app(app: AppKey) -> dict[str, str]:
    return {"appId": app.app_id, "instanceId": app.instance_id or "", "desktopAgent": app.desktop_agent}


def describe(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an agent session."""
    kept = storable_json(row)
    assert isinstance(kept, dict)
    return _member_columns(row, kept) if "app" in row else _agent_columns(row, kept)


def _agent_columns(row: Mapping[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    provider = storable(row["provider"])[:100]
    return {
        "agent_id": storable(row["name"])[:255],
        "part_of": "",
        "direction": "",
        # What a return is known by, together with the name: a desktop agent has no IDs of connections.
        "connection_ids": [provider],
        "connections": provider,
        "endpoint": "",
        **_since(row["connectedAt"]),
        "version": storable(row["fdc3Version"])[:64],
        "version_number": version_number(row["fdc3Version"]),
        "closing": False,
        "supports_disconnection": True,
        "received": kept,
    }


def _member_columns(row: Mapping[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    app = row["app"]
    return {
        "agent_id": storable(f"{app['appId']} of {app['desktopAgent']}")[:255],
        "part_of": channel_key(row["channel"], row["home"]),
        "direction": "",
        "connection_ids": [],
        "connections": "",
        "endpoint": "",
        **_since(row["joinedAt"]),
        "version": "",
        "version_number": None,
        "closing": False,
        "supports_disconnection": True,
        "received": kept,
    }


def _since(seconds: float) -> dict[str, Any]:
    moment = datetime.fromtimestamp(seconds, UTC)
    return {"started_at": moment, "started_text": moment.isoformat(timespec="milliseconds")}
