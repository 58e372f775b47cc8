"""Marking events and operations as reviewed. Four eyes: nobody reviews what they have done themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from audit.access import REVIEW, require
from audit.actions import Action
from audit.actors import Actor
from audit.clock import database_now
from audit.models import Event
from audit.redaction import safe_text
from audit.reviews.models import LONGEST_NOTE, Review
from audit.services import Entry, Target, record_many

#: Marks of one request at the most.
MOST_AT_ONCE = 200

#: What is reviewed: the number of an event, or the ID of an operation.
type Item = int | UUID
#: Kind and ID of an actor.
type Hand = tuple[str, str]


class OwnAct(Exception):
    """The reviewer has done it, or had it done by their API key."""

    def __init__(self, event: Event) -> None:
        super().__init__(f"Event {event.sequence} is an act of your own: somebody else must review it.")
        self.event = event


_hands: list[Callable[[Actor], Iterable[Hand]]] = []


def register_hands(find: Callable[[Actor], Iterable[Hand]]) -> None:
    """`find` gives the other actors that are the same person's: their API keys, or the owner of this one."""
    if find not in _hands:
        _hands.append(find)


def hands_of(actor: Actor) -> set[Hand]:
    """Everything by which this person acts."""
    return {(actor.kind, actor.id), *(hand for find in _hands for hand in find(actor))}


def is_own(event: Event, hands: Collection[Hand]) -> bool:
    return (event.actor_kind, event.actor_id) in hands


@transaction.atomic(durable=True)
def mark(*, items: Sequence[Item], note: str, actor: Actor) -> list[Review]:
    """Mark all of these as reviewed, or none. Raises `OwnAct`, ValidationError."""
    require(actor, REVIEW)
    items = list(dict.fromkeys(items))
    if not items:
        raise ValidationError("Choose what you have reviewed.")
    if len(items) > MOST_AT_ONCE:
        raise ValidationError(f"At most {MOST_AT_ONCE} can be marked at once.")
    if len(note) > LONGEST_NOTE:
        raise ValidationError({"note": f"A note has at most {LONGEST_NOTE:,} characters; this one has {len(note):,}."})
    hands = hands_of(actor)
    about = [_begun_by(item, hands) for item in items]
    at = database_now()
    note = safe_text(note.strip(), LONGEST_NOTE)
    marks = [
        Review(
            event=None if isinstance(item, UUID) else item,
            operation=item if isinstance(item, UUID) else None,
            note=note,
            actor_kind=actor.kind,
            actor_id=actor.id,
            actor_label=actor.label,
            at=at,
        )
        for item in items
    ]
    for each in marks:
        each.save(force_insert=True)
    record_many([_entry(item, event, note, actor) for item, event in zip(items, about, strict=True)])
    return marks


def _begun_by(item: Item, hands: set[Hand]) -> Event:
    """The event that is reviewed, or the one with which the operation began; nobody's own."""
    if isinstance(item, UUID):
        own = Q()
        for kind, id in hands:
            own |= Q(actor_kind=kind, actor_id=id)
        of_it = Event.objects.of_operation(item).exclude(action=Action.REVIEW_MARKED)
        if mine := of_it.filter(own).order_by("sequence").first():
            raise OwnAct(mine)
        begun = of_it.order_by("sequence").first()
        if begun is None:
            raise ValidationError(f"The log knows no operation {item}.")
        return begun
    event = Event.objects.filter(sequence=item).first()
    if event is None:
        raise ValidationError(f"There is no event {item}.")
    if is_own(event, hands):
        raise OwnAct(event)
    return event


def _entry(item: Item, event: Event, note: str, actor: Actor) -> Entry:
    if isinstance(item, UUID):
        target = Target(event.target_kind, event.target_id, event.target_label)
    else:
        target = Target("event", str(event.sequence), f"event {event.sequence}")
    data = {"reason": note, "of": event.action, "event": event.sequence}
    return Entry(Action.REVIEW_MARKED, actor, target, event.operation, data)


def marks_of(event: Event) -> list[Review]:
    """The marks of this event, those of its operation as a whole among them, oldest first."""
    return list(Review.objects.of(event=event.sequence, operation=event.operation).order_by("at", "pk"))


def marks_of_operation(operation: UUID) -> list[Review]:
    return list(Review.objects.of(operation=operation).order_by("at", "pk"))
