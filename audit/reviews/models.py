"""Marks of reviewers: each says who has looked at an event, or at all of an operation, and what they found."""

from __future__ import annotations

from typing import Self
from uuid import UUID

from django.db import models
from django.db.models import Q

LONGEST_NOTE = 1_000


class ReviewQuerySet(models.QuerySet["Review"]):
    def of(self, *, event: int | None = None, operation: UUID | None = None) -> Self:
        """The marks of this event, and of the operation as a whole."""
        found = Q(pk__in=[])
        if event is not None:
            found |= Q(event=event)
        if operation is not None:
            found |= Q(operation=operation)
        return self.filter(found)


class Review(models.Model):
    """One mark, of an event or of an operation; written once, which the database itself sees to."""

    event = models.BigIntegerField(null=True, editable=False)  # no foreign key: retention removes events
    operation = models.UUIDField(null=True, editable=False)
    note = models.CharField(max_length=LONGEST_NOTE, blank=True, editable=False)
    actor_kind = models.CharField(max_length=40, editable=False)
    actor_id = models.CharField(max_length=200, editable=False)
    actor_label = models.CharField(max_length=200, editable=False)
    at = models.DateTimeField(editable=False)

    objects = ReviewQuerySet.as_manager()

    class Meta:
        db_table = "audit_review"
        indexes = [
            # Whether an event, or an operation, has been reviewed.
            models.Index(fields=["event"], condition=Q(event__isnull=False), name="audit_review_event"),
            models.Index(fields=["operation"], condition=Q(operation__isnull=False), name="audit_review_operation"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(event__isnull=True) ^ Q(operation__isnull=True), name="audit_review_of_one_thing"
            ),
        ]

    def __str__(self) -> str:
        return f"review of {f'operation {self.operation}' if self.operation else f'event {self.event}'}"
