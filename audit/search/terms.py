"""What an event is found by, as numbers that the index holds; and the numbers that a condition of a search needs.

A number is a hash of the field and the text. What only looks alike is sorted out by the database, which checks every
event that a page shows against the search itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from audit.models import Event
from audit.search.query import DIVIDER, NAMED, PLACES, WORDS, Term, parts
from audit.search.words import fold, pieces

#: Beginnings up to this length are in the index; a longer one is looked up by its first part.
LONGEST_PREFIX = 32
#: Text in one of these is found whole only.
WHOLE_ONLY = {"operation", "request"}
#: The fields by whose values a page counts what was found.
COUNTED = ("outcome", "action", "actor", "source", "target", "address")


@dataclass(frozen=True)
class Plan:
    """A condition as the index answers it: all numbers of one of `any_of`. Not `exact`: it may find more."""

    any_of: tuple[tuple[int, ...], ...]
    exact: bool = True


@lru_cache(100_000)
def number(field: str, text: str, *, prefix: bool = False) -> int:
    kind = "*" if prefix else "="
    return int.from_bytes(blake2b(f"{field}{kind}{text}".encode(), digest_size=8).digest(), "big", signed=True)


def texts_of(event: Event) -> Iterable[tuple[str, str]]:
    """Field and text, for everything that an event is found by."""
    for field, places in PLACES.items():
        for place in places:
            if text := place.text(event):
                yield field, text
    if event.operation:
        yield "operation", event.operation.hex


def name_of(field: str, text: str) -> str:
    """What stands for an event where it is counted: `agent1` of `agent1 (17)`, `failed` of `disconnection.failed`."""
    if field == "outcome":
        return text.rpartition(".")[2]
    return parts(text)[0] if field in NAMED else text


@lru_cache(20_000)
def numbers_of(field: str, text: str) -> tuple[int, ...]:
    """All that an event with this text in this field is found by."""
    text = fold(text)
    found: set[int] = set()
    if field == WORDS:
        words = list(pieces(text))
        for piece in words:
            found |= _stretch(piece[0]) if piece["unspaced"] else _with_beginnings(field, piece[0])
        found |= {number(WORDS, pair) for pair in _pairs(words)}
    elif field == "outcome":
        for word in _endings(text):
            found |= _with_beginnings(field, word)
    elif field in WHOLE_ONLY:
        found = {number(field, text)}
    else:
        head, *rest = parts(text) if field in NAMED else [text]
        found = _with_beginnings(field, head) | {number(field, each) for each in rest}
    return tuple(found)


def _with_beginnings(field: str, text: str) -> set[int]:
    lengths = range(1, min(len(text), LONGEST_PREFIX) + 1)
    return {number(field, text)} | {number(field, text[:length], prefix=True) for length in lengths}


def _endings(action: str) -> list[str]:
    """`disconnection.already_gone` is found by the outcomes `already_gone` and `gone`."""
    words = action.rpartition(".")[2].split("_")
    return ["_".join(words[start:]) for start in range(len(words))]


def _pairs(words: list[re.Match[str]]) -> list[str]:
    """Neighbours, so that the words of a phrase are not looked for just anywhere in a text."""
    neighbours = zip(words, words[1:], strict=False)
    return [f"{one[0]} {other[0]}" for one, other in neighbours if one["word"] and other["word"]]


def _stretch(text: str) -> set[int]:
    """Any part of a text without spaces is found by the pairs of characters in it."""
    pairs = {text[start : start + 2] for start in range(len(text) - 1)}
    return {number(WORDS, part) for part in pairs | set(text)}


def plan(term: Term) -> Plan:
    """What the index is asked for this condition; not for those about times and numbers of events."""
    field = term.field
    if isinstance(term.value, UUID):
        return Plan(((number(field, term.value.hex),),))
    text = fold(str(term.value))
    if field == WORDS:
        return _plan_words(text, prefix=term.prefix)
    if field in NAMED:
        return _plan_name(field, text, prefix=term.prefix)
    return _beginning(field, text) if term.prefix else Plan(((number(field, text),),))


def _beginning(field: str, text: str) -> Plan:
    return Plan(((number(field, text[:LONGEST_PREFIX], prefix=True),),), exact=len(text) <= LONGEST_PREFIX)


def _plan_name(field: str, text: str, *, prefix: bool) -> Plan:
    head, divider, _ = text.partition(DIVIDER)
    if prefix and divider:
        return Plan(((number(field, head),), _beginning(field, text).any_of[0]), exact=False)
    if prefix:
        stripped = text.rstrip(" ")
        found = _beginning(field, stripped) if stripped else Plan(((),), exact=False)
        return found if stripped == text else Plan(found.any_of, exact=False)
    whole = (number(field, text),)
    split = parts(text)
    return (
        Plan((whole,)) if len(split) == 1 else Plan((whole, tuple(number(field, each) for each in split)), exact=False)
    )


def _plan_words(text: str, *, prefix: bool) -> Plan:
    numbers: list[int] = []
    found = list(pieces(text))
    for piece in found:
        word, is_last = piece[0], piece is found[-1]
        if piece["unspaced"]:
            numbers += [number(WORDS, word[start : start + 2]) for start in range(max(len(word) - 1, 1))]
        elif prefix and is_last:
            numbers += _beginning(WORDS, word).any_of[0]
        else:
            numbers.append(number(WORDS, word))
    numbers += [number(WORDS, pair) for pair in _pairs(found[:-1] if prefix else found)]
    words = [piece[0] for piece in found]
    match len(found):
        case 1:
            exact = len(words[0]) <= (2 if found[0]["unspaced"] else LONGEST_PREFIX)
        case 2:
            exact = not prefix and found[0]["word"] is not None and found[1]["word"] is not None
        case _:
            exact = False
    return Plan((tuple(numbers),), exact)
