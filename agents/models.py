"""Sources, their agent sessions, and what was asked to be done to them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from agents.states import FINAL, OPEN, State, sources_of
from audit.services import Target


class Contract(models.Model):
    """What the remote counts requests by; the row is the pacer's (`agents/pacer.py`), shared by all its sources."""

    name = models.CharField(max_length=60, unique=True)
    requests_per_minute = models.PositiveIntegerField(
        default=100,
        validators=[MaxValueValidator(60_000)],
        help_text="How many requests a minute the remote allows this contract. 0: no limit.",
    )
    # Seconds since 1970 by the database's clock: both databases can calculate with them in one statement.
    next_at = models.FloatField(default=0, editable=False)
    next_reading_at = models.FloatField(default=0, editable=False)
    blocked_until = models.DateTimeField(null=True, blank=True, editable=False)

    def __str__(self) -> str:
        return self.name

    def is_blocked(self, at: datetime) -> bool:
        return self.blocked_until is not None and self.blocked_until > at


class Source(models.Model):
    """Where agent sessions come from. What only its kind knows is in a model of that kind, one-to-one."""

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=20, editable=False)
    contract = models.ForeignKey(Contract, models.PROTECT, null=True, related_name="sources")
    polling_seconds = models.FloatField(
        "Polling interval",
        default=10,
        validators=[MinValueValidator(0.1), MaxValueValidator(3600)],
        help_text="Seconds between two readings of the list while nothing is to be confirmed.",
    )
    settle_seconds = models.FloatField(
        "Settle time",
        default=5,
        validators=[MinValueValidator(0.0), MaxValueValidator(600)],
        help_text="Seconds to wait after a lost answer before the list is read to see what happened.",
    )
    confirm_seconds = models.FloatField(
        "Confirm within",
        default=120,
        validators=[MinValueValidator(0.1), MaxValueValidator(3600)],
        help_text="Seconds in which an accepted disconnection must be seen gone.",
    )
    created_at = models.DateTimeField(editable=False)
    paused_at = models.DateTimeField(null=True, blank=True, editable=False)

    # The reading under way, on a lease: one reading of a source at a time, whichever process does it.
    reading_token = models.UUIDField(null=True, editable=False)
    reading_until = models.DateTimeField(null=True, editable=False)
    next_reading_at = models.DateTimeField(null=True, editable=False)

    # What the readings found. `read_*` are of the newest complete one, `previous_begun_at` of the one before it.
    read_begun_at = models.DateTimeField(null=True, editable=False)
    read_at = models.DateTimeField(null=True, editable=False)
    previous_begun_at = models.DateTimeField(null=True, editable=False)
    listed = models.PositiveIntegerField(default=0, editable=False)
    calls = models.PositiveIntegerField(default=1, editable=False)
    incomplete = models.CharField(max_length=300, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failure = models.CharField(max_length=500, blank=True, editable=False)
    unreadable_since = models.DateTimeField(null=True, blank=True, editable=False)
    #: Set with what a reading changed, cleared when that is noted on the disconnections it is about.
    unnoticed_since = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(polling_seconds__gt=0) & Q(confirm_seconds__gt=0) & Q(settle_seconds__gte=0),
                name="source_waits_are_positive",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("agents:source", args=[self.pk])

    @property
    def target(self) -> Target:
        return Target("source", str(self.pk), self.name)

    @property
    def polling(self) -> timedelta:
        return timedelta(seconds=self.polling_seconds)

    @property
    def settle(self) -> timedelta:
        return timedelta(seconds=self.settle_seconds)

    @property
    def confirm_within(self) -> timedelta:
        return timedelta(seconds=self.confirm_seconds)


class Credential(models.Model):
    """A secret that the console holds for a source; `agents/credentials.py` alone encrypts and decrypts."""

    class Purpose(models.TextChoices):
        READING = "reading", "Reading (Agent: Get)"
        DISCONNECTING = "disconnecting", "Disconnecting (Agent: Disconnect)"

    source = models.ForeignKey(Source, models.PROTECT, related_name="credentials")
    purpose = models.CharField(max_length=20, choices=Purpose)
    encrypted = models.TextField(editable=False)
    replaced_at = models.DateTimeField(editable=False)
    rejected_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["source", "purpose"], name="credential_once_per_purpose"),
            models.CheckConstraint(
                condition=Q(purpose__in=["reading", "disconnecting"]), name="credential_purpose_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose} credential of {self.source_id}"


class Reading(models.Model):
    """One pass over a source's list: when its first request left, when it was complete, what it saw."""

    class Outcome(models.TextChoices):
        COMPLETE = "complete", "Complete"
        INCOMPLETE = "incomplete", "Incomplete"
        UNREACHABLE = "unreachable", "Unreachable"
        REJECTED = "rejected", "Credential rejected"
        RATE_LIMITED = "rate_limited", "Refused by rate limit"
        NOT_UNDERSTOOD = "not_understood", "Answer not understood"

    source = models.ForeignKey(Source, models.CASCADE, related_name="readings")
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=20, choices=Outcome)
    calls = models.PositiveIntegerField(default=0)
    listed = models.PositiveIntegerField(default=0)
    new = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    gone = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        # The newest readings of one source, and the oldest of all for pruning.
        indexes = [models.Index(fields=["source", "-id"], name="reading_newest_of_source")]

    def __str__(self) -> str:
        return f"reading {self.pk} of {self.source_id}"

    @property
    def took(self) -> timedelta:
        return self.ended_at - self.begun_at


