"""What the audit log does by itself, by its schedule: checkpoints, their way out, checks, retention."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import DatabaseError, transaction

from audit import checkpoints, checks, keeping, leaving
from audit.actions import Action
from audit.actors import CONSOLE
from audit.clock import database_now
from audit.models import Event
from audit.services import record

logger = logging.getLogger(__name__)
#: Between two looks of one worker for what is due.
EVERY = timedelta(seconds=10)
#: A failure of archiving is put on record so often at the most.
REMIND_AFTER = timedelta(days=1)


def do(*_: object) -> None:
    """Whatever is due. What fails is tried again at the next look, and does not keep the others from their turn."""
    at = database_now()
    checkpoints.make_if_due(at)
    leaving.send_all(at)
    checks.check_if_due(at)
    try:
        keeping.apply_if_due(at)
    except keeping.NotArchived as error:
        _note_failure(str(error))


def _note_failure(why: str) -> None:
    logger.error("Old events of the audit log were not archived: %s", why)
    recent = Event.objects.filter(action=Action.AUDIT_ARCHIVE_FAILED, at__gte=database_now() - REMIND_AFTER)
    if recent.order_by("-sequence").exists():
        return
    try:
        with transaction.atomic(durable=True):
            record(Action.AUDIT_ARCHIVE_FAILED, actor=CONSOLE, target=checkpoints.AUDIT_LOG, reason=why)
    except DatabaseError:
        logger.exception("That could not be put on record")
