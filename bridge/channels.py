"""Private channels, as the memberships tell of them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db.models import Min, QuerySet
from django.urls import reverse

from agents.models import AgentSession


@dataclass(frozen=True)
class Channel:
    """A private channel with its members, the creator first."""

    source_id: int
    key: str
    facts: dict[str, Any]
    members: list[AgentSession] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(self.facts["channel"])

    @property
    def url(self) -> str:
        return reverse("bridge:channel", args=[self.source_id, self.key])

    @property
    def creator(self) -> str:
        return app_name(self.facts["creator"])

    @property
    def home(self) -> str:
        """The agent of its creator, which lives or dies with it."""
        return str(self.facts["home"])

    @property
    def created_at(self) -> datetime:
        return datetime.fromtimestamp(self.facts["createdAt"], UTC)

    @property
    def last_message_at(self) -> datetime | None:
        at = self.facts["lastMessageAt"]
        return datetime.fromtimestamp(at, UTC) if at else None

    @property
    def is_live(self) -> bool:
        return any(member.ended_at is None for member in self.members)

    @property
    def agents(self) -> list[str]:
        """The desktop agents of its members."""
        return list(dict.fromkeys(member.received["app"]["desktopAgent"] for member in self.members))

    @property
    def listeners(self) -> dict[str, int]:
        """How many members listen for each kind of event, and how many context listeners there are."""
        counts = Counter(event for member in self.members for event in member.received["events"])
        contexts = sum(len(member.received["contexts"]) for member in self.members)
        return {**({"contexts": contexts} if contexts else {}), **dict(sorted(counts.items()))}


def app_name(app: dict[str, str]) -> str:
    return f"{app['appId']} of {app['desktopAgent']}"


def is_creator(member: AgentSession) -> bool:
    return bool(member.received["app"] == member.received["creator"])


def channels_of(memberships: Iterable[AgentSession]) -> list[Channel]:
    """Grouped by the channel; the newest row of each tells its facts."""
    groups: dict[tuple[int, str], list[AgentSession]] = {}
    for member in memberships:
        groups.setdefault((member.source_id, member.part_of), []).append(member)
    return [
        Channel(source_id, key, max(members, key=_age).received, sorted(members, key=_order))
        for (source_id, key), members in groups.items()
    ]


def _age(member: AgentSession) -> tuple[bool, int]:
    return member.ended_at is None, member.pk


def _order(member: AgentSession) -> tuple[bool, str, int]:
    return not is_creator(member), member.agent_id, member.pk


def oldest_channels(memberships: QuerySet[AgentSession], most: int) -> tuple[list[Channel], int]:
    """The `most` oldest of their channels, and how many there are; agents may open them by the thousand."""
    keys = memberships.order_by().values_list("source_id", "part_of")
    found = keys.annotate(began=Min("first_seen_at"), first=Min("pk")).order_by("began", "first")
    wanted = {(source_id, key) for source_id, key, *_ in found[:most]}
    rows = memberships.filter(part_of__in={key for _, key in wanted}).order_by("first_seen_at", "pk")
    channels = [each for each in channels_of(rows) if (each.source_id, each.key) in wanted]
    return channels, found.count()


def live_channels(source_ids: Iterable[int]) -> list[Channel]:
    live = AgentSession.objects.live().filter(source__in=list(source_ids)).exclude(part_of="")
    return channels_of(live.order_by("first_seen_at", "pk"))


def channels_with(session: AgentSession) -> list[Channel]:
    """The live private channels in which apps of this desktop agent take part."""
    return [channel for channel in live_channels([session.source_id]) if session.received["name"] in channel.agents]
