"""What an administrator should look at now: sources, outcomes, and the console's own parts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from agents.freshness import Freshness, ShownSource
from agents.models import Disconnection
from agents.states import State
from apikeys.expiry import ending_soon
from apikeys.rights import Right
from apikeys.services import visible_keys
from audit.actors import Actor
from audit.checks import standing_flaw
from audit.leaving import stuck
from audit.reviews.wanted import GROUPS, MOST_COUNTED, count
from audit.streams.models import Sink
from audit.triggers import triggers_missing
from console import heartbeats
from console.templatetags.ui import exactly

#: Outcomes that leave something to be done, and for how long the overview reminds of them.
LEFT_OPEN = {
    State.STILL_CONNECTED: "is still connected",
    State.UNKNOWN: "may still be connected: nobody can say",
    State.FAILED: "could not be disconnected",
}
REMIND_FOR = timedelta(days=1)
MOST = 5


@dataclass(frozen=True)
class Item:
    """`kind` is a notice's: error, warn or info."""

    kind: str
    title: str
    text: str
    url: str = ""
    at: datetime | None = None


def of_the_console() -> list[Item]:
    """Its own parts: these change without an event or a reading."""
    items = []
    if not heartbeats.any_worker_since(timezone.now() - settings.CONSOLE_HEARTBEAT_SILENCE):
        text = "Nothing is read and nothing is sent until one runs; what was asked for waits, up to its deadline."
        items.append(Item("error", "No worker is at work.", text))
    if flaw := standing_flaw():
        title, url = "The audit log does not hold.", reverse("audit:proof")
        items.append(Item("error", title, flaw.message, url, flaw.ended_at))
    if triggers_missing():
        text = "Until the next migrate, the database itself would not refuse to change it."
        items.append(Item("error", "The audit log is unprotected.", text))
    for delivery in stuck():
        text = f"By the {delivery.way}: {delivery.trouble}. They are kept and tried again."
        items.append(
            Item("warn", "Checkpoints of the audit log don't leave this machine.", text, reverse("audit:proof"))
        )
    return items


def of_the_log(actor: Actor, at: datetime) -> Iterator[Item]:
    """Sinks that take no events, and what awaits review, for those whose business it is."""
    if Right.AUDIT_GET in actor.rights:
        for sink in Sink.objects.active().filter(failing_since__isnull=False).order_by("name"):
            text = f"{sink.last_error}. Nothing is lost: it gets what it lacks when it is back."
            title = f"The sink {sink.name} takes no events."
            yield Item("warn", title, text[0].upper() + text[1:], sink.get_absolute_url(), sink.failing_since)
    if Right.AUDIT_REVIEW in actor.rights:
        waiting = count(GROUPS[0], at)
        if waiting:
            many = f"{MOST_COUNTED} or more" if waiting >= MOST_COUNTED else str(waiting)
            title = (
                f"{many} forced disconnection{'s' if waiting != 1 else ''} await{'s' if waiting == 1 else ''} review."
            )
            yield Item("info", title, "Somebody other than who asked for it should look.", reverse("audit:review"))


def of_keys(actor: Actor, at: datetime) -> Iterator[Item]:
    """API keys about to end, for those who may see keys."""
    if Right.APIKEY_GET not in actor.rights:
        return
    keys = list(visible_keys(actor).filter(pk__in=ending_soon(at).values("pk")).order_by("expires_at")[: MOST + 1])
    for key in keys[:MOST]:
        text = f"It ends {exactly(key.expires_at)}. Rotate it to let it go on, or let it end."
        yield Item("warn", f"The API key {key.name} is about to end.", text, key.get_absolute_url())
    if len(keys) > MOST:
        yield Item("warn", "More API keys are about to end.", "", f"{reverse('apikeys:list')}?show=expiring")


def of_sources(sources: list[ShownSource]) -> Iterator[Item]:
    for each in sources:
        advice = each.freshness.advice(each.source)
        if advice:
            kind = "error" if each.freshness.state in _SEVERE else "warn"
            words = _WORDS[each.freshness.state]
            url = each.source.get_absolute_url()
            yield Item(kind, f"{each.source.name} {words}.", advice, url, each.freshness.since)


_SEVERE = {Freshness.UNREACHABLE, Freshness.REJECTED}
_WORDS = {
    Freshness.PAUSED: "is paused",
    Freshness.REFUSED: "is refused by the rate limit",
    Freshness.REJECTED: "rejects the credential",
    Freshness.UNREACHABLE: "can't be read",
    Freshness.INCOMPLETE: "can't be read completely",
    Freshness.STALE: "was not read for a while",
}


def of_outcomes(at: datetime) -> Iterator[Item]:
    """Disconnections of late that left their session, or perhaps left it, where it was."""
    late = Disconnection.objects.filter(state__in=list(LEFT_OPEN), finished_at__gte=at - REMIND_FOR, seen_gone_at=None)
    rows = list(late.select_related("operation").order_by("-finished_at", "pk")[: MOST + 1])
    for row in rows[:MOST]:
        title = f"{row.agent_id_then} {LEFT_OPEN[State(row.state)]}."
        yield Item("warn", title, row.explanation, row.operation.get_absolute_url(), row.finished_at)
    if len(rows) > MOST:
        yield Item("warn", "More disconnections left something open.", "The list of operations has them all.")
