from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Lower


class PersonManager(UserManager["User"]):
    def create_superuser(self, *args: Any, **values: Any) -> "User":
        """What `manage.py createsuperuser` calls, and nothing else does: an Administrator, and the event of it."""
        from console.people.services import record_administrator

        with transaction.atomic():
            person = super().create_superuser(*args, **values)
            record_administrator(person)
        return person


class User(AbstractUser):
    """A person who signs in. Roles are Django groups (`apikeys.rights.ROLES`); a superuser is an Administrator."""

    time_zone = models.CharField(max_length=64, default="UTC")
    # Part of what each sign-in is checked against on every request: one more ends them all at once.
    sign_in_epoch = models.PositiveIntegerField(default=0, editable=False)

    objects = PersonManager()  # type: ignore[misc]

    class Meta(AbstractUser.Meta):
        constraints = [
            # Sign-in ignores case, so names that differ by case alone would be one person to it.
            models.UniqueConstraint(
                Lower("username"),
                name="person_username_unique",
                violation_error_message="There is already a person with that username.",
            ),
        ]

    def get_session_auth_hash(self) -> str:
        return f"{super().get_session_auth_hash()}:{self.sign_in_epoch}"

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        for earlier in super().get_session_auth_fallback_hash():
            yield f"{earlier}:{self.sign_in_epoch}"


class OneTimeLinkQuerySet(models.QuerySet["OneTimeLink"]):
    def usable(self, at: datetime) -> "OneTimeLinkQuerySet":
        return self.filter(used_at=None, expires_at__gt=at)


class OneTimeLink(models.Model):
    """A link that lets whoever holds it choose a password once; only the digest of its token is kept."""

    class Purpose(models.TextChoices):
        SETUP = "setup", "make the first Administrator"
        INVITATION = "invitation", "join"
        PASSWORD = "password", "choose a new password"

    purpose = models.CharField(max_length=10, choices=Purpose, editable=False)
    person = models.ForeignKey(User, models.PROTECT, null=True, blank=True, editable=False, related_name="links")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    made_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(editable=False)
    used_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = OneTimeLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(purpose="setup", person=None)
                | Q(purpose__in=["invitation", "password"], person__isnull=False),
                name="link_person_unless_setup",
            ),
            models.CheckConstraint(condition=Q(expires_at__gt=F("made_at")), name="link_expires_after_made"),
            # A newer link ends the older ones: at most one of a person, and one for the set-up, is open.
            models.UniqueConstraint(fields=["person"], condition=Q(used_at=None), name="link_one_open_per_person"),
            models.UniqueConstraint(
                fields=["purpose"], condition=Q(purpose="setup", used_at=None), name="link_one_open_setup"
            ),
        ]

    def __str__(self) -> str:
        return f"link {self.pk} to {self.get_purpose_display()}"


class Heartbeat(models.Model):
    """When a part that works in the background was last seen at work (`console.heartbeats`)."""

    name = models.CharField(max_length=255, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
