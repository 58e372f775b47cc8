"""What may be done to API keys; each call is a whole transaction, and there is no other way to make or end one.

Whoever manages keys may give the scopes that are given freely, and the others only as far as their own rights go. A
key that has a scope which they may not give is out of their hands, except for its name, a pause and its end: whoever
could change or rotate it would hold it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any
from unicodedata import category

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from apikeys import digests, scopes, tokens
from apikeys.checking import KIND
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.rights import NotAllowed, Right, is_administrator, require
from audit.actions import Action
from audit.actors import Actor
from audit.services import record

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractUser

#: Of addresses and sources in a key.
MOST_LISTED = 100
LONGEST_OVERLAP = timedelta(days=30)
_NAME_TAKEN = {"name": "There is a key with this name already."}


class KeyEnded(Exception):
    """The key is revoked: nothing can be done with it any more."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(f"{key.name} is revoked, which is final.")


class OverlapUnderWay(Exception):
    """The secret before the current one is still good."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(f"{key.name} was rotated and its old secret is still good: end that overlap first.")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What somebody asks for: who owns the key, what it may do, from where and until when."""

    name: str
    owner: AbstractUser | None
    scopes: frozenset[str]
    expires_at: datetime
    note: str = ""
    all_sources: bool = True
    sources: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    requests_per_minute: int = 600


def longest() -> timedelta:
    """How long a secret may be good."""
    return timedelta(days=settings.CONSOLE_API_KEY_LONGEST_DAYS)


def visible_keys(actor: Actor) -> Any:
    """The keys that the actor may see: the console's own only Administrators. Raises NotAllowed."""
    require(actor, Right.APIKEY_GET)
    keys = ApiKey.objects.all()
    return keys if is_administrator(actor) else keys.exclude(owner=None)


def issue_key(*, terms: Terms, actor: Actor, at: datetime) -> tuple[ApiKey, tokens.Token]:
    """A new key and its text, which is nowhere else. Raises NotAllowed, ValidationError (by field)."""
    require(actor, Right.APIKEY_MANAGE)
    key = ApiKey(created_at=at, created_by_label=actor.label[:200])
    try:
        with transaction.atomic(durable=True):
            _set(key, terms, actor, at, good_from=at)
            key.save(force_insert=True)
            token = _new_secret(key, at)
            facts = {**_facts(key), "public_part": token.public_part}
            record(Action.APIKEY_CREATED, actor=actor, target=key.target, **facts)
    except IntegrityError:
        raise ValidationError(_NAME_TAKEN) from None
    return key, token


def change_key(*, key: ApiKey, terms: Terms, actor: Actor, at: datetime) -> ApiKey:
    """Other terms for the same secret. Raises NotAllowed, ValidationError (by field), KeyEnded."""
    try:
        with transaction.atomic(durable=True):
            key = _locked(key, actor)
            before = _facts(key)
            made_at = key.secrets.current().get().made_at
            _set(key, terms, actor, at, good_from=made_at)
            changed = {name: [before[name], value] for name, value in _facts(key).items() if before[name] != value}
            if changed:
                if "expires" in changed:
                    key.warned_days = key.mailed_days = None
                key.save(update_fields=[*(field.name for field in fields(Terms)), "warned_days", "mailed_days"])
                record(Action.APIKEY_CHANGED, actor=actor, target=key.target, changed=changed)
    except IntegrityError:
        raise ValidationError(_NAME_TAKEN) from None
    return key


@transaction.atomic(durable=True)
def rotate_key(
    *, key: ApiKey, overlap: timedelta, expires_at: datetime | None = None, actor: Actor, at: datetime
) -> tokens.Token:
    """A new secret; the old one stays good for `overlap`. Raises as `change_key`, and OverlapUnderWay."""
    key = _locked(key, actor)
    _require_may_give(key.scopes, actor)
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise ValidationError({"overlap": f"The overlap can last {LONGEST_OVERLAP.days} days at the most."})
    if key.secrets.overlapping(at).exists():
        raise OverlapUnderWay(key)
    if expires_at is not None and expires_at != key.expires_at:
        _check_expiry(expires_at, at, good_from=at)
        key.expires_at, key.warned_days, key.mailed_days = expires_at, None, None
        key.save(update_fields=["expires_at", "warned_days", "mailed_days"])
    elif key.expires_at <= at:
        raise ValidationError({"expires_at": "The key has expired: give it a new end."})
    _require_within_giver(key, actor)
    ends_at = at + overlap
    key.secrets.current().update(ends_at=ends_at)
    token = _new_secret(key, at)
    record(
        Action.APIKEY_ROTATED,
        actor=actor,
        target=key.target,
        public_part=token.public_part,
        old_one_ends=ends_at.isoformat(),
        expires=key.expires_at.isoformat(),
    )
    return token


