"""What happens to keys that are not let in: each is on record with its reason, but nobody can flood the log with them.

Counters are in the cache that all processes share, by address (of IPv6 by /64) and altogether. An address that sent too
many bad keys is told to wait; a good key from there is let in all the same, since many may share one address.
"""

from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import Any

from django.core.cache import cache
from django.db import transaction

from apikeys.checking import BadKey, LiveKey
from audit.actions import Action
from audit.actors import ANONYMOUS
from audit.services import Target, record

#: Seconds over which is counted.
WINDOW = 300
#: Bad keys of one address, of all addresses together, and requests without the right of one key.
MOST_OF_ADDRESS, MOST_OF_ALL, MOST_OF_KEY = 30, 300, 30


def refuse_bad_key(bad: BadKey, *, address: str, at: datetime) -> int:
    """Put it on record; returns how many seconds the address has to wait because it sent too many, mostly 0."""
    place = _place(address)
    count = _count(f"address:{place}", MOST_OF_ADDRESS, at)
    if count > MOST_OF_ADDRESS:
        if count == MOST_OF_ADDRESS + 1:
            _record(Action.APIKEY_THROTTLED, Target("address", place, place), most=MOST_OF_ADDRESS, seconds=WINDOW)
        return _seconds_left(at)
    altogether = _count("all", MOST_OF_ALL, at)
    if altogether <= MOST_OF_ALL:
        _record(Action.APIKEY_REFUSED, bad.target, reason=str(bad.reason))
    elif altogether == MOST_OF_ALL + 1:
        everywhere = Target("address", "", "all addresses together")
        _record(Action.APIKEY_THROTTLED, everywhere, most=MOST_OF_ALL, seconds=WINDOW)
    return 0


@transaction.atomic(durable=True)
def record_not_allowed(key: LiveKey, *, scope: str, why: str, endpoint: str, at: datetime) -> None:
    """A good key without the right: on record with what it wanted, the first ones of each five minutes."""
    if _count(f"key:{key.pk}", MOST_OF_KEY, at) <= MOST_OF_KEY:
        record(
            Action.APIKEY_NOT_ALLOWED, actor=key.actor, target=key.target, scope=scope, endpoint=endpoint, reason=why
        )


@transaction.atomic(durable=True)
def record_refused(key: LiveKey, *, why: str, endpoint: str, at: datetime) -> None:
    """A good key that asked for something that was not done: likewise."""
    if _count(f"refused:{key.pk}", MOST_OF_KEY, at) <= MOST_OF_KEY:
        record(Action.APIKEY_REQUEST_REFUSED, actor=key.actor, target=key.target, endpoint=endpoint, reason=why)


@transaction.atomic(durable=True)
def _record(action: Action, target: Target, **data: Any) -> None:
    record(action, actor=ANONYMOUS, target=target, **data)


def _count(what: str, most: int, at: datetime) -> int:
    """How many there were in this window, this one included; from `most` + 2 on nothing is written any more."""
    name = f"bad-key:{int(at.timestamp()) // WINDOW}:{what}"
    seen = int(cache.get(name, 0))
    if seen <= most + 1 and not cache.add(name, 1, WINDOW):
        seen = int(cache.get(name, 0))
        cache.set(name, seen + 1, WINDOW)
    return seen + 1


def _seconds_left(at: datetime) -> int:
    return WINDOW - int(at.timestamp()) % WINDOW


def _place(address: str) -> str:
    try:
        here = ip_address(address)
    except ValueError:
        return "unknown"
    return str(here) if here.version == 4 else str(ip_network(f"{here}/64", strict=False))