class AgentSessionQuerySet(models.QuerySet["AgentSession"]):
    def live(self) -> AgentSessionQuerySet:
        return self.filter(ended_at=None)

    def of_agents(self) -> AgentSessionQuerySet:
        """Without parts of something, such as memberships of private channels: connections of agents alone."""
        return self.filter(part_of="")

    def for_lists(self) -> AgentSessionQuerySet:
        """Without the wide columns, which no list shows."""
        return self.defer("received", "fingerprint")


class AgentSession(models.Model):
    """One connection of one agent to a source. Only readings write it; ended rows stay, as history."""

    class Phase(models.TextChoices):
        CONNECTED = "connected", "Connected"
        CLOSING = "closing", "Closing"
        ENDED = "ended", "Ended"

    class EndedBy(models.TextChoices):
        US = "us", "disconnected by the console"
        ITSELF = "itself", "by itself"

    source = models.ForeignKey(Source, models.PROTECT, related_name="sessions")
    session_id = models.CharField(max_length=255)
    agent_id = models.CharField(max_length=255)
    #: What this is only a part of: the private channel that it is an app's membership of. Empty: an agent's connection.
    part_of = models.CharField(max_length=255, blank=True)
    direction = models.CharField(max_length=20, blank=True)
    connection_ids = models.JSONField(default=list)
    #: The connection IDs in one text, for searching and sorting.
    connections = models.CharField(max_length=1000, blank=True)
    endpoint = models.CharField(max_length=255, blank=True)
    started_text = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField(null=True)
    version = models.CharField(max_length=64, blank=True)
    #: `version` as a number that sorts (agents/versions.py); null where it is not a version.
    version_number = models.BigIntegerField(null=True)
    closing = models.BooleanField(default=False)
    #: When a reading first saw `closing`.
    closing_since = models.DateTimeField(null=True)
    supports_disconnection = models.BooleanField(default=True)
    received = models.JSONField(default=dict)
    fingerprint = models.CharField(max_length=32)
    first_seen_at = models.DateTimeField()
    absent_since = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    ended_by = models.CharField(max_length=10, choices=EndedBy, blank=True)

    objects = AgentSessionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "session_id"], condition=Q(ended_at=None), name="session_live_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, ended_by="") | Q(ended_at__isnull=False, ended_by__in=["us", "itself"]),
                name="session_end_has_a_cause",
            ),
        ]
        indexes = [
            # The Sessions page, sorted by agent ID, its default.
            models.Index(fields=["agent_id", "id"], condition=Q(ended_at=None), name="session_live_by_agent"),
            # The history: ended sessions, newest first.
            models.Index(
                fields=["-ended_at", "-id", "part_of"], condition=Q(ended_at__isnull=False), name="session_ended_newest"
            ),
            # How many sessions each source has, and how many of them are closing, above every list.
            models.Index(
                fields=["source", "closing", "part_of"], condition=Q(ended_at=None), name="session_live_counted"
            ),
            # What is part of one thing: the members of a private channel.
            models.Index(fields=["source", "part_of"], condition=~Q(part_of=""), name="session_parts"),
            # Earlier sessions of one agent.
            models.Index(fields=["source", "agent_id", "-id"], name="session_of_agent"),
        ]

    def __str__(self) -> str:
        return self.agent_id

    def get_absolute_url(self) -> str:
        return reverse("agents:session", args=[self.pk])

    @property
    def phase(self) -> Phase:
        if self.ended_at:
            return self.Phase.ENDED
        return self.Phase.CLOSING if self.closing else self.Phase.CONNECTED

    @property
    def target(self) -> Target:
        kind = "membership" if self.part_of else "agent session"
        return Target(kind, str(self.pk), f"{self.agent_id} ({self.session_id})")