@transaction.atomic(durable=True)
def end_overlap(*, key: ApiKey, actor: Actor, at: datetime) -> bool:
    """The old secret is good no longer; False where it was not any more."""
    key = _locked(key, actor)
    ended = list(key.secrets.overlapping(at).values_list("public_part", flat=True))
    if not key.secrets.overlapping(at).update(ends_at=at):
        return False
    record(Action.APIKEY_OVERLAP_ENDED, actor=actor, target=key.target, public_part=ended[0])
    return True


@transaction.atomic(durable=True)
def pause_key(*, key: ApiKey, actor: Actor, at: datetime) -> bool:
    """The key opens nothing until it is resumed; False where it was paused already. Raises KeyEnded."""
    key = _locked(key, actor)
    if not ApiKey.objects.filter(pk=key.pk, paused_at=None).update(paused_at=at):
        return False
    record(Action.APIKEY_PAUSED, actor=actor, target=key.target)
    return True


@transaction.atomic(durable=True)
def resume_key(*, key: ApiKey, actor: Actor) -> bool:
    key = _locked(key, actor)
    if not ApiKey.objects.filter(pk=key.pk, paused_at__isnull=False).update(paused_at=None):
        return False
    record(Action.APIKEY_RESUMED, actor=actor, target=key.target)
    return True


@transaction.atomic(durable=True)
def revoke_key(*, key: ApiKey, actor: Actor, at: datetime) -> None:
    """End the key at once and for good. Raises KeyEnded where somebody was quicker."""
    key = _locked(key, actor)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=at)
    record(Action.APIKEY_REVOKED, actor=actor, target=key.target)


def follow_renamed_source(*, before: str, after: str) -> None:
    """Keys that are held to a source stay so under its new name; inside the caller's transaction."""
    held = [key for key in ApiKey.objects.live().filter(all_sources=False) if before in key.sources]
    for key in held:
        key.sources = sorted(after if name == before else name for name in key.sources)
    ApiKey.objects.bulk_update(held, ["sources"], batch_size=500)


def _locked(key: ApiKey, actor: Actor) -> ApiKey:
    """The key as it is now, held until the transaction ends. Raises NotAllowed, KeyEnded."""
    require(actor, Right.APIKEY_MANAGE)
    key = ApiKey.objects.select_for_update(of=["self"]).select_related("owner").get(pk=key.pk)
    if key.owner is None and not is_administrator(actor):
        raise NotAllowed(actor, Right.APIKEY_MANAGE)
    if key.revoked_at:
        raise KeyEnded(key)
    return key


def _new_secret(key: ApiKey, at: datetime) -> tokens.Token:
    token, pepper_id = tokens.new_token(), digests.newest_pepper_id()
    digest = digests.digest_of(token, pepper_id)
    ApiKeySecret.objects.create(key=key, public_part=token.public_part, digest=digest, pepper_id=pepper_id, made_at=at)
    return token


def _facts(key: ApiKey) -> dict[str, Any]:
    """A key's terms as the audit log shows them."""
    return {
        "name": key.name,
        "note": key.note,
        "owner": key.owner.get_username() if key.owner else "the console",
        "scopes": sorted(key.scopes),
        "sources": "all" if key.all_sources else sorted(key.sources),
        "addresses": key.addresses or "all",
        "requests_per_minute": key.requests_per_minute,
        "expires": key.expires_at.isoformat(),
    }


# --- What may be asked for ---------------------------------------------------------------------------------------


