"""Sinks: where the audit log is sent, and how far each of them has come."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Min, Q
from django.urls import reverse

from audit.addresses import check_ca_bundle, check_proxy, is_loopback, parse_url

#: All of them together: each may have a thread of a worker in hand.
MOST_SINKS = 16
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class SinkQuerySet(models.QuerySet["Sink"]):
    def active(self) -> Self:
        return self.filter(paused_at=None)

    def due(self, at: datetime) -> Self:
        """Those that may be sent to now, and that nobody sends to."""
        free = Q(lease_until=None) | Q(lease_until__lte=at)
        return self.active().filter(free, Q(next_try_at=None) | Q(next_try_at__lte=at))

    def slowest_cursor(self) -> int | None:
        """The event up to which every active sink has all; None where there is no active sink."""
        slowest: int | None = self.active().aggregate(slowest=Min("cursor"))["slowest"]
        return slowest


class Sink(models.Model):
    """One place that gets events. `cursor` is the last event that it has, or that its search leaves out."""

    class Kind(models.TextChoices):
        HTTPS = "https", "HTTPS"
        SYSLOG = "syslog", "Syslog"
        FILE = "file", "File"

    class Format(models.TextChoices):
        JSON = "json", "JSON, as in exports"
        OCSF = "ocsf", "OCSF 1.6.0"
        CEF = "cef", "CEF"

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    name = models.CharField(max_length=60, unique=True, error_messages={"unique": "There is a sink with this name."})
    kind = models.CharField(max_length=10, choices=Kind, editable=False)
    format = models.CharField(max_length=10, choices=Format, default=Format.JSON)
    address = models.CharField(max_length=300)
    query = models.CharField("Only these events", max_length=2_000, blank=True, help_text="A search; empty: all.")
    zone = models.CharField(max_length=64, default="UTC", editable=False)  # of the times in the search
    proxy = models.CharField(
        max_length=300, blank=True, validators=[check_proxy], help_text="http://host:port, or empty."
    )
    ca_bundle = models.CharField(
        "CA bundle",
        max_length=500,
        blank=True,
        validators=[check_ca_bundle],
        help_text="A PEM file on the console's machine; empty: the well-known authorities.",
    )
    sealed_secret = models.CharField(max_length=500, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    cursor = models.BigIntegerField(default=0, editable=False)
    sent = models.BigIntegerField(default=0, editable=False)
    sent_at = models.DateTimeField(null=True, editable=False)
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    failures = models.IntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    next_try_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)

    objects = SinkQuerySet.as_manager()

    class Meta:
        db_table = "audit_sink"
        constraints = [
            models.CheckConstraint(condition=Q(kind__in=["https", "syslog", "file"]), name="audit_sink_kind_known"),
            models.CheckConstraint(condition=Q(format__in=["json", "ocsf", "cef"]), name="audit_sink_format_known"),
            models.CheckConstraint(
                condition=Q(kind="https") ^ Q(sealed_secret=""), name="audit_sink_secret_where_it_signs"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("audit:sink", args=[self.pk])

    def clean(self) -> None:
        try:
            _CHECKS[self.Kind(self.kind)](self.address)
        except ValidationError as error:
            raise ValidationError({"address": error.messages}) from None
        if self.proxy and self.kind != self.Kind.HTTPS:
            raise ValidationError({"proxy": "Only HTTPS goes through a proxy."})

    @property
    def path(self) -> Path:
        """Of the file that it writes."""
        return folder() / self.address


def check_https(value: str) -> None:
    """`https` to anywhere, `http` only to this machine: events tell of people."""
    parts = parse_url(value, "https", "http", example="https://collector.example.org/audit")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValidationError("Plain http would show the events to the network: use https (http only to this machine).")


def check_syslog(value: str) -> None:
    parts = parse_url(value, "tls", "tcp", example="tls://syslog.example.org:6514")
    if parts.path.strip("/"):
        raise ValidationError("Give host and port only, such as tls://syslog.example.org:6514.")


def check_file(value: str) -> None:
    """A name and no path: whoever manages sinks must not write elsewhere on the machine."""
    if not _FILE_NAME.fullmatch(value):
        raise ValidationError(
            "Give the name of a file, such as audit.jsonl, of letters, digits, dots, hyphens and underscores. It is "
            "written in the folder that CONSOLE_AUDIT_STREAM_DIR names."
        )


_CHECKS = {Sink.Kind.HTTPS: check_https, Sink.Kind.SYSLOG: check_syslog, Sink.Kind.FILE: check_file}


def folder() -> Path:
    """Where sinks may write files."""
    chosen: Path = settings.CONSOLE_AUDIT_STREAM_DIR or settings.CONSOLE_DATA_DIR / "streams"
    return chosen
