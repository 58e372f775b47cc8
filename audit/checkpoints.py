"""Checkpoints: signed statements of where the chain stands, which a rewritten chain can't agree with."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.canonical import time_text
from audit.keys import introduce, is_known
from audit.models import Checkpoint, Head
from audit.services import Entry, Target, record_many
from audit.signing import Signer, signers

#: What events about the log itself are about.
AUDIT_LOG = Target("audit log", "", "audit log")


class NothingToSign(Exception):
    """There is no event yet."""


@transaction.atomic(durable=True)
def make_checkpoint(*, actor: Actor) -> Checkpoint:
    """Sign where the chain stands now. Raises NothingToSign."""
    if not Head.objects.select_for_update().get().sequence:
        raise NothingToSign
    signer, *older = signers()
    if not is_known(signer):
        introduce(signer)
        key = {"key": signer.id, "public_key": signer.public_pem}
        record_many([Entry(Action.AUDIT_KEY_INTRODUCED, actor, AUDIT_LOG, data=key)])
        for known in filter(is_known, older):
            # Whoever trusts the old key learns of the new one by an event that the old one signed.
            _sign(known, actor)
    return _sign(signer, actor)


def _sign(signer: Signer, actor: Actor) -> Checkpoint:
    head = Head.objects.get()
    at = timezone.now()
    facts = signer.signed("checkpoint", {"sequence": head.sequence, "hash": head.hash, "at": time_text(at)})
    checkpoint = Checkpoint.objects.create(
        sequence=head.sequence, hash=head.hash, at=at, key_id=signer.id, signature=facts["signature"]
    )
    record_many([Entry(Action.AUDIT_CHECKPOINT_MADE, actor, AUDIT_LOG, data=facts)])
    return checkpoint


def make_if_due(at: datetime) -> Checkpoint | None:
    """The one of the schedule, unless nothing was recorded since the last one but that it was made."""
    last = newest()
    if last and (at < last.at + settings.CONSOLE_AUDIT_CHECKPOINT or Head.objects.get().sequence <= last.sequence + 1):
        return None
    try:
        return make_checkpoint(actor=CONSOLE)
    except NothingToSign:
        return None


def newest() -> Checkpoint | None:
    return Checkpoint.objects.order_by("-pk").first()
