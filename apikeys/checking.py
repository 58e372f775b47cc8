"""The one way in: from a key's text to what it may do at this moment.

Nothing is cached, so that an end, a pause, a right that the owner lost, and an end of the list of addresses count at
once. One query finds the secret, its key, the owner and the owner's roles. Where nothing is found, the same digest is
made and compared as where the secret is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from apikeys import digests, tokens
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.rights import Right, rights_opened
from audit.actors import Actor
from audit.services import Target

#: `Actor.kind` of a key.
KIND = "API key"
#: The times of use are written at most this often.
_NOTE_EVERY = timedelta(minutes=1)


class Reason(StrEnum):
    """Why a key is not let in; only the audit log tells."""

    MALFORMED = "not of the form of an API key"
    MISTYPED = "mistyped: the checksum is wrong"
    UNKNOWN = "unknown"
    WRONG_SECRET = "wrong secret"
    NO_PEPPER = "its pepper is no longer in CONSOLE_API_KEY_PEPPERS"
    REVOKED = "revoked"
    REPLACED = "replaced by a newer secret"
    EXPIRED = "expired"
    PAUSED = "paused"
    OWNER_DEACTIVATED = "its owner is deactivated"
    ADDRESS = "not allowed from this address"


class BadKey(Exception):
    """The key is not let in. `target`: which one it is, or seems to be."""

    def __init__(self, reason: Reason, target: Target) -> None:
        super().__init__(str(reason))
        self.reason, self.target = reason, target


NO_KEY = Target("API key", "", "no known key")


@dataclass(frozen=True, slots=True)
class LiveKey:
    """A key that was let in, with what it may do at this moment. It stands for the user of a REST request too."""

    pk: int
    name: str
    secret_pk: int
    owner_pk: int | None
    scopes: frozenset[str]
    rights: frozenset[str]
    sources: frozenset[str]
    all_sources: bool
    requests_per_minute: int

    is_authenticated = True
    is_active = True

    @property
    def actor(self) -> Actor:
        return Actor(KIND, str(self.pk), self.name, self.rights)

    @property
    def target(self) -> Target:
        return Target("API key", str(self.pk), self.name)

    def may_touch(self, source_name: str) -> bool:
        return self.all_sources or source_name in self.sources


def authenticate(text: str, *, address: str, at: datetime) -> LiveKey:
    """Who this key is, its use noted. Raises `BadKey`."""
    token = _parsed(text)
    found = _find_by(token.public_part)
    if found is None:
        digests.matches(token, digest=digests.NOTHING, wanted=digests.newest_pepper_id())
        raise BadKey(Reason.UNKNOWN, Target("API key", "", f"ac_{token.public_part}_…"))
    if not digests.matches(token, digest=found.digest, wanted=found.pepper_id):
        known = digests.has_pepper(found.pepper_id)
        raise BadKey(Reason.WRONG_SECRET if known else Reason.NO_PEPPER, found.target)
    reason = _why_not(found, at) or _why_not_from(address, found.addresses)
    if reason:
        raise BadKey(reason, found.target)
    _note_use(found, address, at)
    if found.pepper_id != digests.newest_pepper_id():
        _digest_anew(found, token)
    return _live(found)


def live_key(pk: int | str, *, at: datetime | None = None) -> LiveKey | None:
    """The same key at a later moment, without its text: None where it would no longer be let in."""
    found = _find(Q(key=pk, ends_at=None))
    if found is None or _why_not(found, at or timezone.now()):
        return None
    return _live(found)


def rights_of_key_now(pk: int | str) -> frozenset[str]:
    """What the key may do now: its scopes, as far as its owner has the rights; nothing once it has ended."""
    key = live_key(pk)
    return key.rights if key else frozenset()


def _parsed(text: str) -> tokens.Token:
    try:
        return tokens.parse(text)
    except tokens.Malformed:
        raise BadKey(Reason.MALFORMED, NO_KEY) from None
    except tokens.Mistyped:
        raise BadKey(Reason.MISTYPED, NO_KEY) from None


@dataclass(frozen=True, slots=True)
class _Found:
    secret_pk: int
    digest: str
    pepper_id: str
    ends_at: datetime | None
    secret_last_used_at: datetime | None
    key_pk: int
    name: str
    scopes: list[str]
    sources: list[str]
    all_sources: bool
    addresses: list[str]
    requests_per_minute: int
    expires_at: datetime
    paused_at: datetime | None
    revoked_at: datetime | None
    owner_pk: int | None
    owner_active: bool | None
    owner_administrator: bool | None
    #: Of the owner, by a row each.
    groups: tuple[str, ...]

    @property
    def target(self) -> Target:
        return Target("API key", str(self.key_pk), self.name)


_COLUMNS = (
    "pk",
    "digest",
    "pepper_id",
    "ends_at",
    "last_used_at",
    "key_id",
    "key__name",
    "key__scopes",
    "key__sources",
    "key__all_sources",
    "key__addresses",
    "key__requests_per_minute",
    "key__expires_at",
    "key__paused_at",
    "key__revoked_at",
    "key__owner_id",
    "key__owner__is_active",
    "key__owner__is_superuser",
    "key__owner__groups__name",
)


#: Made once, since each request would pay for resolving the names.
_ROWS = ApiKeySecret.objects.values_list(*_COLUMNS)


def _find_by(public_part: str) -> _Found | None:
    """As `_find`, with a statement that was made once: making it costs each request more than the database does."""
    compiler, sql, converters = _compiled(connection.vendor)
    with connection.cursor() as cursor:
        cursor.execute(sql, [public_part])
        rows = cursor.fetchall()
    return _found(list(compiler.apply_converters(rows, converters)) if converters else rows)


@cache
def _compiled(vendor: str) -> tuple[Any, str, Any]:
    compiler = _ROWS.filter(public_part="").query.get_compiler(connection=connection)
    sql, parameters = compiler.as_sql()
    assert parameters == ("",), parameters
    converters = compiler.get_converters([column for column, _, _ in compiler.select])
    return compiler, sql, converters


def _find(which: Q) -> _Found | None:
    return _found(list(_ROWS.filter(which)))


def _found(rows: list[Any]) -> _Found | None:
    if not rows:
        return None
    groups = tuple(row[-1] for row in rows if row[-1])
    return _Found(*(*rows[0][:-1], groups))


def _why_not(found: _Found, at: datetime) -> Reason | None:
    if found.revoked_at:
        return Reason.REVOKED
    if found.ends_at and found.ends_at <= at:
        return Reason.REPLACED
    if found.expires_at <= at:
        return Reason.EXPIRED
    if found.paused_at:
        return Reason.PAUSED
    if found.owner_pk is not None and not found.owner_active:
        return Reason.OWNER_DEACTIVATED
    return None


def _why_not_from(address: str, networks: Iterable[str]) -> Reason | None:
    if not networks:
        return None
    try:
        here = ip_address(address)
    except ValueError:
        return Reason.ADDRESS
    if isinstance(here, IPv6Address) and here.ipv4_mapped:
        here = here.ipv4_mapped
    return None if any(here in ip_network(network) for network in networks) else Reason.ADDRESS


def _live(found: _Found) -> LiveKey:
    scopes = frozenset(found.scopes)
    return LiveKey(
        pk=found.key_pk,
        name=found.name,
        secret_pk=found.secret_pk,
        owner_pk=found.owner_pk,
        scopes=scopes,
        rights=scopes & _rights_of_owner(found),
        sources=frozenset(found.sources),
        all_sources=found.all_sources,
        requests_per_minute=found.requests_per_minute,
    )


def _rights_of_owner(found: _Found) -> frozenset[str]:
    if found.owner_pk is None:
        return frozenset(Right)
    active, administrator = bool(found.owner_active), bool(found.owner_administrator)
    return rights_opened(active=active, administrator=administrator, groups=found.groups)


def _note_use(found: _Found, address: str, at: datetime) -> None:
    """When and from where, once a minute: of requests at once, the first one's write wins."""
    long_ago = at - _NOTE_EVERY
    if found.secret_last_used_at and found.secret_last_used_at > long_ago:
        return
    due = Q(last_used_at=None) | Q(last_used_at__lte=long_ago)
    used = {"last_used_at": at, "last_used_address": address[:64]}
    with transaction.atomic():
        if ApiKeySecret.objects.filter(due, pk=found.secret_pk).update(**used):
            ApiKey.objects.filter(pk=found.key_pk).update(**used)


def _digest_anew(found: _Found, token: tokens.Token) -> None:
    """With the newest pepper, so that older ones can leave the ring one day."""
    newest = digests.newest_pepper_id()
    unchanged = ApiKeySecret.objects.filter(pk=found.secret_pk, digest=found.digest)
    unchanged.update(digest=digests.digest_of(token, newest), pepper_id=newest)
