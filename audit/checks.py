"""Checks of the chain: what is new at each interval, all of it now and then and on demand; each leaves a row."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.canonical import time_text
from audit.chain import Verdict, verify
from audit.checkpoints import AUDIT_LOG
from audit.models import Check, Keeping
from audit.services import Entry, record_many


def check_all(*, actor: Actor) -> Check:
    """Walk over the whole chain, from the last cut on."""
    began_at = timezone.now()
    return keep_result(verify(), full=True, actor=actor, began_at=began_at)


def check_new(*, actor: Actor = CONSOLE) -> Check:
    """Walk over what was recorded since the last check that found nothing wrong, and see that its end still stands."""
    began_at = timezone.now()
    last = last_sound()
    if last is None:
        return check_all(actor=actor)
    end = {"sequence": last.sequence, "hash": last.hash, "at": time_text(last.ended_at)}
    verdict = verify(from_sequence=last.sequence + 1, checkpoints=[end])
    return keep_result(verdict, full=False, actor=actor, began_at=began_at)


@transaction.atomic(durable=True)
def keep_result(verdict: Verdict, *, full: bool, actor: Actor, began_at: datetime) -> Check:
    """Leave a row of what was found, and put on record what is new or was asked for."""
    flaw = verdict.flaw
    known = standing_flaw()
    check = Check.objects.create(
        full=full,
        asked_by=actor.label,
        began_at=began_at,
        ended_at=timezone.now(),
        first=verdict.first,
        count=verdict.count,
        sequence=verdict.sequence,
        hash=verdict.hash,
        flaw=flaw.kind if flaw else "",
        flaw_sequence=flaw.sequence if flaw else None,
        message=flaw.message if flaw else "",
    )
    if flaw and flaw.sequence == 0:
        return check  # The head itself is gone: nothing can be recorded any more.
    if flaw and not (known and (known.flaw, known.flaw_sequence) == (flaw.kind, flaw.sequence)):
        found = {"flaw": flaw.kind, "sequence": flaw.sequence, "message": flaw.message}
        record_many([Entry(Action.AUDIT_FOUND_UNSOUND, actor, AUDIT_LOG, data=found)])
    elif actor != CONSOLE:
        result = {"holds": not flaw, "first": check.first, "last": check.sequence, "count": check.count}
        record_many([Entry(Action.AUDIT_CHECKED, actor, AUDIT_LOG, data=result)])
    return check


def last_sound() -> Check | None:
    return Check.objects.sound().order_by("-pk").first()


def standing_flaw() -> Check | None:
    """The last check that found something wrong, as long as none of the whole chain has found it mended since."""
    flawed = Check.objects.exclude(flaw="").order_by("-pk").first()
    if flawed and Check.objects.sound().full().filter(pk__gt=flawed.pk).exists():
        return None
    return flawed


def ask(*, actor: Actor) -> None:
    """Have a worker check the whole chain soon, which may take minutes."""
    asked = json.dumps({"kind": actor.kind, "id": actor.id, "label": actor.label})
    Keeping.objects.update(check_asked_by=asked)


def is_asked_for() -> bool:
    return Keeping.objects.exclude(check_asked_by="").exists()


def _check_as_asked() -> Check:
    asked = Keeping.objects.get().check_asked_by
    check = check_all(actor=Actor(**json.loads(asked)))
    Keeping.objects.filter(check_asked_by=asked).update(check_asked_by="")
    return check


def check_if_due(at: datetime) -> Check | None:
    """The check that somebody asked for, or that of the schedule."""
    if is_asked_for():
        return _check_as_asked()
    last_full = Check.objects.full().order_by("-pk").first()
    if last_full is None or at >= last_full.began_at + settings.CONSOLE_AUDIT_FULL_CHECK:
        return check_all(actor=CONSOLE)
    last = Check.objects.order_by("-pk").first()
    if last is None or at >= last.began_at + settings.CONSOLE_AUDIT_CHECK:
        return check_new()
    return None


@dataclass(frozen=True)
class ChainState:
    """What the pages say of the chain."""

    last: Check | None
    last_full: Check | None
    flaw: Check | None
    asked_for: bool

    @property
    def badge(self) -> str:
        """The state of a badge whose colour fits."""
        if self.flaw:
            return "failed"
        return "confirmed" if self.last else "queued"

    @property
    def words(self) -> str:
        if self.flaw:
            return "Does not hold"
        return "Holds" if self.last else "Not checked yet"


def chain_state() -> ChainState:
    newest = Check.objects.order_by("-pk")
    return ChainState(newest.first(), newest.full().first(), standing_flaw(), is_asked_for())
