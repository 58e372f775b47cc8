"""What a search asks for, as data; what it means for one event, and the same for the database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Coalesce, NullIf
from django.db.models.lookups import Exact, Regex
from django.db.models.sql.compiler import SQLCompiler

from audit.models import Event, EventQuerySet
from audit.search.words import pattern_of, phrase_pattern

#: The keys of an event's data that say why: what the free words are looked for in.
TEXTS = ("reason", "why", "explanation", "message", "note")
#: How the free words are called where a field has a name.
WORDS = "words"


@dataclass(frozen=True)
class Span:
    """Numbers of events from `first` to `last`, both included; None: without an end."""

    first: int | None
    last: int | None

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first or ''}..{self.last or ''}"


@dataclass(frozen=True)
class Term:
    """One condition. `prefix`: whatever begins with the value; `negated`: whatever does not fulfil it."""

    field: str
    value: str | UUID | datetime | Span
    negated: bool = False
    prefix: bool = False

    def __str__(self) -> str:
        name = "" if self.field == WORDS else f"{self.field}:"
        return f"{'-' if self.negated else ''}{name}{self.value_text}"

    @property
    def value_text(self) -> str:
        """The value as it is typed, quoted where it must be."""
        if isinstance(self.value, datetime):
            return _moment_text(self.value)
        text = str(self.value)
        if not isinstance(self.value, str) or _PLAIN.fullmatch(text) and not (self.field == WORDS and ":" in text):
            quoted = text
        else:
            quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return quoted + ("*" if self.prefix else "")


_PLAIN = re.compile(r'[^\s"*\\-][^\s"*\\]*')


def _moment_text(moment: datetime) -> str:
    """`2026-11-01T14:05Z`: with its zone, since whoever reads it next may live in another."""
    text = moment.isoformat(timespec="seconds" if moment.second else "minutes")
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


@dataclass(frozen=True)
class Query:
    """All of it must hold. Several values of one field: any of them; several words: all of them."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """The one line that `parse` reads back to the same query, whoever parses it and wherever."""
        return " ".join(map(str, self.terms))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, event: Event) -> bool:
        return all(any(_holds(term, event) for term in group) for group in self.groups()) and not any(
            _holds(term, event) for term in self.exclusions()
        )

    def events(self) -> EventQuerySet:
        """Every event that matches, newest first, found without the index: for one pass over many of them."""
        events: EventQuerySet = Event.objects.order_by("-sequence")
        for group in self.groups():
            events = events.filter(reduce(or_, map(_condition, group)))
        for term in self.exclusions():
            events = events.exclude(_condition(term))
        return events

    def groups(self) -> list[list[Term]]:
        """Terms of which one each must hold."""
        groups: dict[object, list[Term]] = {}
        for term in self.terms:
            if not term.negated:
                groups.setdefault(term if term.field in EACH else term.field, []).append(term)
        return list(groups.values())

    def exclusions(self) -> list[Term]:
        return [term for term in self.terms if term.negated]

    def of(self, field: str) -> list[Term]:
        return [term for term in self.terms if term.field == field]

    def without(self, *fields: str) -> Query:
        return Query(tuple(term for term in self.terms if term.field not in fields))

    def adding(self, *terms: Term) -> Query:
        return Query.of_terms([*self.terms, *terms])

    @classmethod
    def of_terms(cls, terms: Iterable[Term]) -> Query:
        """The same search has the same line, in whatever order its fields were given."""
        return cls(tuple(dict.fromkeys(sorted(terms, key=lambda term: ORDER.index(term.field)))))


#: The order of fields in a line.
ORDER = (
    "actor",
    "action",
    "target",
    "source",
    "outcome",
    "key",
    "address",
    "operation",
    "request",
    "event",
    "after",
    "before",
    WORDS,
)
#: Fields whose conditions must hold each; of every other field one value suffices.
EACH = {WORDS, "after", "before"}


# --- Texts of an event that a field is looked for in ---------------------------------------------------------------


class DataText(Func):
    """The text under a key of `data`, empty where there is none."""

    output_field = TextField()

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(F("data"))

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        column, path = "audit_event.data", f"'$.{self.key}'"
        return (
            f"CASE WHEN json_type({column}, {path}) = 'text' THEN json_extract({column}, {path}) ELSE '' END",
            [],
        )

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        column, key = "audit_event.data::jsonb", f"'{self.key}'"
        return f"CASE WHEN jsonb_typeof({column}->{key}) = 'string' THEN {column}->>{key} ELSE '' END", []


def why() -> Coalesce:
    """For the database: the first of an event's texts that say why."""
    nothing = Value("", output_field=TextField())
    return Coalesce(*(NullIf(DataText(key), nothing) for key in TEXTS), nothing)