def _set(key: ApiKey, terms: Terms, actor: Actor, at: datetime, *, good_from: datetime) -> None:
    """Put the terms into the key, each checked. Raises ValidationError (by field)."""
    is_new = key.pk is None
    kept_scopes, kept_sources = frozenset(key.scopes), frozenset(key.sources)
    before = {} if is_new else _facts(key)
    kept_owner, kept_expiry = key.owner_id, key.expires_at
    key.name, key.note = terms.name.strip(), terms.note.strip()
    key.owner = terms.owner  # type: ignore[assignment]
    key.scopes = [scope.name for scope in scopes.all_scopes() if scope.name in terms.scopes]
    key.all_sources = terms.all_sources
    key.sources = [] if terms.all_sources else sorted(terms.sources)
    key.addresses = clean_addresses(terms.addresses)
    key.requests_per_minute = terms.requests_per_minute
    key.expires_at = terms.expires_at
    if any(category(char) == "Cc" for char in key.name):
        raise ValidationError({"name": "The name holds control characters, e.g. the end of a line."})
    if is_new or key.owner_id != kept_owner:
        _check_owner(terms.owner, actor)
    unknown = terms.scopes - {scope.name for scope in scopes.all_scopes()} - kept_scopes
    if unknown:
        raise ValidationError({"scopes": f"There is no scope {', '.join(sorted(unknown))}."})
    if not key.scopes:
        raise ValidationError({"scopes": "Give at least one scope: a key without any opens nothing."})
    missing = frozenset(key.sources) - kept_sources - set(scopes.source_names())
    if missing:
        raise ValidationError({"sources": f"There is no source {', '.join(sorted(missing))}."})
    if not key.all_sources and not 0 < len(key.sources) <= MOST_LISTED:
        raise ValidationError({"sources": f"Choose the sources, 1 to {MOST_LISTED}, or let the key touch all."})
    if is_new or key.expires_at != kept_expiry:
        _check_expiry(key.expires_at, at, good_from=good_from)
    key.full_clean(exclude=["owner", "created_at", "scopes"], validate_constraints=False)
    if _only_words_differ(before, _facts(key)):
        return
    _require_may_give(key.scopes, actor)
    _require_within_giver(key, actor)


def _only_words_differ(before: dict[str, Any], after: dict[str, Any]) -> bool:
    words = {"name", "note"}
    return bool(before) and all(before[name] == value for name, value in after.items() if name not in words)


def clean_addresses(addresses: tuple[str, ...] | list[str]) -> list[str]:
    """Networks in their usual form; a single address is the network of one. Raises ValidationError."""
    if len(addresses) > MOST_LISTED:
        raise ValidationError({"addresses": f"{MOST_LISTED} networks are the most."})
    cleaned = []
    for address in addresses:
        try:
            cleaned.append(str(ip_network(address.strip(), strict=False)))
        except ValueError:
            shown = address.strip()[:60]
            raise ValidationError(
                {"addresses": f"“{shown}” is no network: write it like 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32."}
            ) from None
    return sorted(set(cleaned))


def _check_owner(owner: AbstractUser | None, actor: Actor) -> None:
    if owner is None and not is_administrator(actor):
        raise ValidationError({"owner": "Only an Administrator can make a key of the console itself."})
    if owner is not None and not owner.is_active:
        raise ValidationError({"owner": f"{owner.get_username()} is deactivated, so that the key would open nothing."})


def _check_expiry(expires_at: datetime, at: datetime, *, good_from: datetime) -> None:
    if expires_at <= at:
        raise ValidationError({"expires_at": "The end lies in the past."})
    # A day more, since a date means its last moment, wherever the person who chose it lives.
    if expires_at > good_from + longest() + timedelta(days=1):
        days = settings.CONSOLE_API_KEY_LONGEST_DAYS
        what = "A key" if good_from == at else "A secret"
        more = "" if good_from == at else " Rotate the key to let it go on for longer."
        raise ValidationError({"expires_at": f"{what} can be good for {days} days at the most.{more}"})


def _require_may_give(names: list[str], actor: Actor) -> None:
    """Raises ValidationError where the actor may not give one of these scopes."""
    by_key = actor.kind == KIND
    for scope in map(scopes.scope_of, names):
        if scope is not None and not (scope.right in actor.rights if by_key else scope.may_be_given_by(actor)):
            raise ValidationError(
                {"scopes": f"{scope.label} can be given only by somebody who may {scope.right.words}."}
            )


def _require_within_giver(key: ApiKey, actor: Actor) -> None:
    """A key makes no key that could do more than itself, or for longer: its end would otherwise end nothing."""
    if actor.kind != KIND:
        return
    giver = ApiKey.objects.get(pk=actor.id)
    if key.owner_id != giver.owner_id:
        raise ValidationError({"owner": "A key can make and change keys only for its own owner."})
    if key.expires_at > giver.expires_at:
        raise ValidationError({"expires_at": "A key can make and change keys only with an end not after its own."})
    if not giver.all_sources and (key.all_sources or not set(key.sources) <= set(giver.sources)):
        raise ValidationError({"sources": "A key can let others touch only the sources that it may touch itself."})
    if giver.addresses and not (key.addresses and all(_within(each, giver.addresses) for each in key.addresses)):
        raise ValidationError({"addresses": "A key can let others come only from where it may come from itself."})


def _within(network: str, allowed: list[str]) -> bool:
    inner = ip_network(network)
    return any(
        inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
        for outer in map(ip_network, allowed)
    )
