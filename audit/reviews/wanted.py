"""What a reviewer should look at, and what of it nobody has looked at yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from audit.actions import Action
from audit.models import Event, EventQuerySet
from audit.reviews.models import Review
from audit.search.query import why

PAGE = 50
#: Counts end here: more is "100+".
MOST_COUNTED = 100


@dataclass(frozen=True)
class Group:
    """Actions that are reviewed together, as one tab of the page."""

    name: str
    title: str
    actions: tuple[Action, ...]


#: The first is what the console is for, and so what is looked at first. An operation is reviewed as a whole.
GROUPS = (
    Group("disconnections", "Forced disconnections", (Action.OPERATION_REQUESTED,)),
    Group(
        "people",
        "People",
        (
            Action.PERSON_ADDED,
            Action.PERSON_ROLES_CHANGED,
            Action.PERSON_ACTIVATED,
            Action.PERSON_LINK_MADE,
        ),
    ),
    Group("keys", "API keys", (Action.APIKEY_CREATED, Action.APIKEY_CHANGED, Action.APIKEY_ROTATED)),
    Group("sources", "Sources", (Action.SOURCE_ADDED, Action.SOURCE_CHANGED, Action.CREDENTIAL_REPLACED)),
    Group(
        "log",
        "The log itself",
        (
            Action.EXPORT_DOWNLOADED,
            Action.SINK_ADDED,
            Action.SINK_CHANGED,
            Action.SINK_PAUSED,
            Action.SINK_REMOVED,
            Action.SINK_SKIPPED,
            Action.AUDIT_KEY_INTRODUCED,
            Action.AUDIT_KEEPING_CHANGED,
            Action.AUDIT_RELEASED,
        ),
    ),
)


def groups_table() -> str:
    """The table of docs/audit.md; a test compares the two."""
    rows = [f"| {group.title} | {' '.join(f'`{action}`' for action in group.actions)} |" for group in GROUPS]
    return "\n".join(["| tab | actions |", "|---|---|", *rows])


def group_named(name: str) -> Group | None:
    return next((group for group in GROUPS if group.name == name), None)


def wants_review(event: Event) -> bool:
    return any(event.action in group.actions for group in GROUPS)


@dataclass(frozen=True)
class Pending:
    """A page of events that nobody has reviewed, newest first; `older` leads to the next page."""

    events: list[Event]
    older: int | None


def pending(group: Group, at: datetime, *, older: int | None = None) -> Pending:
    # One look into the index of actions for each: their rows are few among millions of others.
    found: list[Event] = []
    for events in _unreviewed(group, at):
        if older is not None:
            events = events.filter(sequence__lt=older)
        found += events.annotate(why=why()).order_by("-sequence")[: PAGE + 1]
    found.sort(key=lambda event: -event.sequence)
    return Pending(found[:PAGE], found[PAGE - 1].sequence if len(found) > PAGE else None)


def count(group: Group, at: datetime) -> int:
    """How many there are, counted up to `MOST_COUNTED`."""
    counted = 0
    for events in _unreviewed(group, at):
        counted += len(events.values_list("sequence", flat=True)[: MOST_COUNTED - counted])
        if counted >= MOST_COUNTED:
            break
    return counted


def counts(at: datetime) -> list[tuple[Group, int]]:
    return [(group, count(group, at)) for group in GROUPS]


def _unreviewed(group: Group, at: datetime) -> Iterator[EventQuerySet]:
    first = _first_since(at - timedelta(days=settings.CONSOLE_AUDIT_REVIEW_DAYS))
    if first is None:
        return
    of_event = Review.objects.filter(event=OuterRef("sequence"))
    of_operation = Review.objects.filter(operation=OuterRef("operation"))
    for action in group.actions:
        events = Event.objects.for_lists().filter(~Exists(of_event), action=action, sequence__gte=first)
        yield events.filter(Q(operation=None) | ~Exists(of_operation))


def _first_since(moment: datetime) -> int | None:
    since = Event.objects.filter(at__gte=moment).order_by("at", "sequence")
    return since.values_list("sequence", flat=True).first()
