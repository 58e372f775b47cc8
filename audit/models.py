"""The audit log: one row an event, and one row that holds the end of the chain."""

from __future__ import annotations

import json
from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import Exact

from audit.actions import Action
from audit.canonical import GENESIS


class EventQuerySet(models.QuerySet["Event"]):
    def of_operation(self, operation: UUID) -> Self:
        return self.filter(operation=operation)

    def about(self, kind: str, id: str) -> Self:
        return self.filter(target_kind=kind, target_id=id)

    def for_lists(self) -> Self:
        """Without the wide columns, which a list of a window of events never shows."""
        return self.defer("data", "user_agent", "hash", "previous_hash")


class Event(models.Model):
    """What somebody did, written once by `audit.services`; the database itself refuses to change or remove it.

    Labels are copied, because people are renamed and sessions end; there is no foreign key.
    """

    sequence = models.BigIntegerField(primary_key=True, editable=False)  # without gaps, from 1
    at = models.DateTimeField(editable=False)
    action = models.CharField(max_length=100, editable=False)
    actor_kind = models.CharField(max_length=40, editable=False)
    actor_id = models.CharField(max_length=200, editable=False)
    actor_label = models.CharField(max_length=200, editable=False)
    target_kind = models.CharField(max_length=40, editable=False)
    target_id = models.CharField(max_length=200, editable=False)
    target_label = models.CharField(max_length=200, editable=False)
    operation = models.UUIDField(null=True, editable=False)
    request_id = models.CharField(max_length=64, editable=False)
    address = models.CharField(max_length=64, editable=False)
    user_agent = models.CharField(max_length=200, editable=False)
    authentication = models.CharField(max_length=64, editable=False)
    data = models.TextField(editable=False)  # JSON text, kept exactly as it was hashed
    previous_hash = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, editable=False)

    objects = EventQuerySet.as_manager()

    class Meta:
        db_table = "audit_event"
        indexes = [
            # The filters of /audit/, each newest first. The primary key serves the page without any.
            models.Index(fields=["actor_label", "sequence"], name="audit_event_actor"),
            models.Index(fields=["action", "sequence"], name="audit_event_action"),
            models.Index(fields=["target_label", "sequence"], name="audit_event_target_label"),
            models.Index(fields=["at"], name="audit_event_at"),
            # The events of one session, source or person on its own page.
            models.Index(fields=["target_kind", "target_id", "sequence"], name="audit_event_target"),
            # One operation's whole story.
            models.Index(
                fields=["operation", "sequence"], condition=Q(operation__isnull=False), name="audit_event_operation"
            ),
        ]
        constraints = [
            # Not `unique=True`, which on PostgreSQL adds a second index for LIKE that every append would pay for.
            models.UniqueConstraint(fields=["previous_hash"], name="audit_event_one_follower"),
            models.UniqueConstraint(fields=["hash"], name="audit_event_hash_unique"),
            models.CheckConstraint(
                condition=Q(sequence=1, previous_hash=GENESIS) | Q(sequence__gt=1) & ~Q(previous_hash=GENESIS),
                name="audit_event_first_begins_the_chain",
            ),
            models.CheckConstraint(condition=Q(Exact(Length("hash"), 64)), name="audit_event_hash_length"),
            models.CheckConstraint(condition=~Q(action=""), name="audit_event_action_named"),
        ]

    def __str__(self) -> str:
        return f"{self.sequence} {self.action}"

    @property
    def action_words(self) -> str:
        """What the action says to a reader; its bare name where this version doesn't know it."""
        return Action(self.action).label if self.action in Action.values else self.action

    @property
    def outcome(self) -> str:
        """The last word of the action, e.g. `confirmed`, which the style sheet gives its colour."""
        return self.action.rpartition(".")[2]

    @property
    def details(self) -> dict[str, Any]:
        details: dict[str, Any] = json.loads(self.data)
        return details


class Head(models.Model):
    """The end of the chain. Its one row is the lock that makes events follow one another."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    sequence = models.BigIntegerField(default=0, editable=False)
    hash = models.CharField(max_length=64, default=GENESIS, editable=False)

    class Meta:
        db_table = "audit_head"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="audit_head_one_row")]

    def __str__(self) -> str:
        return f"{self.sequence} {self.hash}"


class Posting(models.Model):
    """Where in a chunk of 65,536 events something searchable occurs (`audit.search.index`); made from the events."""

    pk = models.CompositePrimaryKey("chunk", "term")
    chunk = models.IntegerField()
    term = models.BigIntegerField()
    bits = models.BinaryField()

    class Meta:
        db_table = "audit_posting"

    def __str__(self) -> str:
        return f"{self.term} in chunk {self.chunk}"


class Chunk(models.Model):
    """When the indexed events of a chunk were recorded; `steady`: no clock was set back in between."""

    chunk = models.IntegerField(primary_key=True)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    steady = models.BooleanField()

    class Meta:
        db_table = "audit_chunk"

    def __str__(self) -> str:
        return f"chunk {self.chunk}"


class Indexed(models.Model):
    """How far the index goes: the number of the last event that is in it."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    sequence = models.BigIntegerField(default=0, editable=False)

    class Meta:
        db_table = "audit_indexed"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="audit_indexed_one_row")]

    def __str__(self) -> str:
        return f"up to {self.sequence}"
