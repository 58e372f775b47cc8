"""Reviews: what wants one, who may give it, and that a mark is there for good."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError, transaction

from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.clock import database_now
from audit.models import Event
from audit.reviews import services, wanted
from audit.reviews.models import Review
from audit.services import Target
from audit.tests.make import ALICE, commit_events

AUDRA = Actor("person", "7", "audra", frozenset({"audit:get", "audit:review"}))
DISCONNECTIONS, PEOPLE = wanted.GROUPS[0], wanted.GROUPS[1]


def order(actor=ALICE):
    """An operation with its events."""
    operation = uuid4()
    target = Target("operation", str(operation), "disconnection of agent1")
    commit_events(1, action=Action.OPERATION_REQUESTED, operation=operation, actor=actor, target=target)
    commit_events(1, action=Action.DISCONNECTION_CONFIRMED, operation=operation, actor=CONSOLE)
    return operation


def act(action=Action.PERSON_ROLES_CHANGED, actor=ALICE):
    commit_events(1, action=action, actor=actor)
    return Event.objects.order_by("-sequence").first()


def mark(*items, note="seen", actor=AUDRA):
    return services.mark(items=items, note=note, actor=actor)


def waiting(group):
    return [event.sequence for event in wanted.pending(group, database_now()).events]


def test_an_operation_is_reviewed_as_a_whole(committed_db):
    first, second = order(), order()
    assert len(waiting(DISCONNECTIONS)) == wanted.count(DISCONNECTIONS, database_now()) == 2

    mark(first, note="asked for by the operator of hall 3")

    left = Event.objects.get(operation=second, action=Action.OPERATION_REQUESTED)
    assert waiting(DISCONNECTIONS) == [left.sequence]
    [review] = services.marks_of(Event.objects.get(operation=first, action=Action.DISCONNECTION_CONFIRMED))
    assert (review.actor_label, review.note) == ("audra", "asked for by the operator of hall 3")


def test_what_a_bridge_did_for_an_operation_is_no_second_thing_to_review(committed_db):
    order()
    act(Action.BRIDGE_APP_DISCONNECTED)

    assert wanted.count(DISCONNECTIONS, database_now()) == 1


def test_a_mark_of_its_event_takes_it_off_the_list_too(committed_db):
    operation = order()
    mark(Event.objects.get(operation=operation, action=Action.OPERATION_REQUESTED).sequence)

    assert waiting(DISCONNECTIONS) == []


def test_a_review_is_an_event_of_what_it_is_about(committed_db):
    operation, event = order(), act()

    mark(operation, event.sequence, note="as agreed")

    of_operation, of_event = Event.objects.filter(action="review.marked").order_by("sequence")
    assert (of_operation.operation, of_operation.target_kind) == (operation, "operation")
    assert (of_event.target_kind, of_event.target_id, of_event.details["of"]) == (
        "event",
        str(event.sequence),
        "person.roles_changed",
    )
    assert of_event.details["reason"] == "as agreed" and of_event.actor_label == "audra"


def test_nobody_reviews_their_own_act(committed_db):
    own = act(actor=AUDRA)
    other = act()

    with pytest.raises(services.OwnAct, match="somebody else must review it"):
        mark(other.sequence, own.sequence)

    assert not Review.objects.exists(), "all or none"


@pytest.mark.parametrize("action", [Action.OPERATION_REQUESTED, Action.DISCONNECTION_CANCELLED])
def test_nobody_reviews_an_operation_in_which_they_had_a_hand(committed_db, action):
    operation = order()
    commit_events(1, action=action, operation=operation, actor=AUDRA)

    with pytest.raises(services.OwnAct):
        mark(operation)


def test_a_review_is_no_hand_in_it(committed_db):
    operation = order()
    mark(operation)

    assert mark(operation, note="and again")
    assert len(services.marks_of_operation(operation)) == 2


def test_an_api_key_is_a_hand_of_its_owner(committed_db, monkeypatch):
    key = ("API key", "3")
    monkeypatch.setattr(services, "_hands", [lambda actor: [key] if actor == AUDRA else []])
    event = act(actor=Actor(*key, "nightly"))

    with pytest.raises(services.OwnAct):
        mark(event.sequence)


def test_whoever_may_only_read_reviews_nothing(committed_db):
    event = act()

    with pytest.raises(PermissionDenied):
        mark(event.sequence, actor=Actor("person", "8", "rita", frozenset({"audit:get"})))


@pytest.mark.parametrize(
    ("items", "note"), [([], ""), ([4_000], ""), ([uuid4()], ""), (range(1, 202), ""), ([1], "x" * 1_001)]
)
def test_what_can_not_be_marked_is_said(committed_db, items, note):
    act()

    with pytest.raises(ValidationError):
        mark(*items, note=note)

    assert not Review.objects.exists()


def test_no_secret_gets_into_a_note(committed_db):
    [review] = mark(act().sequence, note="password=hunter2 was in the ticket")

    assert "hunter2" not in review.note
    assert "hunter2" not in Event.objects.get(action="review.marked").data


def test_a_mark_stays_as_it_is(committed_db):
    mark(act().sequence)

    for change in (lambda: Review.objects.update(note="x"), lambda: Review.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_pages_lead_to_each_other_and_hold_all(committed_db, monkeypatch):
    monkeypatch.setattr(wanted, "PAGE", 3)
    events = [act(action).sequence for action in PEOPLE.actions * 2]

    found, older = [], None
    while page := wanted.pending(PEOPLE, database_now(), older=older):
        found += [event.sequence for event in page.events]
        older = page.older
        if older is None:
            break

    assert found == sorted(events, reverse=True)


def test_counts_end_at_a_hundred(committed_db):
    commit_events(105, action=Action.PERSON_ADDED)

    assert wanted.count(PEOPLE, database_now()) == wanted.MOST_COUNTED


def test_what_is_older_than_the_setting_is_asked_for_no_longer(committed_db, settings):
    settings.CONSOLE_AUDIT_REVIEW_DAYS = 30
    act()
    assert wanted.count(PEOPLE, database_now()) == 1

    assert wanted.count(PEOPLE, database_now() + timedelta(days=31)) == 0


def test_each_action_is_in_one_group_at_most():
    actions = [action for group in wanted.GROUPS for action in group.actions]

    assert len(actions) == len(set(actions))
