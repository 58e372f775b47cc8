"""What an Administrator may do to sources and their credentials; each call is a whole transaction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from time import sleep
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from agents import credentials, pacer
from agents.clock import database_now
from agents.credentials import CredentialUnreadable, Secret
from agents.kinds import Finding, kind_of
from agents.models import Contract, Credential, Source
from agents.readings import stop_contract
from apikeys.rights import Right, require
from apikeys.services import follow_renamed_source
from audit.actions import Action
from audit.actors import Actor
from audit.services import record

Purpose = Credential.Purpose
#: How long a test waits for slots of the contract before it says that there is none.
_PATIENCE = timedelta(seconds=20)


def clean_secret(secret: str) -> Secret:
    """An API key as it goes into a header. Raises ValidationError."""
    secret = secret.strip()
    if not secret:
        raise ValidationError("The key is empty.")
    if len(secret) > 4096:
        raise ValidationError("The key has more than 4096 characters: this can't be an API key.")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise ValidationError("The key holds spaces or characters that can't be in an API key: copy it again.")
    return Secret(secret)


def add_source(
    *,
    source: Source,
    own: models.Model,
    contract: str,
    requests_per_minute: int,
    secrets: Mapping[Credential.Purpose, Secret],
    actor: Actor,
) -> Source:
    """Add a source with the settings of its kind (`own`) and its credentials. Raises NotAllowed, ValidationError."""
    require(actor, Right.SOURCE_MANAGE)
    at = database_now()
    source.created_at = at
    with _name_once(), transaction.atomic(durable=True):
        _validate(source)
        if kind_of(source).own_worker is None:
            source.contract = _contract(contract or source.name, requests_per_minute)
        source.save(force_insert=True)
        _save_own(source, own)
        for purpose, secret in secrets.items():
            credentials.store(source, purpose, secret, at=at)
        _one_contract_per_key(source)
        record(
            Action.SOURCE_ADDED,
            actor=actor,
            target=source.target,
            **_settings(source),
            keys_for=sorted(purpose.value for purpose in secrets),
        )
    return source


@contextmanager
def _name_once() -> Iterator[None]:
    """Two people at once may give the same name; the constraint decides."""
    try:
        yield
    except IntegrityError:
        raise ValidationError({"name": "There is a source with this name already."}) from None


def change_source(
    *,
    source: Source,
    own: models.Model,
    contract: str,
    requests_per_minute: int,
    secrets: Mapping[Credential.Purpose, Secret],
    actor: Actor,
) -> Source:
    """Change a source's settings and replace those credentials that are given."""
    require(actor, Right.SOURCE_MANAGE)
    at = database_now()
    before = _settings(Source.objects.select_related("contract").get(pk=source.pk))
    with _name_once(), transaction.atomic(durable=True):
        _validate(source)
        if kind_of(source).own_worker is None:
            source.contract = _contract(contract or source.name, requests_per_minute, renamed_from=source.contract)
        source.save(update_fields=["name", "contract", "polling_seconds", "settle_seconds", "confirm_seconds"])
        _save_own(source, own)
        for purpose, secret in secrets.items():
            credentials.store(source, purpose, secret, at=at)
        _one_contract_per_key(source)
        after = _settings(source)
        if before["Name"] != source.name:
            follow_renamed_source(before=before["Name"], after=source.name)
        changed = {name: [before.get(name), value] for name, value in after.items() if before.get(name) != value}
        if changed:
            record(Action.SOURCE_CHANGED, actor=actor, target=source.target, changed=changed)
        for purpose in secrets:
            record(Action.CREDENTIAL_REPLACED, actor=actor, target=source.target, purpose=purpose.value)
        _read_anew(source, forget=Purpose.READING in secrets or "Base URL" in changed)
    return source


def _validate(source: Source) -> None:
    for name in ("polling_seconds", "settle_seconds", "confirm_seconds"):
        if not math.isfinite(getattr(source, name)):  # NaN is neither below nor above any limit.
            raise ValidationError({name: "Enter a number."})
    source.full_clean(exclude=["created_at", "contract"])


def _save_own(source: Source, own: models.Model) -> None:
    own.source = source  # type: ignore[attr-defined]
    own.full_clean(exclude=["source"])
    own.save()


def _contract(name: str, requests_per_minute: int, *, renamed_from: Contract | None = None) -> Contract:
    wanted = Contract(name=name, requests_per_minute=requests_per_minute)
    try:
        wanted.full_clean(exclude=["blocked_until"], validate_unique=False)
    except ValidationError as error:
        wrong = error.message_dict
        raise ValidationError({"contract" if key == "name" else key: texts for key, texts in wrong.items()}) from None
    # Another name here changes nothing over there: what the remote has counted and refuses goes along.
    defaults: dict[str, Any] = {"requests_per_minute": requests_per_minute}
    if renamed_from:
        defaults |= Contract.objects.values("next_at", "blocked_until").get(pk=renamed_from.pk)
    contract, _ = Contract.objects.get_or_create(name=name, defaults=defaults)
    Contract.objects.filter(pk=contract.pk).update(requests_per_minute=requests_per_minute)
    contract.requests_per_minute = requests_per_minute
    return contract


def _one_contract_per_key(source: Source) -> None:
    """Two sources with the same remote and key are counted together there, so they must share a pacer."""
    mine = _keys(source)
    place = kind_of(source).place(source)
    for other in Source.objects.exclude(pk=source.pk).exclude(contract=source.contract).filter(kind=source.kind):
        if kind_of(other).place(other) == place and mine & _keys(other):
            raise ValidationError(
                {
                    "contract": f"{other.name} uses the same base URL and key, so the remote counts both together: "
                    f"give this source the contract {other.contract} too."
                }
            )


