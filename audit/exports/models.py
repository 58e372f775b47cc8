"""Exports: a row says what is to be made, how far it has come, and where the file is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from audit.actors import Actor


class ExportQuerySet(models.QuerySet["Export"]):
    def unfinished(self) -> Self:
        return self.filter(state__in=[Export.State.QUEUED, Export.State.RUNNING])

    def held(self) -> Self:
        """Those that take room, or will."""
        return self.filter(state__in=[Export.State.QUEUED, Export.State.RUNNING, Export.State.READY])

    def of(self, actor: Actor) -> Self:
        return self.filter(actor_kind=actor.kind, actor_id=actor.id)


class Export(models.Model):
    """One search taken away as a file, up to the event that was the newest when it was asked for."""

    class Format(models.TextChoices):
        LINES = "jsonl", "JSON Lines, signed"
        CSV = "csv", "CSV"

    class State(models.TextChoices):
        QUEUED = "queued", "Waiting for a worker"
        RUNNING = "running", "Being made"
        READY = "ready", "Ready"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        EXPIRED = "expired", "Removed"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    query = models.CharField(max_length=2_000, blank=True)
    zone = models.CharField(max_length=64, default="UTC", editable=False)  # of the times in the search
    format = models.CharField(max_length=10, choices=Format, default=Format.LINES)
    state = models.CharField(max_length=10, choices=State, default=State.QUEUED, editable=False)
    actor_kind = models.CharField(max_length=40, editable=False)
    actor_id = models.CharField(max_length=200, editable=False)
    actor_label = models.CharField(max_length=200, editable=False)
    requested_at = models.DateTimeField(editable=False)
    up_to = models.BigIntegerField(editable=False)  # the newest event then
    attempts = models.SmallIntegerField(default=0, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    looked_at = models.BigIntegerField(default=0, editable=False)  # events up to this one are looked through
    count = models.BigIntegerField(default=0, editable=False)
    size = models.BigIntegerField(default=0, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)
    file_name = models.CharField(max_length=100, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    explanation = models.CharField(max_length=500, blank=True, editable=False)

    objects = ExportQuerySet.as_manager()

    class Meta:
        db_table = "audit_export"
        indexes = [
            # The sweep: what is to be made, and what is to be removed.
            models.Index(
                fields=["requested_at"], condition=Q(state__in=["queued", "running"]), name="audit_export_unfinished"
            ),
            models.Index(fields=["expires_at"], condition=Q(state="ready"), name="audit_export_ready"),
            models.Index(fields=["-requested_at", "id"], name="audit_export_newest"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["queued", "running", "ready", "failed", "cancelled", "expired"]),
                name="audit_export_state_known",
            ),
            models.CheckConstraint(condition=Q(format__in=["jsonl", "csv"]), name="audit_export_format_known"),
            models.CheckConstraint(
                condition=~Q(state="ready") | ~Q(file_name="") & Q(expires_at__isnull=False),
                name="audit_export_ready_has_a_file",
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True, state__in=["queued", "running"])
                | Q(finished_at__isnull=False, state__in=["ready", "failed", "cancelled", "expired"]),
                name="audit_export_finished_at_its_end",
            ),
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("audit:export", args=[self.pk])

    @property
    def is_open(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def per_cent(self) -> int:
        return 100 * self.looked_at // self.up_to if self.up_to else 100

    @property
    def path(self) -> Path:
        return folder() / self.file_name

    @property
    def download_name(self) -> str:
        """What a browser saves the file as."""
        return f"audit-{timezone.localtime(self.requested_at):%Y-%m-%d-%H%M%S}.{self.format}"

    def belongs_to(self, actor: Actor) -> bool:
        return (self.actor_kind, self.actor_id) == (actor.kind, actor.id)

    def is_over(self, at: datetime) -> bool:
        return self.state == self.State.READY and self.expires_at is not None and self.expires_at <= at


def folder() -> Path:
    """Where the files are; on several hosts one that they share."""
    chosen: Path = settings.CONSOLE_AUDIT_EXPORT_DIR or settings.CONSOLE_DATA_DIR / "exports"
    return chosen
