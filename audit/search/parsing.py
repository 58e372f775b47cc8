"""The one line of a search, e.g. `actor:alice action:disconnection.* -source:demo "storage is full"`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from audit.actions import Action
from audit.search.query import WORDS, Query, Span, Term
from audit.search.words import pieces

LONGEST_LINE = 2_000
LONGEST_VALUE = 200
MOST_TERMS = 40
LAST_EVENT = 2**63 - 1

#: Every field with what it is looked for in, in the order in which forms and the docs show them.
FIELDS = {
    "actor": "who did it",
    "action": "what was done; a * at the end stands for the rest",
    "target": "what it was done to: an agent, a session, a source, a person, a key",
    "source": "the source that it is about",
    "outcome": "the last part of the action, such as confirmed or failed",
    "key": "the API key that did it or that it was done to",
    "address": "where the request came from",
    "operation": "the order to disconnect that it belongs to",
    "request": "the web request that it belongs to",
    "event": "its number, or numbers such as 100..200",
    "after": "this moment or later",
    "before": "earlier than this moment",
}
#: What is never given by its beginning.
WHOLE = {"operation", "request", "event", "after", "before"}
OUTCOMES = sorted({action.value.rpartition(".")[2] for action in Action})

_TERM = re.compile(
    r"""
    (?P<minus>-)?
    (?:(?P<field>[A-Za-z_]+):)?
    (?: "(?P<quoted>(?:[^"\\]|\\.)*)"(?P<star>\*)?(?=\s|$)
      | (?P<open>".*)
      | (?P<plain>\S*) )
    """,
    re.VERBOSE | re.DOTALL,
)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class QueryError(ValueError):
    """Why a line is no search, in one sentence; `start` and `end` are where the word is that it is about."""

    def __init__(self, message: str, start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.message, self.start, self.end = message, start, end


def parse(text: str) -> Query:
    """The search that the line asks for. Times without a zone are in the reader's. Raises `QueryError`."""
    return ordered(_terms(text, ""))


def ordered(terms: Iterable[Term]) -> Query:
    """The search of these conditions. Raises `QueryError` where they are too many."""
    query = Query.of_terms(terms)
    for field in ("after", "before"):
        if len(query.of(field)) > 1:
            raise QueryError(f"A search has one “{field}” only.")
    begin, end = (next((term.value for term in query.of(field)), None) for field in ("after", "before"))
    if isinstance(begin, datetime) and isinstance(end, datetime) and begin >= end:
        raise QueryError("“before” must be later than “after”.")
    if len(query.terms) > MOST_TERMS:
        raise QueryError(f"A search has at most {MOST_TERMS} conditions.")
    return query


def parse_values(field: str, text: str) -> list[Term]:
    """The same for the box of one field in the form: `alice -bob` under *actor* is `actor:alice -actor:bob`."""
    return _terms(text, field)


def _terms(text: str, only: str) -> list[Term]:
    if len(text) > LONGEST_LINE:
        raise QueryError(f"A search has at most {LONGEST_LINE:,} characters; this one has {len(text):,}.")
    if found := _UNSTORABLE.search(text):
        raise QueryError("There is a character in it that no event can hold.", *found.span())
    terms: list[Term] = []
    position = 0
    while (position := _next_word(text, position)) < len(text):
        found = _TERM.match(text, position)
        assert found is not None  # \S* takes anything
        try:
            term = _term(found, only)
        except QueryError as error:
            raise QueryError(error.message, *found.span()) from None
        terms.append(term)
        position = found.end()
    return terms


def _next_word(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _term(found: re.Match[str], only: str) -> Term:
    if found["open"] is not None:
        raise QueryError("This quotation mark has no partner, or something follows its partner without a space.")
    name = (found["field"] or "").lower()
    if only and name:
        # In the box of a field the colon is part of the value, as in an IPv6 address.
        value, prefix = f"{found['field']}:{_value(found)[0]}", _value(found)[1]
        name = only
    else:
        name = name or only or WORDS
        if name not in FIELDS and name != WORDS:
            raise QueryError(
                f"There is no filter “{name}”; there are {', '.join(FIELDS)}."
                " Words with a colon stand in quotation marks."
            )
        value, prefix = _value(found)
    if not value:
        raise QueryError(f"After “{name}:” something must follow." if name != WORDS else "Here is nothing to look for.")
    if len(value) > LONGEST_VALUE:
        raise QueryError(f"No value is longer than {LONGEST_VALUE} characters.")
    negated = found["minus"] is not None
    if prefix and name in WHOLE:
        raise QueryError(f"“{name}” is given whole, without a *.")
    if negated and name in ("after", "before"):
        raise QueryError(f"For “-{name}” write “{'before' if name == 'after' else 'after'}”.")
    if name in _READ:
        return Term(name, _READ[name](value), negated)
    if name == WORDS and not any(pieces(value)):
        raise QueryError("Here is no word to look for.")
    _check_known(name, value.lower(), prefix)
    return Term(name, value, negated, prefix)


def _value(found: re.Match[str]) -> tuple[str, bool]:
    """What is looked for, and whether more may follow it."""
    if found["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", found["quoted"], flags=re.DOTALL), found["star"] is not None
    plain = found["plain"]
    if '"' in plain or "\\" in plain:
        raise QueryError("A value with a quotation mark or a backslash in it stands in quotation marks itself.")
    value = plain.removesuffix("*")
    if "*" in value:
        raise QueryError("A * stands only at the end; one that is meant itself stands in quotation marks.")
    return value, value != plain


def _check_known(name: str, value: str, prefix: bool) -> None:
    """An action that does not exist is a slip of the pen, and not a search that finds nothing."""
    known = {"action": Action.values, "outcome": OUTCOMES}.get(name)
    if known is None:
        return
    if prefix:
        fits = any(each.startswith(value) or f"_{value}" in each and name == "outcome" for each in known)
    else:
        fits = any(each == value or each.endswith(f"_{value}") and name == "outcome" for each in known)
    if not fits:
        raise QueryError(f"The log knows no {name} “{value}{'*' if prefix else ''}”.")


def _read_operation(value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise QueryError("An operation has an ID such as 1b4e28ba-2fa1-41d2-883f-0016d3cca427.") from None


def _read_span(value: str) -> Span:
    found = re.fullmatch(r"([0-9]{1,19})?(\.\.)?([0-9]{1,19})?", value)
    if not found or value == ".." or (found[1] and found[3] and not found[2]):
        raise QueryError("Events have numbers: 17, 100..200, 100.. or ..200.")
    first, last = (int(part) if part else None for part in (found[1], found[3]))
    span = Span(first, last if found[2] else first)
    if max(span.first or 0, span.last or 0) > LAST_EVENT or (span.last is not None and (span.first or 0) > span.last):
        raise QueryError("No event has such a number.")
    return span


def _read_moment(value: str) -> datetime:
    moment = _moment(value)
    # Nearer to the ends of the calendar a change of zone overflows.
    if moment is None or moment.microsecond or not 1970 <= moment.year <= 9000:
        raise QueryError(f"“{value}” is not a time such as 2026-11-21, 2026-11-21T14:05 or 2026-11-21T14:05Z.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _moment(value: str) -> datetime | None:
    try:
        if day := parse_date(value):
            return datetime(day.year, day.month, day.day)
        return parse_datetime(value)
    except ValueError:
        return None


_READ: dict[str, Callable[[str], UUID | Span | datetime]] = {
    "operation": _read_operation,
    "event": _read_span,
    "after": _read_moment,
    "before": _read_moment,
}
