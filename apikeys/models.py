"""API keys that the console issues. What they may do is decided in `apikeys/checking.py`, and nowhere else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from audit.services import Target

#: A key that nobody has used for this long is worth a look.
UNUSED_FOR = timedelta(days=90)
#: Days before its end at which a key is warned of, each once.
WARNINGS = (30, 7, 1)


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self) -> Self:
        return self.filter(revoked_at=None)

    def usable(self, at: datetime) -> Self:
        return self.live().filter(paused_at=None, expires_at__gt=at)

    def expiring(self, at: datetime) -> Self:
        """Those that end within the first warning's time, and are not over yet."""
        return self.live().filter(expires_at__gt=at, expires_at__lte=at + timedelta(days=WARNINGS[0]))

    def unused(self, at: datetime) -> Self:
        """Not used for long: neither ever since it was made, nor lately."""
        idle = Q(last_used_at__lt=at - UNUSED_FOR) | Q(last_used_at=None, created_at__lt=at - UNUSED_FOR)
        return self.live().filter(idle)


class ApiKey(models.Model):
    """What a program may do here, and until when. The secret is in `ApiKeySecret`, as a digest only."""

    name = models.CharField(max_length=60)
    note = models.TextField(blank=True, max_length=500)
    # Nobody: the key is the console's own.
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="api_keys")
    scopes = models.JSONField(default=list)
    # Names of sources, as `agents` knows them; empty where the key may touch all of them.
    sources = models.JSONField(default=list, blank=True)
    all_sources = models.BooleanField(default=True)
    # Networks (CIDR) that the key may come from; empty: from everywhere.
    addresses = models.JSONField(default=list, blank=True)
    requests_per_minute = models.PositiveIntegerField(
        "Requests a minute", default=600, validators=[MinValueValidator(1), MaxValueValidator(60_000)]
    )
    expires_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)
    created_by_label = models.CharField(max_length=200, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_address = models.CharField(max_length=64, blank=True, editable=False)
    # Minutes since 1970, and the requests of that minute that web processes have taken (`apikeys/throttling.py`).
    rate_minute = models.BigIntegerField(default=0, editable=False)
    rate_taken = models.PositiveIntegerField(default=0, editable=False)
    # The days of the last warning of this end that is on record, and of the last that was sent (`apikeys/expiry.py`).
    warned_days = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)
    mailed_days = models.PositiveSmallIntegerField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(revoked_at=None),
                name="apikey_live_name_unique",
                violation_error_message="There is a key with this name already.",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="apikey_expires_after_creation"),
            models.CheckConstraint(condition=Q(requests_per_minute__gt=0), name="apikey_some_requests"),
        ]
        indexes = [
            # The list by name, and its filter and the daily look for keys about to expire.
            models.Index(fields=["name", "id"], name="apikey_by_name"),
            models.Index(fields=["expires_at"], condition=Q(revoked_at=None), name="apikey_expiring"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("apikeys:key", args=[self.pk])

    @property
    def target(self) -> Target:
        return Target("API key", str(self.pk), self.name)

    def state(self, at: datetime) -> str:
        """`revoked`, `expired`, `paused`, `expiring` or `active`: the first that is true."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at <= at:
            return "expired"
        if self.paused_at:
            return "paused"
        return "expiring" if self.expires_at <= at + timedelta(days=WARNINGS[0]) else "active"


class ApiKeySecretQuerySet(models.QuerySet["ApiKeySecret"]):
    def current(self) -> Self:
        return self.filter(ends_at=None)

    def overlapping(self, at: datetime) -> Self:
        """Replaced, but good for a while yet."""
        return self.filter(ends_at__gt=at)


class ApiKeySecret(models.Model):
    """One secret of a key: the current one, or one that was replaced and ends (or ended) at `ends_at`.

    Those that have ended stay, so that the audit log can tell a replaced secret from an unknown one.
    """

    key = models.ForeignKey(ApiKey, models.PROTECT, related_name="secrets", editable=False)
    public_part = models.CharField(max_length=12, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    pepper_id = models.CharField(max_length=12, editable=False)
    made_at = models.DateTimeField(editable=False)
    ends_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_address = models.CharField(max_length=64, blank=True, editable=False)

    objects = ApiKeySecretQuerySet.as_manager()

    class Meta:
        constraints = [
            # Not `unique=True`, which on PostgreSQL adds a second index for LIKE.
            models.UniqueConstraint(fields=["public_part"], name="apikeysecret_public_part_unique"),
            models.UniqueConstraint(fields=["key"], condition=Q(ends_at=None), name="apikeysecret_one_current"),
        ]

    def __str__(self) -> str:
        return f"ac_{self.public_part}_…"


class ApiKeyUse(models.Model):
    """How often a key came to one endpoint on one day (UTC). Written by `apikeys/use.py` at most once a minute."""

    key = models.ForeignKey(ApiKey, models.PROTECT, related_name="uses", editable=False)
    day = models.DateField(editable=False)
    endpoint = models.CharField(max_length=120, editable=False)
    requests = models.PositiveIntegerField(default=0, editable=False)
    refused = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "day", "endpoint"], name="apikeyuse_once_a_day")]
        # What is too old to be kept.
        indexes = [models.Index(fields=["day"], name="apikeyuse_by_day")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.day} {self.endpoint}"


class IdempotentRequest(models.Model):
    """A POST with an Idempotency-Key, and its answer once there is one (`apikeys/idempotency.py`)."""

    key = models.ForeignKey(ApiKey, models.PROTECT, related_name="+", editable=False)
    sent = models.CharField(max_length=255, editable=False)
    # Of method, path and body; never the body itself.
    fingerprint = models.CharField(max_length=64, editable=False)
    begun_at = models.DateTimeField(editable=False)
    token = models.UUIDField(editable=False)
    # None while it is under way.
    status = models.PositiveSmallIntegerField(null=True, editable=False)
    location = models.CharField(max_length=500, blank=True, editable=False)
    body = models.TextField(blank=True, editable=False)
    secret_of = models.CharField(max_length=60, blank=True, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "sent"], name="idempotentrequest_once")]
        # Those that are a day old and go.
        indexes = [models.Index(fields=["begun_at"], name="idempotentrequest_oldest")]

    def __str__(self) -> str:
        return f"{self.key_id} {self.sent}"
