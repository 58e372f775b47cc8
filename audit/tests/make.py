"""Events for tests."""

from django.db import transaction

from audit.actions import Action
from audit.actors import Actor
from audit.services import Entry, Target, record_many

ALICE = Actor("person", "1", "alice")
SESSION = Target("agent session", "17", "agent1")


def make_entry(**overrides):
    values = {"action": Action.DISCONNECTION_QUEUED, "actor": ALICE, "target": SESSION, "data": {"reason": "upkeep"}}
    return Entry(**(values | overrides))


def commit_events(count=1, **overrides):
    """Record `count` events in one transaction."""
    with transaction.atomic():
        record_many([make_entry(**overrides) for _ in range(count)])
