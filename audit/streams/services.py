"""What an Administrator may do to sinks; each call is a whole transaction."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from audit.access import MANAGE, require
from audit.actions import Action
from audit.actors import Actor
from audit.clock import database_now
from audit.models import Event, Head
from audit.sealing import Secret, Unreadable, resealed, seal
from audit.search import QueryError, parse
from audit.services import record
from audit.streams.batches import Batch, NotTaken
from audit.streams.formats import line_of
from audit.streams.models import MOST_SINKS, Sink
from audit.streams.sending import DELIVER, target_of

SECRET_PREFIX = "acs_"


def add_sink(*, sink: Sink, from_beginning: bool, actor: Actor) -> Secret | None:
    """Begin to send, with the events to come or with the oldest that there is. Raises ValidationError.

    Returns the secret that signs, where the kind has one: it is shown now and never again.
    """
    require(actor, MANAGE)
    secret = _new_secret() if sink.kind == Sink.Kind.HTTPS else None
    sink.zone = timezone.get_current_timezone_name()
    _validate(sink)
    with _name_once(), transaction.atomic(durable=True):
        head = Head.objects.select_for_update().get()  # Two at once take turns, so that the count holds.
        if Sink.objects.count() >= MOST_SINKS:
            raise ValidationError(f"There are {MOST_SINKS} sinks already, which is the most: remove one first.")
        sink.created_at = database_now()
        sink.cursor = _before_the_oldest(head) if from_beginning else head.sequence
        sink.sealed_secret = seal(secret) if secret else ""
        sink.save(force_insert=True)
        record(Action.SINK_ADDED, actor=actor, target=target_of(sink), **facts_of(sink), from_beginning=from_beginning)
    return secret


def _before_the_oldest(head: Head) -> int:
    oldest = Event.objects.order_by("sequence").values_list("sequence", flat=True).first()
    return head.sequence if oldest is None else oldest - 1


def change_sink(*, sink: Sink, actor: Actor) -> None:
    """Keep the changed settings of `sink`; where it stands in the log stays as it is. Raises ValidationError."""
    require(actor, MANAGE)
    before = facts_of(Sink.objects.get(pk=sink.pk))
    sink.zone = timezone.get_current_timezone_name() if sink.query != before["query"] else sink.zone
    _validate(sink)
    changed = {name: [before[name], value] for name, value in facts_of(sink).items() if before[name] != value}
    if not changed:
        return
    with _name_once(), transaction.atomic(durable=True):
        # What was wrong may be mended now, so it is tried at once.
        columns = ["name", "format", "address", "query", "zone", "proxy", "ca_bundle"]
        values = {name: getattr(sink, name) for name in columns}
        Sink.objects.filter(pk=sink.pk).update(**values, next_try_at=None)
        record(Action.SINK_CHANGED, actor=actor, target=target_of(sink), changed=changed)


def _validate(sink: Sink) -> None:
    sink.query = sink.query.strip()
    sink.full_clean(exclude=["sealed_secret", "created_at"], validate_constraints=False)
    try:
        with timezone.override(ZoneInfo(sink.zone)):
            parse(sink.query)
    except QueryError as error:
        raise ValidationError({"query": error.message}) from None


@contextmanager
def _name_once() -> Iterator[None]:
    """Two people at once may give the same name; the constraint decides."""
    try:
        yield
    except IntegrityError:
        raise ValidationError({"name": "There is a sink with this name."}) from None


def facts_of(sink: Sink) -> dict[str, Any]:
    """A sink's settings as the log keeps them; nothing of its secret is among them."""
    return {name: getattr(sink, name) for name in ("name", "kind", "format", "address", "query", "proxy", "ca_bundle")}


def replace_secret(*, sink: Sink, actor: Actor) -> Secret:
    """Sign with a new secret from now on; it is shown now and never again."""
    require(actor, MANAGE)
    secret = _new_secret()
    with transaction.atomic(durable=True):
        if not Sink.objects.filter(pk=sink.pk, kind=Sink.Kind.HTTPS).update(sealed_secret=seal(secret)):
            raise ValidationError("Only sinks of the kind HTTPS sign with a secret.")
        record(Action.SINK_SECRET_REPLACED, actor=actor, target=target_of(sink))
    return secret


def _new_secret() -> Secret:
    return Secret(SECRET_PREFIX + secrets.token_urlsafe(32))


def pause_sink(*, sink: Sink, actor: Actor) -> bool:
    """Send nothing more to it, until it is resumed; False where it was paused already."""
    require(actor, MANAGE)
    with transaction.atomic(durable=True):
        paused = Sink.objects.active().filter(pk=sink.pk).update(paused_at=database_now())
        if paused:
            record(Action.SINK_PAUSED, actor=actor, target=target_of(sink))
    return bool(paused)


def resume_sink(*, sink: Sink, actor: Actor) -> bool:
    """Go on where it stood, at once; False where it was not paused."""
    require(actor, MANAGE)
    with transaction.atomic(durable=True):
        resumed = Sink.objects.filter(pk=sink.pk, paused_at__isnull=False).update(paused_at=None, next_try_at=None)
        if resumed:
            record(Action.SINK_RESUMED, actor=actor, target=target_of(sink))
    return bool(resumed)


def remove_sink(*, sink: Sink, actor: Actor) -> bool:
    """Forget it and where it stood; False where somebody was quicker."""
    require(actor, MANAGE)
    with transaction.atomic(durable=True):
        removed, _ = Sink.objects.filter(pk=sink.pk).delete()
        if removed:
            record(Action.SINK_REMOVED, actor=actor, target=target_of(sink), **facts_of(sink), cursor=sink.cursor)
    return bool(removed)


def test_sink(*, sink: Sink, actor: Actor) -> str:
    """Send it one event that is none, numbered 0; returns what is wrong, or nothing where it was taken."""
    require(actor, MANAGE)
    event = _test_event(sink, actor)
    try:
        DELIVER[sink.kind](Batch(sink, [(event, line_of(event, sink.format))], is_test=True), lambda: True)
        wrong = ""
    except NotTaken as error:
        wrong = str(error)
    with transaction.atomic(durable=True):
        if not wrong:  # What was wrong is mended: what waits is sent at once.
            Sink.objects.filter(pk=sink.pk).update(next_try_at=None)
        record(Action.SINK_TESTED, actor=actor, target=target_of(sink), works=not wrong, explanation=wrong)
    return wrong


def _test_event(sink: Sink, actor: Actor) -> Event:
    target = target_of(sink)
    return Event(
        sequence=0,
        at=database_now(),
        action=Action.SINK_TESTED,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_label=actor.label,
        target_kind=target.kind,
        target_id=target.id,
        target_label=target.label,
        data='{"test":true}',
        previous_hash="0" * 64,
        hash="0" * 64,
    )


def reseal_secrets(*, actor: Actor) -> tuple[int, list[str]]:
    """Encrypt every sink's secret with the newest key; returns how many, and the names of those no key decrypts."""
    require(actor, MANAGE)
    done, unreadable = 0, []
    for sink in Sink.objects.exclude(sealed_secret="").order_by("name"):
        try:
            sealed = resealed(sink.sealed_secret)
        except Unreadable:
            unreadable.append(sink.name)
            continue
        with transaction.atomic(durable=True):
            # Only if it is still the one that was read: an Administrator may replace it meanwhile.
            if Sink.objects.filter(pk=sink.pk, sealed_secret=sink.sealed_secret).update(sealed_secret=sealed):
                done += 1
                record(Action.CREDENTIAL_REENCRYPTED, actor=actor, target=target_of(sink))
    return done, unreadable
