"""Warnings before a key ends: 30, 7 and 1 days before, each once, on record, in the overview and by e-mail.

What is on record is the outbox of the mail: `warned_days` is written with the event, `mailed_days` once the mail is
out, so that a mail server that was away is asked again at the next look, without a second event.
"""

import logging
from datetime import datetime, timedelta
from smtplib import SMTPException

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import F, Q
from django.template.loader import render_to_string

from apikeys.models import WARNINGS, ApiKey, ApiKeyQuerySet
from audit.actions import Action
from audit.actors import CONSOLE
from audit.services import record

logger = logging.getLogger(__name__)


def ending_soon(at: datetime) -> ApiKeyQuerySet:
    """Keys for the overview: those that end within the last warnings' time."""
    return ApiKey.objects.expiring(at).filter(expires_at__lte=at + timedelta(days=WARNINGS[1]))


def warn(at: datetime) -> int:
    """Record each warning that is due, then send what is on record and was not sent; returns how many are new."""
    new = sum(_record(key, at) for key in ApiKey.objects.expiring(at).order_by("expires_at", "pk"))
    unsent = ApiKey.objects.expiring(at).filter(~Q(mailed_days=F("warned_days")) | Q(mailed_days=None))
    for key in unsent.exclude(warned_days=None).select_related("owner"):
        _send(key, at)
    return new


def _days_due(key: ApiKey, at: datetime) -> int:
    """The nearest of the warnings whose time has come."""
    return min(days for days in WARNINGS if key.expires_at <= at + timedelta(days=days))


@transaction.atomic(durable=True)
def _record(key: ApiKey, at: datetime) -> bool:
    days = _days_due(key, at)
    if key.warned_days is not None and key.warned_days <= days:
        return False
    not_yet = Q(warned_days=None) | Q(warned_days__gt=days)
    if not ApiKey.objects.filter(not_yet, pk=key.pk, expires_at=key.expires_at, revoked_at=None).update(
        warned_days=days
    ):
        return False
    record(Action.APIKEY_EXPIRING, actor=CONSOLE, target=key.target, days=days, expires=key.expires_at.isoformat())
    return True


def _send(key: ApiKey, at: datetime) -> None:
    days = key.warned_days
    to = _addresses(key)
    if to:
        shown = {"key": key, "at": at, "url": f"{settings.CONSOLE_URL}{key.get_absolute_url()}"}
        try:
            send_mail(
                f"API key {key.name} ends {key.expires_at:%Y-%m-%d}",
                render_to_string("apikeys/expiring.txt", shown),
                None,
                to,
            )
        except (OSError, SMTPException) as error:
            logger.warning("The warning that %s ends could not be sent, and will be tried again: %s", key, error)
            return
    else:
        logger.warning("Nobody has an e-mail address to be told that the API key %s ends", key)
    ApiKey.objects.filter(pk=key.pk, warned_days=days).update(mailed_days=days)


def _addresses(key: ApiKey) -> list[str]:
    """The owner's; of those who run the console where it owns the key, or where the owner can't be reached."""
    if key.owner and key.owner.is_active and key.owner.email:
        return [key.owner.email]
    administrators = get_user_model().objects.filter(is_active=True, is_superuser=True).exclude(email="")
    return list(administrators.order_by("pk").values_list("email", flat=True))
