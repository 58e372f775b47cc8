from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from audit.forms import SearchForm
from audit.search import Query, QueryError, Term, parse
from audit.search.parsing import FIELDS, LONGEST_LINE, MOST_TERMS
from audit.search.query import ORDER, WORDS, Span
from audit.tests.searching import searches

OPERATION = UUID("1b4e28ba-2fa1-41d2-883f-0016d3cca427")


@pytest.mark.parametrize(
    ("line", "terms"),
    [
        ("", []),
        ("actor:alice", [Term("actor", "alice")]),
        ("  actor:alice\t\n", [Term("actor", "alice")]),
        ("ACTOR:Alice", [Term("actor", "Alice")]),
        ("-source:demo", [Term("source", "demo", negated=True)]),
        ("action:disconnection.*", [Term("action", "disconnection.", prefix=True)]),
        ('target:"agent 1 (17)"', [Term("target", "agent 1 (17)")]),
        ('target:"agent 1"*', [Term("target", "agent 1", prefix=True)]),
        ('target:"a*"', [Term("target", "a*")]),
        (r'key:"say \"so\" \\ now"', [Term("key", r'say "so" \ now')]),
        ("address:fe80::1", [Term("address", "fe80::1")]),
        ("storage full", [Term(WORDS, "storage"), Term(WORDS, "full")]),
        ('-"storage is full"', [Term(WORDS, "storage is full", negated=True)]),
        ('"12:30"', [Term(WORDS, "12:30")]),
        ("12:30", [Term(WORDS, "12:30")]),
        (f"operation:{OPERATION}", [Term("operation", OPERATION)]),
        ("event:100..200", [Term("event", Span(100, 200))]),
        ("event:17", [Term("event", Span(17, 17))]),
        ("event:17..", [Term("event", Span(17, None))]),
        ("event:..17", [Term("event", Span(None, 17))]),
        ("after:2026-11-01T05:00Z", [Term("after", datetime(2026, 11, 1, 5, tzinfo=UTC))]),
        ("before:2026-11-01T14:00+09:00", [Term("before", datetime(2026, 11, 1, 5, tzinfo=UTC))]),
        ("outcome:gone", [Term("outcome", "gone")]),
    ],
)
def test_it_reads_a_line(line, terms):
    assert parse(line) == Query(tuple(terms))


def test_a_time_without_a_zone_is_in_the_readers():
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        query = parse("after:2026-11-01")

    assert query.terms[0].value == datetime(2026, 10, 31, 15, tzinfo=UTC)
    assert str(query) == "after:2026-11-01T00:00+09:00"


@pytest.mark.parametrize(
    ("line", "message", "word"),
    [
        ("actor:alice foo:bar", "There is no filter “foo”", "foo:bar"),
        ("actor: full", "After “actor:” something must follow.", "actor:"),
        ('full "half', "This quotation mark has no partner", '"half'),
        ('"a"b', "or something follows its partner", '"a"b'),
        ('actor:a"b', "stands in quotation marks itself", 'actor:a"b'),
        ("target:a*b", "A * stands only at the end", "target:a*b"),
        ("target:*", "After “target:” something must follow.", "target:*"),
        ("action:made.up full", "The log knows no action “made.up”.", "action:made.up"),
        ("outcome:faild", "The log knows no outcome “faild”.", "outcome:faild"),
        ("operation:17", "An operation has an ID such as", "operation:17"),
        ("request:abc*", "“request” is given whole", "request:abc*"),
        ("event:2..1", "No event has such a number.", "event:2..1"),
        ("event:9999999999999999999", "No event has such a number.", "event:9999999999999999999"),
        ("event:x", "Events have numbers", "event:x"),
        ("after:tomorrow", "“tomorrow” is not a time", "after:tomorrow"),
        ("after:2026-02-30", "“2026-02-30” is not a time", "after:2026-02-30"),
        ("after:0001-01-01", "is not a time", "after:0001-01-01"),
        ("-after:2026-01-01", "write “before”", "-after:2026-01-01"),
        ("full -", "Here is nothing to look for.", "-"),
        ("full ...", "Here is no word to look for.", "..."),
        ("full \0", "no event can hold", "\0"),
        ("full \ud800", "no event can hold", "\ud800"),
        (f"actor:{'x' * 201}", "No value is longer than 200", f"actor:{'x' * 201}"),
        ("after:2026-01-01 after:2026-01-02", "A search has one “after” only.", ""),
        ("after:2026-01-02 before:2026-01-02", "“before” must be later than “after”.", ""),
        ("x " * (LONGEST_LINE // 2 + 1), "A search has at most 2,000 characters", ""),
        (" ".join(f"w{number}" for number in range(MOST_TERMS + 1)), "at most 40 conditions", ""),
    ],
)
def test_it_says_what_is_wrong_and_where(line, message, word):
    with pytest.raises(QueryError) as caught:
        parse(line)

    assert message in caught.value.message
    assert line[caught.value.start : caught.value.end] == word


@given(searches())
def test_a_search_is_the_same_read_back_from_its_line(query):
    assert parse(str(query)) == query
    assert str(parse(str(query))) == str(query)


@given(searches())
def test_a_search_is_the_same_read_back_from_its_form(query):
    form = SearchForm.of(query)

    sent = {name: form[name].value() for name in form.fields}
    again = SearchForm({name: value for name, value in sent.items() if value})

    assert again.is_valid(), again.errors
    assert again.cleaned_data["query"] == query


@given(st.text(max_size=60) | st.text(alphabet='ab:"\\*-. \0', max_size=30))
def test_any_text_is_a_search_or_a_clear_error(text):
    try:
        query = parse(text)
    except QueryError as error:
        assert error.message
        assert 0 <= error.start <= error.end <= len(text)
    else:
        assert parse(str(query)) == query


def test_every_field_has_its_place():
    assert set(ORDER) == {*FIELDS, WORDS}
    assert set(SearchForm.base_fields) == {*FIELDS, WORDS}
