"""Starts, stops and silences of the console's own parts, on record.

A part that stops in good order says so; one that is killed leaves its last sign of life, and the gap is put on record
when it is back (`console.heartbeats`). A database that is away must not keep a part from starting or ending, so here a
failure is a line in the log.
"""

import logging
import os
import socket
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, transaction

from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import Target, record
from console.models import Heartbeat

logger = logging.getLogger(__name__)


def part(name: str) -> Target:
    """`name` is web, beat, or what Celery calls a worker."""
    return Target("part", name, name)


def note_start(name: str) -> None:
    _note(Action.SYSTEM_STARTED, name)


def note_stop(name: str) -> None:
    """In good order, so that its silence from now on is none: its sign of life goes too."""
    _note(Action.SYSTEM_STOPPED, name)


def note_silence(name: str, *, since: datetime, until: datetime) -> None:
    """Inside the caller's transaction."""
    facts: dict[str, Any] = {"from": since.isoformat(), "until": until.isoformat()}
    record(Action.SYSTEM_SILENT, actor=CONSOLE, target=part(name), **facts)


def note_loss(name: str, *, since: datetime) -> None:
    """Inside the caller's transaction."""
    record(Action.SYSTEM_LOST, actor=CONSOLE, target=part(name), last_sign=since.isoformat())


def _note(action: Action, name: str) -> None:
    try:
        with transaction.atomic():
            if action is Action.SYSTEM_STOPPED:
                Heartbeat.objects.filter(name=name).delete()
            record(action, actor=CONSOLE, target=part(name), host=socket.gethostname(), process=os.getpid())
    except (DatabaseError, InterfaceError) as error:
        logger.warning("%s of %s could not be put on record: %s", action.label, name, error)
    finally:
        connections.close_all()  # It may fork now, or end.
