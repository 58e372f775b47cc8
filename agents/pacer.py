"""The pacer: a slot of a contract's allowance for each call, so that the remote never has cause to refuse.

The remote counts requests a minute and, past its limit N, refuses everything for ten minutes. Each call therefore
takes a slot first, by one conditional UPDATE of the contract's row (GCRA: the row holds the time at which the next
slot is free at an even spacing; being early by up to a tolerance is a burst). With a spacing of 60 s ÷ (0.96 N) and
less than N ÷ 50 slots of tolerance, no 60 s window, wherever it starts, sees more than 0.98 N + 1 calls, so not more
than N; the rest is for calls that are slow to arrive. Who may be how early gives the priorities: an administrator's
single click may use the whole burst, a confirming reading two thirds, a bulk operation a third, and polling none.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from django.db.models import F, Q, Value
from django.db.models.functions import Greatest, Now

from agents.clock import EpochNow
from agents.models import Contract

#: Seconds: what a float of today's time may be off by, here and in the database. Without it, whoever waited exactly as
#: long as he was told would be told to wait again.
_ROUNDING = 1e-6


class Purpose(Enum):
    """What a slot is for; the value is the share of the burst that it may use."""

    INTERACTIVE = 1.0
    CONFIRMING = 2 / 3
    BULK = 1 / 3
    POLLING = 0.0


@dataclass(frozen=True)
class Slots:
    """`taken` calls may be made now; asking for more pays after `wait` seconds. `blocked`: the remote refuses all."""

    taken: int
    wait: float = 0.0
    blocked: bool = False


def spacing(requests_per_minute: int) -> float:
    """Seconds between two slots; 0 where there is no limit."""
    return 60 / (0.96 * requests_per_minute) if requests_per_minute else 0.0


def early(requests_per_minute: int, purpose: Purpose) -> float:
    """How many seconds before its evenly spaced time a slot may be taken.

    A burst of B slots is B - 1 that come early. Where that is less than one, it is a part of one: so a small
    allowance has its priorities too, and a worker that wakes a little late wastes nothing.
    """
    burst = requests_per_minute / 50
    return purpose.value * max(burst - 1, min(burst, 0.9)) * spacing(requests_per_minute)


def free_now(now: float, next_at: float, requests_per_minute: int, purpose: Purpose) -> int:
    """How many slots may be taken at once."""
    ahead = max(next_at - now, 0.0)
    spare = early(requests_per_minute, purpose) - ahead
    return max(0, math.floor((spare + _ROUNDING) / spacing(requests_per_minute)) + 1)


def take(contract_id: int, *, purpose: Purpose, wanted: int = 1) -> Slots:
    """Take up to `wanted` slots, all usable at once."""
    while True:
        row = _row(contract_id)
        if row.blocked:
            return Slots(0, row.blocked, blocked=True)
        if not row.requests_per_minute:
            return Slots(wanted)
        space, ahead_by = spacing(row.requests_per_minute), early(row.requests_per_minute, purpose)
        count = min(wanted, free_now(row.now, row.next_at, row.requests_per_minute, purpose))
        if count < 1:
            return Slots(0, row.next_at - ahead_by - row.now)
        if _advance(
            contract_id, count * space, next_at__lte=EpochNow() + Value(ahead_by - (count - 1) * space + 2 * _ROUNDING)
        ):
            return Slots(count, 0.0 if count == wanted else space)
        # Somebody was quicker: look again at what is left.


def take_for_reading(contract_id: int, *, purpose: Purpose, posts_wait: bool) -> Slots:
    """Take one slot for a call of a reading. While POSTs wait, readings get every other slot at the most.

    A confirming reading whose turn it is gets a slot whoever else wants one: it books the next even one, and the
    call may be made after `wait` seconds. Else a stream of single clicks would keep all outcomes from being proved.
    """
    row = _row(contract_id)
    if posts_wait and row.next_reading_at > row.now and not row.blocked:
        return Slots(0, row.next_reading_at - row.now)
    slots = take(contract_id, purpose=purpose)
    if not slots.taken and not slots.blocked and posts_wait and purpose is Purpose.CONFIRMING:
        slots = _book(contract_id)
    if slots.taken and row.requests_per_minute:
        pause = slots.wait + 2 * spacing(row.requests_per_minute)
        Contract.objects.filter(pk=contract_id).update(next_reading_at=EpochNow() + Value(pause))
    return slots


def _book(contract_id: int) -> Slots:
    row = _row(contract_id)
    if row.blocked:
        return Slots(0, row.blocked, blocked=True)
    booked = _advance(contract_id, spacing(row.requests_per_minute), next_at=row.next_at)
    wait = max(0.0, row.next_at - row.now)
    return Slots(1, wait) if booked else Slots(0)


def is_blocked(contract_id: int) -> bool:
    return _row(contract_id).blocked > 0


def block(contract_id: int, until: datetime) -> bool:
    """Stop every call of the contract until then. True where it was not stopped before."""
    unblocked = Contract.objects.filter(Q(blocked_until=None) | Q(blocked_until__lte=Now()), pk=contract_id)
    if unblocked.update(blocked_until=until):
        return True
    Contract.objects.filter(pk=contract_id, blocked_until__lt=until).update(blocked_until=until)
    return False


@dataclass(frozen=True)
class _Row:
    requests_per_minute: int
    next_at: float
    next_reading_at: float
    now: float
    blocked: float


def _row(contract_id: int) -> _Row:
    contract = Contract.objects.annotate(now=EpochNow()).get(pk=contract_id)
    now: float = contract.now
    until = contract.blocked_until.timestamp() if contract.blocked_until else 0.0
    return _Row(contract.requests_per_minute, contract.next_at, contract.next_reading_at, now, max(0.0, until - now))


def _advance(contract_id: int, by: float, **condition: Any) -> bool:
    free = Contract.objects.filter(Q(blocked_until=None) | Q(blocked_until__lte=Now()), pk=contract_id, **condition)
    return bool(free.update(next_at=Greatest(F("next_at"), EpochNow()) + Value(by)))