def _keys(source: Source) -> set[str]:
    found = set()
    for credential in source.credentials.all():
        try:
            found.add(credentials.decrypt(credential).value)
        except CredentialUnreadable:
            continue  # Nothing can be said of it, and it can't be used either.
    return found


def _settings(source: Source) -> dict[str, Any]:
    """A source's settings as the audit log shows them; nothing of a credential is among them."""
    contract = source.contract
    return {
        "Name": source.name,
        "Contract": contract.name if contract else "",
        "Requests a minute": contract.requests_per_minute if contract else 0,
        "Polling interval": source.polling_seconds,
        "Settle time": source.settle_seconds,
        "Confirm within": source.confirm_seconds,
        **dict(kind_of(source).facts(Source.objects.get(pk=source.pk))),
    }


def _read_anew(source: Source, *, forget: bool) -> None:
    """Read at once; under another remote or key, absence is believed only after two readings."""
    columns: dict[str, Any] = {"next_reading_at": None, "failures": 0}
    if forget:
        # A reading under way is of the old remote or key: without its lease, nothing of it is kept.
        columns |= {"read_begun_at": None, "previous_begun_at": None, "reading_token": None, "reading_until": None}
    Source.objects.filter(pk=source.pk).update(**columns)


def replace_credential(*, source: Source, purpose: Credential.Purpose, secret: Secret, actor: Actor) -> None:
    require(actor, Right.SOURCE_MANAGE)
    with transaction.atomic(durable=True):
        credentials.store(source, purpose, secret, at=database_now())
        _one_contract_per_key(source)
        record(Action.CREDENTIAL_REPLACED, actor=actor, target=source.target, purpose=purpose.value)
        _read_anew(source, forget=purpose == Purpose.READING)


def pause_source(*, source: Source, actor: Actor) -> bool:
    """Stop reading and sending; False where it was paused already."""
    require(actor, Right.SOURCE_MANAGE)
    return _switch(source, actor, Action.SOURCE_PAUSED, was_paused=False)


def resume_source(*, source: Source, actor: Actor) -> bool:
    require(actor, Right.SOURCE_MANAGE)
    return _switch(source, actor, Action.SOURCE_RESUMED, was_paused=True)


def _switch(source: Source, actor: Actor, action: Action, *, was_paused: bool) -> bool:
    at = database_now()
    with transaction.atomic(durable=True):
        there = Source.objects.filter(pk=source.pk, paused_at__isnull=not was_paused)
        if was_paused:
            changed = there.update(paused_at=None, next_reading_at=None)
        else:
            # A pause is a time in which the list can't be read: deadlines for confirming stand still.
            changed = there.update(paused_at=at, unreadable_since=source.unreadable_since or at)
        if changed:
            record(action, actor=actor, target=source.target)
    return bool(changed)


def test_source(*, source: Source, actor: Actor) -> list[Finding]:
    """One call with each credential. One that works is no longer rejected, one that the remote turns down is."""
    require(actor, Right.SOURCE_MANAGE)
    findings = []
    test = kind_of(source).test
    if test is None:
        raise ValidationError("There is nothing to test: this source has no credentials.")
    for finding in test(source, lambda: _wait_for_slot(source)):
        findings.append(finding)
        if finding.refused_until:
            stop_contract(source, finding.refused_until, database_now())
            break
    at = database_now()
    with transaction.atomic(durable=True):
        for finding in findings:
            if finding.works or finding.rejected:
                rejected_at = at if finding.rejected else None
                source.credentials.filter(purpose=finding.purpose).update(rejected_at=rejected_at)
        record(
            Action.SOURCE_TESTED,
            actor=actor,
            target=source.target,
            findings={finding.purpose: finding.explanation for finding in findings},
            works=[finding.purpose for finding in findings if finding.works],
        )
        _read_anew(source, forget=False)
    return findings


def _wait_for_slot(source: Source) -> None:
    """Raises ValidationError where the contract's allowance leaves no slot soon."""
    deadline = database_now() + _PATIENCE
    while source.contract_id is not None:
        slots = pacer.take(source.contract_id, purpose=pacer.Purpose.INTERACTIVE)
        if slots.taken:
            return
        if slots.blocked or database_now() + timedelta(seconds=slots.wait) > deadline:
            raise ValidationError("The contract's rate limit leaves no call for a test now: try again later.")
        sleep(slots.wait)


def reencrypt_credentials(*, actor: Actor) -> tuple[int, list[CredentialUnreadable]]:
    """Encrypt every credential with the newest key; those that no key decrypts are left as they are and returned."""
    require(actor, Right.SOURCE_MANAGE)
    done, unreadable = 0, []
    for credential in Credential.objects.select_related("source").order_by("pk"):
        try:
            encrypted = credentials.reencrypted(credential)
        except CredentialUnreadable as error:
            unreadable.append(error)
            continue
        with transaction.atomic(durable=True):
            # Only if it is still the one that was read: an Administrator may replace it meanwhile.
            unchanged = Credential.objects.filter(pk=credential.pk, encrypted=credential.encrypted)
            if unchanged.update(encrypted=encrypted):
                done += 1
                record(
                    Action.CREDENTIAL_REENCRYPTED,
                    actor=actor,
                    target=credential.source.target,
                    purpose=credential.purpose,
                )
    return done, unreadable
