"""Random events and searches, of few enough words that they meet."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from audit.actions import Action
from audit.actors import Actor
from audit.search import Query, Term
from audit.search.query import WORDS, Span
from audit.services import Entry, Target

NASTY = [
    "a%b",
    "_",
    "O'Brien",
    'say "so"',
    "back\\slash",
    "x*",
    "-x",
    "a & b | !c",
    "(1)",
    "[a-z]+",
    "a:b",
    "Äpfel",
    "ß",
]
#: Longer than any beginning that the index holds, and the same as far as that goes.
LONG = ["long" * 9, "long" * 9 + " (17)", "long" * 8 + "est"]
NAMES = [
    *LONG,
    "alice",
    "Alice",
    "ALICE B",
    "bob",
    "agent1",
    "agent1 (17)",
    "agent10 (17)",
    "agent (x (y)",
    "tokyo",
    *NASTY,
]
SENTENCES = [
    "storage is full",
    "Storage, is: FULL again",
    "is storage full?",
    # Has all the words and both pairs of them, and yet not the phrase.
    "storage is slow and the disk is full",
    "full",
    "fullness",
    "サーバー障害のため",
    "障害 agent1の切断",
    "ticket INC-1234",
    'he said "storage"',
    "",
    *NASTY,
]
OPERATIONS = [UUID(int=number) for number in range(1, 4)]
ADDRESSES = ["", "10.0.0.1", "10.0.0.12", "fe80::1"]
ACTIONS = [
    Action.DISCONNECTION_ALREADY_GONE,
    Action.DISCONNECTION_SEEN_GONE,
    Action.DISCONNECTION_CONFIRMED,
    Action.DISCONNECTION_FAILED,
    Action.SOURCE_CHANGED,
    Action.PERSON_SIGN_IN_REFUSED,
]

names = st.sampled_from(NAMES)
anything = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=12)
data = st.dictionaries(
    st.sampled_from(["reason", "why", "explanation", "message", "source", "status"]),
    st.one_of(st.sampled_from(SENTENCES), names, anything, st.integers(0, 5), st.lists(names, max_size=2), st.none()),
    max_size=3,
)
entries = st.builds(
    Entry,
    action=st.sampled_from(ACTIONS),
    actor=st.builds(Actor, st.sampled_from(["person", "API key"]), st.just("1"), names),
    target=st.builds(Target, st.sampled_from(["source", "API key", "disconnection"]), st.just("2"), names | anything),
    operation=st.sampled_from([None, *OPERATIONS]),
    data=data,
)

texts = st.one_of(
    names,
    st.sampled_from(["age", "agent", "agent1 (", "17", "x (y", "a", "tok", LONG[0][:34]]),
    anything.map(str.strip).filter(bool),
)
text_terms = st.builds(
    Term,
    field=st.sampled_from(["actor", "target", "source", "key"]),
    value=texts,
    negated=st.booleans(),
    prefix=st.booleans(),
)
word_terms = st.builds(
    Term,
    field=st.just(WORDS),
    value=st.sampled_from(
        [
            "full",
            "ful",
            "storage is full",
            "is full",
            "INC-1234",
            "障害",
            "害のため",
            "サ",
            "agent1",
            "1の",
            "ÄPFEL",
            "O'Brien",
        ]
    ),
    negated=st.booleans(),
    prefix=st.booleans(),
)
other_terms = st.one_of(
    st.builds(
        Term,
        st.just("action"),
        st.sampled_from(["disconnection.", "source.ch", "person"]),
        st.booleans(),
        st.just(True),
    ),
    st.builds(Term, st.just("action"), st.sampled_from(ACTIONS).map(str), st.booleans()),
    st.builds(Term, st.just("outcome"), st.sampled_from(["gone", "already_gone", "refused", "failed"]), st.booleans()),
    st.builds(Term, st.just("outcome"), st.sampled_from(["al", "go", "conf"]), st.booleans(), st.just(True)),
    st.builds(Term, st.just("operation"), st.sampled_from(OPERATIONS), st.booleans()),
    st.builds(Term, st.just("address"), st.sampled_from(["10.0.0.1", "fe80::1", "FE80::1"]), st.booleans()),
    st.builds(Term, st.just("address"), st.just("10.0."), st.booleans(), st.just(True)),
)
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
moments = st.integers(0, 60).map(lambda minutes: FIRST + timedelta(minutes=minutes))


def spans(first, last):
    numbers = st.integers(first, last)
    return st.one_of(
        st.builds(lambda one, other: Span(min(one, other), max(one, other)), numbers, numbers),
        st.builds(Span, numbers, st.none()),
        st.builds(Span, st.none(), numbers),
    )


def searches(first=1, last=50):
    ranges = st.one_of(
        st.builds(Term, st.just("event"), spans(first, last), st.booleans()),
        st.builds(Term, st.just("after"), moments),
        st.builds(Term, st.just("before"), moments),
    )
    terms = st.lists(st.one_of(text_terms, word_terms, other_terms, ranges), max_size=4)
    return terms.map(_without_second_times)


def _without_second_times(terms):
    times = {term.field: term for term in terms if term.field in ("after", "before")}
    if len(times) == 2 and times["after"].value >= times["before"].value:
        del times["before"]
    return Query.of_terms([*(term for term in terms if term.field not in ("after", "before")), *times.values()])
