"""How checkpoints leave the machine: into a file, the log, a web address. Each way keeps its own place.

What is signed here is of use only where whoever owns this machine can't change it. A way that fails is tried again,
later each time, and holds up neither the others nor anything else.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from audit import outbound
from audit.actions import Action
from audit.actors import CONSOLE
from audit.checkpoints import AUDIT_LOG
from audit.lines import line
from audit.models import Checkpoint, Delivery
from audit.outbound import Limits, Lost, NeverLeft
from audit.services import record

logger = logging.getLogger("audit.checkpoint")
#: That one try of one way may take; nobody else tries meanwhile.
_LEASE = timedelta(minutes=5)
#: Checkpoints sent in one try.
_MOST = 50
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=15), timedelta(hours=1)
#: So many failures in a row are put on record.
FAILING = 3


class NotSent(Exception):
    """Why, as the end of a sentence."""


def ways() -> dict[str, Callable[[Mapping[str, Any]], None]]:
    """Those that are set up."""
    return {
        "log": _log,
        **({"file": _append} if settings.CONSOLE_AUDIT_CHECKPOINT_FILE else {}),
        **({"webhook": _post} if settings.CONSOLE_AUDIT_CHECKPOINT_WEBHOOK else {}),
    }


def send_all(at: datetime) -> None:
    """Send by each way what it has not taken yet."""
    newest = Checkpoint.objects.order_by("-pk").values_list("pk", flat=True).first()
    for name, send in ways().items():
        delivery, _ = Delivery.objects.get_or_create(way=name)
        free = Q(not_before=None) | Q(not_before__lte=at)
        if newest is None or delivery.checkpoint_id >= newest:
            continue
        if Delivery.objects.filter(free, pk=name).update(not_before=at + _LEASE):
            _send(Delivery.objects.get(pk=name), send, at)


def stuck() -> list[Delivery]:
    """The ways, of those that are set up, that have failed for a while."""
    return list(Delivery.objects.filter(way__in=ways(), failures__gte=FAILING).order_by("way"))


def _send(delivery: Delivery, send: Callable[[Mapping[str, Any]], None], at: datetime) -> None:
    mine = Delivery.objects.filter(pk=delivery.pk, not_before=delivery.not_before)
    for checkpoint in Checkpoint.objects.filter(pk__gt=delivery.checkpoint_id).order_by("pk")[:_MOST]:
        try:
            send(checkpoint.facts)
        except NotSent as error:
            _failed(delivery, str(error), at)
            return
        if not mine.update(checkpoint_id=checkpoint.pk):
            return  # It took longer than the lease, and another goes on.
    _succeeded(delivery)


@transaction.atomic(durable=True)
def _failed(delivery: Delivery, trouble: str, at: datetime) -> None:
    failures = delivery.failures + 1
    pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, 20), _LONGEST_PAUSE)
    Delivery.objects.filter(pk=delivery.pk).update(failures=failures, trouble=trouble[:200], not_before=at + pause)
    if failures == FAILING:
        record(Action.AUDIT_CHECKPOINTS_STUCK, actor=CONSOLE, target=AUDIT_LOG, way=delivery.way, trouble=trouble)


@transaction.atomic(durable=True)
def _succeeded(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(failures=0, trouble="", not_before=None)
    if delivery.failures >= FAILING:
        record(Action.AUDIT_CHECKPOINTS_LEAVE, actor=CONSOLE, target=AUDIT_LOG, way=delivery.way)


def _log(facts: Mapping[str, Any]) -> None:
    logger.info("%s", line("checkpoint", facts).decode().rstrip())


def _append(facts: Mapping[str, Any]) -> None:
    path = str(settings.CONSOLE_AUDIT_CHECKPOINT_FILE)
    try:
        file = os.open(
            path,
            os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC,
            0o600,
        )
        try:
            data = line("checkpoint", facts)
            if os.write(file, data) != len(data):
                os.write(file, b"\n")  # The next one must not continue half of this.
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise NotSent(f"the file can't be written: {error.strerror}") from None


def _post(facts: Mapping[str, Any]) -> None:
    """The body is a signed statement, so that the receiver needs no other proof of who sent it."""
    limits = Limits(
        settings.CONSOLE_CONNECT_TIMEOUT.total_seconds(),
        settings.CONSOLE_READ_TIMEOUT.total_seconds(),
        settings.CONSOLE_ATTEMPT_LIMIT.total_seconds(),
    )
    headers = {"Content-Type": "application/json", "User-Agent": "agent-console"}
    url = settings.CONSOLE_AUDIT_CHECKPOINT_WEBHOOK
    try:
        response = outbound.call("POST", url, headers=headers, limits=limits, body=line("checkpoint", facts))
    except (NeverLeft, Lost) as error:
        raise NotSent(f"the webhook can't be reached: {error}") from None
    if not 200 <= response.status < 300:
        raise NotSent(f"the webhook answered {response.status}")