@dataclass(frozen=True)
class Place:
    """A text of an event: a column, or a key of its data; only where column `when[0]` is `when[1]`, if that is set."""

    column: str = ""
    key: str = ""
    when: tuple[str, str] | None = None

    def text(self, event: Event) -> str:
        if self.when and getattr(event, self.when[0]) != self.when[1]:
            return ""
        if self.column:
            return str(getattr(event, self.column))
        found = event.details.get(self.key)
        return found if isinstance(found, str) else ""

    def condition(self, pattern: str) -> Q:
        found = Q(Regex(F(self.column) if self.column else DataText(self.key), Value(pattern)))
        return Q(Exact(F(self.when[0]), Value(self.when[1]))) & found if self.when else found


API_KEY = "API key"
PLACES: dict[str, tuple[Place, ...]] = {
    "actor": (Place("actor_label"),),
    "action": (Place("action"),),
    "outcome": (Place("action"),),
    "target": (Place("target_label"),),
    "source": (Place("target_label", when=("target_kind", "source")), Place(key="source")),
    "key": (
        Place("actor_label", when=("actor_kind", API_KEY)),
        Place("target_label", when=("target_kind", API_KEY)),
    ),
    "address": (Place("address"),),
    "request": (Place("request_id"),),
    WORDS: tuple(Place(key=key) for key in TEXTS),
}
#: Names such as `agent1 (session 17)`, of which either part is a name too.
NAMED = {"actor", "target", "source", "key"}


DIVIDER = " ("


def parts(label: str) -> list[str]:
    """What a label is found by beside the whole of it: `agent1 (17)` by `agent1` and by `17`."""
    head, divider, rest = label.partition(DIVIDER)
    return [head, rest[:-1]] if divider and rest.endswith(")") else [label]


def _pattern(term: Term) -> str:
    value = str(term.value)
    if term.field == WORDS:
        return phrase_pattern(value, prefix=term.prefix)
    same = pattern_of(value)
    if term.field == "outcome":
        return f"(?:\\A|[._]){same}" + ("[^.]*\\Z" if term.prefix else "\\Z")
    if term.prefix:
        return f"\\A{same}"
    if term.field not in NAMED:
        return f"\\A{same}\\Z"
    alone = "" if DIVIDER in value else f"|\\A{same} \\((?:.|\n)*\\)\\Z"
    in_parentheses = f"\\A(?:(?! \\()(?:.|\n))* \\({same}\\)\\Z"
    return f"\\A{same}\\Z{alone}|{in_parentheses}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _holds(term: Term, event: Event) -> bool:
    match term.value:
        case UUID():
            return event.operation == term.value
        case Span():
            return (term.value.first or 0) <= event.sequence <= (term.value.last or event.sequence)
        case datetime():
            return event.at >= term.value if term.field == "after" else event.at < term.value
    found = _compiled(_pattern(term)).search
    return any(found(place.text(event)) is not None for place in PLACES[term.field])


def _condition(term: Term) -> Q:
    match term.value:
        case UUID():
            return Q(operation=term.value)
        case Span():
            bounds = {"sequence__gte": term.value.first, "sequence__lte": term.value.last}
            return Q(**{lookup: bound for lookup, bound in bounds.items() if bound is not None})
        case datetime():
            return Q(at__gte=term.value) if term.field == "after" else Q(at__lt=term.value)
    pattern = _pattern(term)
    return reduce(or_, (place.condition(pattern) for place in PLACES[term.field]))