class Operation(models.Model):
    """One act of a person or program that asks for one or many disconnections."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    #: Made with the form, so that a form sent twice is one operation.
    token = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    reason = models.CharField(max_length=500)
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="operations"
    )
    actor_kind = models.CharField(max_length=20)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=200)
    size = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["-requested_at", "id"], name="operation_newest")]

    def __str__(self) -> str:
        return str(self.pk)

    def get_absolute_url(self) -> str:
        return reverse("agents:operation", args=[self.pk])

    @property
    def target(self) -> Target:
        return Target("operation", str(self.pk), f"{self.size} agent session{'s' if self.size != 1 else ''}")


class DisconnectionQuerySet(models.QuerySet["Disconnection"]):
    def open(self) -> DisconnectionQuerySet:
        return self.filter(state__in=OPEN)

    def final(self) -> DisconnectionQuerySet:
        return self.filter(state__in=FINAL)

    def able_to_become(self, target: State) -> DisconnectionQuerySet:
        return self.filter(state__in=sources_of(target))

    def sendable(self) -> DisconnectionQuerySet:
        """Queued, or to be sent again because a reading still lists the session after a lost answer."""
        still_listed = Q(session__ended_at=None, session__absent_since=None, session__closing=False)
        return self.filter(Q(state=State.QUEUED) | Q(state=State.SENDING, resend=True) & still_listed)

    def due(self, at: datetime) -> DisconnectionQuerySet:
        return self.sendable().filter(not_before__lte=at)

    def awaiting_reading(self) -> DisconnectionQuerySet:
        """Whose next move a reading decides: accepted, or sent and without a usable answer."""
        unanswered = Q(state=State.SENDING, resend=False) & ~Q(answer="")
        return self.filter(Q(state=State.ACCEPTED) | unanswered)


class Disconnection(models.Model):
    """One request to end one agent session. The row is the outbox: what it says is what is to be done."""

    class Answer(models.TextChoices):
        """What an attempt left open, for a reading to decide."""

        LOST = "lost", "answer lost"
        NO = "no", "the remote said no"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    operation = models.ForeignKey(Operation, models.PROTECT, related_name="disconnections")
    source = models.ForeignKey(Source, models.PROTECT, related_name="disconnections")
    session = models.ForeignKey(AgentSession, models.PROTECT, related_name="disconnections")
    state = models.CharField(max_length=20, choices=State, default=State.QUEUED)
    # Whom it was asked for, as the list said then: compared again before each call.
    session_id_then = models.CharField(max_length=255)
    endpoint_then = models.CharField(max_length=255)
    agent_id_then = models.CharField(max_length=255)
    started_then = models.CharField(max_length=64, blank=True)

    requested_at = models.DateTimeField()
    send_by = models.DateTimeField()
    not_before = models.DateTimeField()
    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    #: Attempts that may have arrived; three are all.
    posts = models.PositiveSmallIntegerField(default=0)
    tries = models.PositiveSmallIntegerField(default=0)
    answer = models.CharField(max_length=10, choices=Answer, blank=True)
    resend = models.BooleanField(default=False)
    attempt_ended_at = models.DateTimeField(null=True)
    accepted_at = models.DateTimeField(null=True)
    confirm_by = models.DateTimeField(null=True)
    confirm_latest = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    explanation = models.CharField(max_length=1000, blank=True)
    came_back_as = models.ForeignKey(AgentSession, models.PROTECT, null=True, blank=True, related_name="return_of")
    came_back_at = models.DateTimeField(null=True)
    seen_gone_at = models.DateTimeField(null=True)

    objects = DisconnectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["session"], condition=Q(state__in=sorted(OPEN)), name="disconnection_open_once"
            ),
            models.CheckConstraint(condition=Q(state__in=sorted(State)), name="disconnection_state_is_known"),
            models.CheckConstraint(
                condition=Q(state__in=sorted(OPEN), finished_at=None)
                | Q(state__in=sorted(FINAL), finished_at__isnull=False),
                name="disconnection_finished_when_final",
            ),
            models.CheckConstraint(
                condition=Q(lease_token=None) | Q(state=State.SENDING), name="disconnection_leased_only_while_sending"
            ),
        ]
        indexes = [
            # The sweep: what is due, what waits, whose lease ran out.
            models.Index(fields=["state", "not_before"], condition=Q(finished_at=None), name="disconnection_open"),
            models.Index(
                fields=["source", "state"], condition=Q(finished_at=None), name="disconnection_open_of_source"
            ),
            models.Index(fields=["operation", "state"], name="disconnection_of_operation"),
            models.Index(fields=["finished_at"], name="disconnection_finished"),
            # The API's list of all of them.
            models.Index(fields=["-requested_at", "id"], name="disconnection_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id_then} {self.state}"

    @property
    def target(self) -> Target:
        return Target("disconnection", str(self.pk), f"{self.agent_id_then} ({self.session_id_then})")

    @property
    def last_step_at(self) -> datetime:
        return self.finished_at or self.accepted_at or self.attempt_ended_at or self.requested_at

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


class Attempt(models.Model):
    """One call to the remote for a disconnection, and what came back."""

    class Result(models.TextChoices):
        ACCEPTED = "accepted", "accepted"
        REFUSED = "refused", "refused"
        NOT_ARRIVED = "not_arrived", "never arrived"
        LOST = "lost", "answer lost"
        REJECTED = "rejected", "credential rejected"
        RATE_LIMITED = "rate_limited", "refused by rate limit"

    disconnection = models.ForeignKey(Disconnection, models.PROTECT, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    begun_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=20, choices=Result, blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    code = models.CharField(max_length=100, blank=True)
    message = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["disconnection", "number"], name="attempt_number_once"),
            models.CheckConstraint(
                condition=Q(ended_at=None, result="") | Q(ended_at__isnull=False) & ~Q(result=""),
                name="attempt_has_result_when_ended",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None) | Q(ended_at__gte=F("begun_at")), name="attempt_ends_after_it_begins"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.disconnection_id}"
