"""What people and programs may do with exports; each call is a whole transaction."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils import timezone

from audit import nudging
from audit.access import READ, require
from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.clock import database_now
from audit.exports.models import Export, ExportQuerySet
from audit.models import Head
from audit.search import QueryError, parse
from audit.services import Target, record

State = Export.State


class Gone(Exception):
    """There is no file any more, or none yet; says why."""


def target_of(export: Export) -> Target:
    return Target("audit export", str(export.pk), f"audit export {str(export.pk)[:8]}")


def facts_of(export: Export) -> dict[str, Any]:
    return {"query": export.query, "format": export.format, "up_to": export.up_to}


def visible(actor: Actor) -> ExportQuerySet:
    """A person who may read the log sees every export of it; an API key sees its own."""
    require(actor, READ)
    return Export.objects.of(actor) if actor.kind == "API key" else Export.objects.all()


def new_export(*, query: str, format: str, actor: Actor) -> Export:
    """What is asked for, not saved yet. Raises ValidationError."""
    export = Export(query=query.strip(), format=format, zone=timezone.get_current_timezone_name())
    try:
        parse(export.query)
    except QueryError as error:
        raise ValidationError({"query": error.message}) from None
    export.clean_fields(exclude=[field.name for field in Export._meta.fields if not field.editable])
    export.actor_kind, export.actor_id, export.actor_label = actor.kind, actor.id, actor.label
    return export


def request_export(*, query: str, format: str, actor: Actor) -> Export:
    """Have a search made into a file. Times in it without a zone are in the current one. Raises ValidationError."""
    require(actor, READ)
    export = new_export(query=query, format=format, actor=actor)
    with transaction.atomic(durable=True):
        # The head is locked by recording in the end anyway; locked first, two at once can't both be the last allowed.
        head = Head.objects.select_for_update().get()
        if Export.objects.of(actor).held().count() >= settings.CONSOLE_AUDIT_EXPORTS_EACH:
            raise ValidationError(
                f"You have {settings.CONSOLE_AUDIT_EXPORTS_EACH} exports already: remove one that is done with."
            )
        export.requested_at, export.up_to = database_now(), head.sequence
        export.save(force_insert=True)
        record(Action.EXPORT_REQUESTED, actor=actor, target=target_of(export), **facts_of(export))
        transaction.on_commit(lambda: _nudge(export), robust=True)
    return export


def _nudge(export: Export) -> None:
    from audit.tasks import look

    nudging.nudge(look, str(export))


def end_export(*, export: Export, actor: Actor) -> bool:
    """Cancel it while it is being made, remove its file when it is ready; False where it had ended already."""
    require(actor, READ)
    if actor.kind == "API key" and not export.belongs_to(actor):
        raise PermissionDenied("An API key ends its own exports only.")
    at = database_now()
    with transaction.atomic(durable=True):
        cancelled = Export.objects.unfinished().filter(pk=export.pk)
        if cancelled.update(state=State.CANCELLED, lease_token=None, finished_at=at):
            record(Action.EXPORT_CANCELLED, actor=actor, target=target_of(export), **facts_of(export))
            return True
    return _remove(export, actor, "removed before its time")


def expire(at: datetime) -> None:
    """Remove the files whose time has come, and what a worker that died has left."""
    for export in Export.objects.filter(state=State.READY, expires_at__lte=at):
        _remove(export, CONSOLE, "its time had come")


def _remove(export: Export, actor: Actor, why: str) -> bool:
    with transaction.atomic(durable=True):
        if not Export.objects.filter(pk=export.pk, state=State.READY).update(state=State.EXPIRED, explanation=why):
            return False
        record(Action.EXPORT_EXPIRED, actor=actor, target=target_of(export), why=why)
    with suppress(OSError):  # What can't be removed now, `sweep_away` finds later.
        export.path.unlink()
    return True


def take_file(*, export: Export, actor: Actor) -> BinaryIO:
    """The open file, once it is on record who takes it; raises `Gone` where there is none."""
    require(actor, READ)
    if export.state != State.READY or export.is_over(database_now()):
        raise Gone(f"There is no file of this export: {export.get_state_display().lower()}.")
    try:
        file = export.path.open("rb")
    except FileNotFoundError:
        raise Gone(
            "The file of this export is not on this machine. Where the console runs on several hosts,"
            " CONSOLE_AUDIT_EXPORT_DIR must be a folder that all of them share."
        ) from None
    with transaction.atomic(durable=True):
        record(
            Action.EXPORT_DOWNLOADED,
            actor=actor,
            target=target_of(export),
            **facts_of(export),
            events=export.count,
            sha256=export.digest,
        )
    return file


def kept_for() -> timedelta:
    return timedelta(hours=settings.CONSOLE_AUDIT_EXPORT_HOURS)
