"""The audit log: one row an event, one row that holds the end of the chain, and what proves and keeps it."""

from __future__ import annotations

import json
from typing import Any, Self
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils.functional import cached_property

# Their tables belong to this app.
import audit.exports.models
import audit.reviews.models
import audit.streams.models  # noqa: F401
from audit.actions import Action
from audit.canonical import GENESIS, time_text


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
            # Searches go by `audit.search.index`; these are for what looks for one action, or for a moment.
            models.Index(fields=["action", "sequence"], name="audit_event_action"),
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

    @cached_property
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


class SigningKey(models.Model):
    """The public half of a key that signs, kept for ever so that what it signed can be checked after it was replaced.

    It signed the keys `earlier` than itself: who trusts the one that the console has now trusts those too.
    """

    key_id = models.CharField(max_length=16, primary_key=True, editable=False)
    public_key = models.TextField(editable=False)  # PEM
    earlier = models.TextField(editable=False)  # JSON text: a list of PEM texts
    at = models.DateTimeField(editable=False)
    signature = models.CharField(max_length=88, editable=False)

    class Meta:
        db_table = "audit_signing_key"

    def __str__(self) -> str:
        return self.key_id

    @property
    def facts(self) -> dict[str, Any]:
        """What was signed, and the signature."""
        return {
            "public_key": self.public_key,
            "earlier": json.loads(self.earlier),
            "at": time_text(self.at),
            "key": self.key_id,
            "signature": self.signature,
        }


class Checkpoint(models.Model):
    """A signed statement that the chain had this event as its newest at that time."""

    sequence = models.BigIntegerField(editable=False)
    hash = models.CharField(max_length=64, editable=False)
    at = models.DateTimeField(editable=False)
    key_id = models.CharField(max_length=16, editable=False)
    signature = models.CharField(max_length=88, editable=False)

    class Meta:
        db_table = "audit_checkpoint"
        indexes = [
            # Those of the events that a check walks over.
            models.Index(fields=["sequence"], name="audit_checkpoint_sequence"),
        ]

    def __str__(self) -> str:
        return f"checkpoint of event {self.sequence}"

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence,
            "hash": self.hash,
            "at": time_text(self.at),
            "key": self.key_id,
            "signature": self.signature,
        }


class Delivery(models.Model):
    """How far the checkpoints have left the machine by one way: all up to `checkpoint_id` have."""

    way = models.CharField(max_length=10, primary_key=True, editable=False)
    checkpoint_id = models.BigIntegerField(default=0, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)  # since the last success
    trouble = models.CharField(max_length=200, blank=True, editable=False)
    not_before = models.DateTimeField(null=True, editable=False)  # nobody else tries until then

    class Meta:
        db_table = "audit_delivery"

    def __str__(self) -> str:
        return self.way


class CheckQuerySet(models.QuerySet["Check"]):
    def sound(self) -> Self:
        return self.filter(flaw="")

    def full(self) -> Self:
        return self.filter(full=True)


class Check(models.Model):
    """One walk over the chain and what it found; `flaw` is empty where the chain held."""

    full = models.BooleanField(editable=False)  # from the beginning, not only what is new
    asked_by = models.CharField(max_length=200, editable=False)
    began_at = models.DateTimeField(editable=False)
    ended_at = models.DateTimeField(editable=False)
    first = models.BigIntegerField(editable=False)
    count = models.BigIntegerField(editable=False)
    sequence = models.BigIntegerField(editable=False)  # the last event that holds, and its hash
    hash = models.CharField(max_length=64, editable=False)
    flaw = models.CharField(max_length=40, blank=True, editable=False)
    flaw_sequence = models.BigIntegerField(null=True, editable=False)
    message = models.TextField(blank=True, editable=False)

    objects = CheckQuerySet.as_manager()

    class Meta:
        db_table = "audit_check"
        constraints = [
            models.CheckConstraint(
                condition=Q(flaw="", flaw_sequence=None, message="") | ~Q(flaw="") & Q(flaw_sequence__isnull=False),
                name="audit_check_flaw_is_named",
            ),
        ]

    def __str__(self) -> str:
        return f"check of {self.ended_at:%Y-%m-%d %H:%M}"


class Keeping(models.Model):
    """How long events are kept, and what somebody wants done about the log: one row.

    Without `days` they are kept for ever; while `held_at` is set, nothing is removed.
    """

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    days = models.PositiveIntegerField(null=True, blank=True)
    held_at = models.DateTimeField(null=True, blank=True, editable=False)
    held_by = models.CharField(max_length=200, blank=True, editable=False)
    hold_reason = models.CharField(max_length=500, blank=True)
    at_work_until = models.DateTimeField(null=True, blank=True, editable=False)  # whoever archives at the moment
    check_asked_by = models.TextField(blank=True, editable=False)  # JSON text of the actor who wants the log checked

    class Meta:
        db_table = "audit_keeping"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="audit_keeping_one_row"),
            models.CheckConstraint(condition=Q(days=None) | Q(days__gte=1), name="audit_keeping_a_day_at_least"),
            models.CheckConstraint(
                condition=Q(held_at=None, held_by="", hold_reason="") | Q(held_at__isnull=False) & ~Q(hold_reason=""),
                name="audit_keeping_hold_has_a_reason",
            ),
        ]

    def __str__(self) -> str:
        return "for ever" if self.days is None else f"{self.days} days"


class Cut(models.Model):
    """Where the chain was cut: the events `first` to `sequence` are in the file `archive`, and may be removed here."""

    first = models.BigIntegerField(editable=False)
    sequence = models.BigIntegerField(unique=True, editable=False)
    hash = models.CharField(max_length=64, editable=False)  # of the event `sequence`: the chain goes on from it
    at = models.DateTimeField(editable=False)
    archive = models.CharField(max_length=100, editable=False)
    digest = models.CharField(max_length=64, editable=False)  # SHA-256 of the file as it lies there
    key_id = models.CharField(max_length=16, editable=False)
    signature = models.CharField(max_length=88, editable=False)

    class Meta:
        db_table = "audit_cut"

    def __str__(self) -> str:
        return f"cut after event {self.sequence}"

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "sequence": self.sequence,
            "hash": self.hash,
            "at": time_text(self.at),
            "archive": self.archive,
            "digest": self.digest,
            "key": self.key_id,
            "signature": self.signature,
        }


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
    #: For each field that pages count by: the most frequent names, with how often they occur.
    names = models.JSONField()

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


class SavedSearch(models.Model):
    """A search under a name: its owner's own, or shared with everyone who may read the log."""

    name = models.CharField(max_length=60)
    line = models.TextField()
    shared = models.BooleanField(default=False)
    owner_id = models.CharField(max_length=200, editable=False)
    owner_label = models.CharField(max_length=200, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        db_table = "audit_saved_search"
        constraints = [models.UniqueConstraint(fields=["owner_id", "name"], name="audit_saved_search_name")]

    def __str__(self) -> str:
        return self.name
