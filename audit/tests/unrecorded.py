"""Finds services that change rows without an event: watches the SQL of a test and the transactions that it runs in.

`conftest.py` has every test of the suite watched. A write counts for the innermost function of the console's own code
(not of a test) on the stack. Its transaction is the outermost block that such a function opened, in a test a savepoint.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("agents", "apikeys", "audit", "bridge", "console")
_WRITE = re.compile(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
_SAVEPOINT = re.compile(r'(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) "?(\w+)"?', re.IGNORECASE)

#: Tables whose rows say nothing that somebody did, and why.
UNWATCHED = {
    "django_session": "sign-ins; the sign-in itself is an event",
    "django_content_type": "Django's own",
    "auth_permission": "Django's own",
    "console_cache": "throttle counters",
    "console_heartbeat": "signs of life; what matters of them is an event",
    "audit_head": "the chain",
    "audit_event": "the events",
    "audit_signing_key": "introduced by an event in the same transaction",
    "audit_delivery": "how far checkpoints have left; what matters of it is an event",
    "audit_check": "what a check found; a bad one is an event, and so is one that somebody asked for",
    "audit_posting": "the search index",
    "audit_chunk": "the search index",
    "audit_indexed": "the search index",
    "agents_reading": "what was read of a remote; nobody did anything",
    "agents_agentsession": "the remote's own list, copied; outcomes are events of the disconnection",
    "agents_contract": "the pacer's clock",
    "apikeys_idempotentrequest": "answers kept for repeated requests",
    "apikeys_apikeyuse": "counts of use",
    "bridge_bridgeprocess": "signs of life; starts and ends are events",
}
#: Functions that may change what they change without an event, and why.
ALLOWED = {
    "agents.credentials.store": "a part of services, which tests also call alone to make sources",
    "apikeys.checking._note_use": "counts of use",
    "apikeys.checking._digest_anew": "the same secret, with a newer pepper",
    "apikeys.throttling._take_portion": "what a key may still ask for in this minute",
    "audit.exports.making.make": "who makes the file, and how far it is; its end is an event",
    "audit.exports.making._go_on": "how far the file is; its end is an event",
    "apikeys.expiry._send": "that a warning was sent; the warning itself is an event",
    "audit.checks.ask": "the check that follows is an event",
    "audit.checks._check_as_asked": "takes that back",
    "audit.keeping._alone": "who archives at the moment",
    "audit.keeping.apply": "who archives at the moment",
    "console.people.roles.give_roles": "a part of services, which tests also call alone to make people",
}


@dataclass
class Unit:
    """One outermost transaction."""

    savepoint: str
    writes: set[str] = field(default_factory=set)
    recorded: bool = False


class Watch:
    """An `execute_wrapper` of a connection."""

    def __init__(self) -> None:
        self.found: set[str] = set()
        self._unit: Unit | None = None

    def __call__(self, execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        # An UPDATE or DELETE may have found nothing to change; of an INSERT the driver may not know yet.
        if context["cursor"].rowcount != 0 or sql.startswith("INSERT"):
            self._note(sql)
        return result

    def _note(self, sql: str) -> None:
        if found := _SAVEPOINT.match(sql):
            self._transaction(found[1].upper(), found[2])
        elif found := _WRITE.match(sql):
            self._write(found[1].lower())

    def _transaction(self, word: str, savepoint: str) -> None:
        if word == "SAVEPOINT" and self._unit is None:
            if _whose() or _decorated():  # Not the one that the test itself runs in.
                self._unit = Unit(savepoint)
        elif self._unit and savepoint == self._unit.savepoint:
            if word == "RELEASE SAVEPOINT" and not self._unit.recorded:
                self.found |= self._unit.writes
            self._unit = None

    def _write(self, table: str) -> None:
        if table == "audit_event":
            if self._unit:
                self._unit.recorded = True
            return
        if table in UNWATCHED or not (function := _whose()) or function in ALLOWED:
            return
        write = f"{function} changes {table} without an event"
        if self._unit:
            self._unit.writes.add(write)
        else:
            self.found.add(write)


def _decorated() -> bool:
    """Whether a function of ours is about to be called inside its own `@transaction.atomic`."""
    frame = sys._getframe(3)
    while frame:
        if frame.f_code.co_name == "inner":  # of contextlib.ContextDecorator
            names = getattr(frame.f_locals.get("func"), "__module__", "").split(".")
            if names[0] in APPS:
                return "tests" not in names
        frame = frame.f_back
    return False


def _whose() -> str:
    """The innermost function of ours that is on the stack; nothing where a test arranges rows by itself."""
    frame = sys._getframe(2)
    while frame:
        path = frame.f_code.co_filename
        if path.startswith(str(ROOT)) and "/.venv/" not in path:
            place = Path(path).relative_to(ROOT)
            if place.parts[0] not in APPS or "tests" in place.parts or "migrations" in place.parts:
                if place.name != Path(__file__).name and place.name != "conftest.py":
                    return ""
            elif place.parts[:1] != ("audit",) or place.name not in ("models.py",):
                return f"{'.'.join(place.with_suffix('').parts)}.{frame.f_code.co_name}"
        frame = frame.f_back
    return ""
