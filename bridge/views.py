"""The pages of bridges: all of them with their agents and private channels, and one channel."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from django.http import Http404, HttpResponse
from django.views.decorators.http import require_safe

from agents.clock import database_now
from agents.freshness import ShownSource, counted
from agents.live import Look, follows
from agents.models import AgentSession, Disconnection
from agents.offers import Offer, offers_for
from apikeys.pages import PageRequest, require_right
from apikeys.rights import Right
from bridge.channels import Channel, channels_of, is_creator, oldest_channels
from bridge.drawing import Drawing, draw
from bridge.kind import BRIDGE
from bridge.models import BridgeProcess
from bridge.process import alive_since

#: Private channels of one bridge, and former members of one channel, that a page shows.
CHANNELS, FORMER = 200, 50


@dataclass(frozen=True)
class ShownBridge:
    """`process`: the one that runs it; None where none does."""

    shown: ShownSource
    process: BridgeProcess | None
    agents: list[Offer]
    channels: list[Channel]
    more_channels: int
    drawing: Drawing


def _processes() -> list[tuple[object, ...]]:
    return list(BridgeProcess.objects.order_by("pk").values_list("pk", "token", "port"))


@require_right(Right.BRIDGE_GET)
@require_safe
@follows(also=_processes)
def bridge_list(request: PageRequest, look: Look) -> HttpResponse:
    bridges = _bridges(request, counted([each for each in look.sources if each.kind is BRIDGE]))
    in_motion = any(offer.open_one for bridge in bridges for offer in bridge.agents)
    return look.render("bridge/list.html", {"bridges": bridges}, in_motion=in_motion)


def _bridges(request: PageRequest, sources: list[ShownSource]) -> list[ShownBridge]:
    by_pk = {each.source.pk: each.source for each in sources}
    live = AgentSession.objects.live().of_agents().filter(source__in=list(by_pk)).order_by("source", "agent_id", "pk")
    sessions = list(live)
    for session in sessions:
        session.source = by_pk[session.source_id]
    offers = offers_for(sessions, request.actor, database_now())
    of_source = {pk: list(some) for pk, some in groupby(offers, lambda offer: offer.session.source_id)}
    processes = {
        each.pk: each for each in BridgeProcess.objects.filter(token__isnull=False, beat_at__gte=alive_since())
    }
    return [_bridge(each, processes.get(each.source.pk), of_source.get(each.source.pk, [])) for each in sources]


def _bridge(shown: ShownSource, process: BridgeProcess | None, offers: list[Offer]) -> ShownBridge:
    live = AgentSession.objects.live().filter(source=shown.source.pk).exclude(part_of="")
    channels, count = oldest_channels(live, CHANNELS)
    more = count - len(channels)
    return ShownBridge(shown, process, offers, channels, more, draw([each.session for each in offers], channels, more))


@dataclass(frozen=True)
class ShownMember:
    offer: Offer

    @property
    def session(self) -> AgentSession:
        return self.offer.session

    @property
    def app(self) -> dict[str, str]:
        return dict(self.session.received["app"])

    @property
    def is_creator(self) -> bool:
        return is_creator(self.session)

    @property
    def listens_to(self) -> list[str]:
        """Event types, and the context types that it wants; `None` there stands for all of them."""
        contexts = [f"context {each}" if each else "every context" for each in self.session.received["contexts"]]
        return [*sorted(set(contexts)), *self.session.received["events"]]


@require_right(Right.BRIDGE_GET)
@require_safe
@follows()
def channel(request: PageRequest, look: Look, pk: int, key: str) -> HttpResponse:
    shown = look.source(pk)
    memberships = AgentSession.objects.filter(source=pk, part_of=key)
    live = list(memberships.live().order_by("agent_id", "pk"))
    former = list(memberships.filter(ended_at__isnull=False).order_by("-ended_at", "-pk")[:FORMER])
    if shown.kind is not BRIDGE or not (live or former):
        raise Http404
    [found] = channels_of(live or former)
    members = _members(request, shown, found if live else None)
    context = {
        "channel": found,
        "shown_source": shown,
        "members": members,
        "former": _with_orders(former),
        "is_live": bool(live),
    }
    return look.render("bridge/channel.html", context, in_motion=any(each.offer.open_one for each in members))


def _members(request: PageRequest, shown: ShownSource, live: Channel | None) -> list[ShownMember]:
    sessions = live.members if live else []
    for session in sessions:
        session.source = shown.source
    return [ShownMember(offer) for offer in offers_for(sessions, request.actor, database_now())]


def _with_orders(former: Iterable[AgentSession]) -> list[dict[str, Any]]:
    """Each with the order that put it out, where an administrator did."""
    former = list(former)
    rows = Disconnection.objects.filter(session__in=[each.pk for each in former]).select_related("operation")
    orders = {row.session_id: row.operation for row in rows.order_by("requested_at")}
    by_us = AgentSession.EndedBy.US
    return [{"session": each, "operation": orders.get(each.pk) if each.ended_by == by_us else None} for each in former]
