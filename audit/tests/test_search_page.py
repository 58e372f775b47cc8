"""The page of a search: counts, chart, links that narrow it, saved searches, what is newer."""

import re
from datetime import timedelta
from unittest import mock
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.models import Event, SavedSearch
from audit.search import index, parse
from audit.services import Target, record_many
from audit.tests.make import commit_events, make_entry
from audit.tests.searching import FIRST
from audit.tests.test_page import LIST, listed, person

pytestmark = pytest.mark.django_db
BOB = Actor("API key", "2", "bob's key")
HARMLESS_ATTEMPTS = [
    "' OR 1=1 --",
    '"; DROP TABLE audit_event; --"',
    "actor:%",
    "actor:_lice",
    "actor:a%*",
    "actor:\"' OR '1'='1\"",
    'target:"*"',
    '"NEAR(a b)" OR "AND" NOT',
    "storage & !full | (x:*)",
    "a:* <-> b",
    "target:.*",
    "target:^agent1$",
    "target:[a-z]+*",
    'words:"(?i)x"',
    '"\\\\" "(((" "[["',
    'source:"$.x"',
    "{{ 7*7 }} {% now %}",
    "<script>alert(1)</script>",
    "\u202egnp",
    "'" * 100,
    "(" * 1000,
    "%s %(x)s %%",
    "x" * 10_000,
    "\0",
    "\x01\x1f",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
]


@pytest.fixture
def auditor(client):
    client.force_login(person("audra", "Auditor"))
    return client


@pytest.fixture
def past():
    """Ten minutes of events, one a minute, half of them of alice and half of bob's key."""
    for minute in range(10):
        with mock.patch("audit.services.timezone.now", return_value=FIRST + timedelta(minutes=minute)):
            record_many([make_entry(actor=BOB, data={"why": "flooded"}) if minute % 2 else make_entry()])


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("line", HARMLESS_ATTEMPTS)
def test_an_attack_is_only_looked_for(auditor, past, line, indexed):
    if indexed:
        index.catch_up(least=1)

    response = auditor.get(LIST, {"q": line})

    assert response.status_code == 200
    assert listed(response) == []
    assert "<script>alert" not in response.text
    assert f'value="{escape(line)}"' in response.text or "\0" in line


def bars(response):
    return [int(count) for count in re.findall(r'data-count="(\d+)"', response.text)]


def test_the_chart_counts_by_time_and_each_bar_narrows(auditor, past):
    response = auditor.get(LIST, {"q": "actor:alice after:2026-11-01 before:2026-11-01T00:10"})

    assert bars(response) == [1, 0, 1, 0, 1, 0, 1, 0, 1]
    link = re.search(r'<a href="([^"]+)" aria-label="1 Nov 2026 00:02 to 00:03: 1 event"', response.text)[1]
    narrowed = auditor.get(link.replace("&amp;", "&"))
    assert len(listed(narrowed)) == 1
    assert 'value="actor:alice after:2026-11-01T00:02Z before:2026-11-01T00:03Z"' in narrowed.text


def test_names_are_counted_and_narrow_the_search(auditor, past):
    text = auditor.get(LIST, {"q": "after:2026-11-01 before:2026-11-02"}).text

    found = re.findall(r'<li><a href="([^"]+)"><bdi>([^<]+)</bdi></a>.*?<span class="count">([^<]+)</span>', text)
    counted = {name: (count, link.replace("&amp;", "&")) for link, name, count in found}
    assert counted["alice"][0] == counted["bob&#x27;s key"][0] == "5"
    assert counted["agent1"][0] == "10"
    assert len(listed(auditor.get(counted["bob&#x27;s key"][1]))) == 5


def test_a_condition_is_taken_out_where_it_was_put_in(auditor, past):
    text = auditor.get(LIST, {"q": "actor:alice flooded"}).text
    assert listed(auditor.get(LIST, {"q": "actor:alice flooded"})) == []

    text = auditor.get(LIST, {"q": "actor:alice"}).text
    link = re.search(r'<a href="([^"]+)" aria-current="true" title="Take this condition out"><bdi>alice', text)[1]

    assert link == LIST


def test_the_reason_is_in_the_list_and_on_the_page_of_the_event(auditor, past):
    response = auditor.get(LIST, {"q": "flooded"})

    assert response.text.count("flooded</bdi>") == 5
    assert "flooded" in auditor.get(reverse("audit:event", args=[listed(response)[0]])).text


def test_a_reviewer_finds_who_did_it_why_and_what_came_of_it(auditor):
    operation, session = uuid4(), Target("disconnection", "5", "agent1 (abc)")
    request = {"operation": operation, "actor": BOB}
    commit_events(1, action=Action.OPERATION_REQUESTED, data={"reason": "it floods the hall"}, **request)
    commit_events(1, target=session, **request)
    commit_events(1, target=Target("disconnection", "6", "agent2 (def)"), **request)
    commit_events(1, action=Action.DISCONNECTION_CONFIRMED, actor=CONSOLE, target=session, operation=operation)

    found = auditor.get(LIST, {"q": "target:agent1 outcome:confirmed"})
    text = auditor.get(reverse("audit:event", args=listed(found))).text

    asked = text[text.index("Who asked for it") : text.index("Details</h2>")]
    assert "bob&#x27;s key" in asked and "API key" in asked and "it floods the hall" in asked
    about = text[text.index("What happened to it") : text.index("The whole story")]
    assert "Queued" in about and "Confirmed" in about and "agent2" not in about


def test_before_and_after_stand_side_by_side(auditor):
    commit_events(1, data={"changed": {"Polling": [30, 60], "Paused": [False, True], "Note": ["", "<b>"]}})
    sequence = Event.objects.latest("sequence").sequence

    text = auditor.get(reverse("audit:event", args=[sequence])).text

    rows = re.findall(r"<del><bdi>(.*?)</bdi></del>.*?<ins><bdi>(.*?)</bdi></ins>", text)
    assert rows == [("", "&lt;b&gt;"), ("no", "yes"), ("30", "60")]


def test_the_page_of_an_event_leads_to_its_neighbours(auditor, past):
    middle = Event.objects.order_by("sequence")[4].sequence

    text = auditor.get(reverse("audit:event", args=[middle])).text

    assert f'rel="prev" href="{reverse("audit:event", args=[middle - 1])}"' in text
    assert f'rel="next" href="{reverse("audit:event", args=[middle + 1])}"' in text


def test_times_are_in_the_readers_zone_or_in_utc(auditor, past):
    type(person("unused", "Auditor")).objects.update(time_zone="Asia/Tokyo")

    own = auditor.get(LIST, {"q": "after:2026-11-01T09:08 before:2026-11-02"})
    utc = auditor.get(LIST, {"q": "after:2026-11-01T00:08 before:2026-11-02", "times": "utc"})

    assert listed(own) == listed(utc) and len(listed(own)) == 2
    assert "2026-11-01 09:09:00" in own.text and 'title="2026-11-01 00:09:00 UTC"' in own.text
    assert "2026-11-01 00:09:00" in utc.text
    assert "times=utc" in utc.text


def test_it_says_how_many_are_newer(auditor, past):
    fourth = listed(auditor.get(LIST, {"q": "actor:alice"}))[3]
    url = re.search(r'data-url="([^"]+)"', auditor.get(LIST, {"q": "actor:alice"}).text)[1].replace("&amp;", "&")

    assert auditor.get(url).json() == {"count": 0, "more": False}
    commit_events(2)
    commit_events(2, actor=BOB)
    assert auditor.get(url).json() == {"count": 2, "more": False}
    assert auditor.get(reverse("audit:newer"), {"q": "actor:alice", "newer": fourth}).json()["count"] == 5
    assert auditor.get(reverse("audit:newer"), {"q": "foo:bar", "newer": "x"}).json()["count"] == 0


def save(client, **given):
    return client.post(reverse("audit:save-search"), {"name": "forced", "q": "action:disconnection.*", **given})


def test_a_search_is_saved_and_that_is_on_record(auditor, client):
    response = save(auditor)

    assert response.url == f"{LIST}?q=action%3Adisconnection.%2A"
    assert "forced" in auditor.get(LIST).text
    event = Event.objects.latest("sequence")
    assert (event.action, event.target_label) == ("search.saved", "forced")
    assert event.details == {"line": "action:disconnection.*", "shared": False}


def test_only_shared_searches_are_shared(auditor, client):
    save(auditor)
    save(auditor, name="all of alice", q="actor:alice", shared="on")
    client.force_login(person("olga", "Auditor"))

    text = client.get(LIST).text

    assert "all of alice" in text and "shared by <bdi>audra</bdi>" in text
    assert "disconnection.*</bdi></code>" not in text
    own = SavedSearch.objects.get(name="forced")
    assert client.post(reverse("audit:remove-search", args=[own.pk])).status_code == 404


def test_a_saved_search_is_removed_and_that_is_on_record(auditor):
    save(auditor)

    auditor.post(reverse("audit:remove-search", args=[SavedSearch.objects.get().pk]))

    assert not SavedSearch.objects.exists()
    assert Event.objects.latest("sequence").action == "search.removed"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "A saved search needs a name."),
        ({"name": "x" * 61}, "at most 60 characters"),
        ({"q": "foo:bar"}, "There is no filter “foo”"),
        ({}, "You have a saved search of this name already."),
    ],
)
def test_what_can_not_be_saved_is_told(auditor, given, message):
    save(auditor)

    response = save(auditor, **given)

    assert message in auditor.get(response.url).text
    assert SavedSearch.objects.count() == 1


def test_no_more_than_fifty_are_saved(auditor):
    with mock.patch("audit.search.saved.MOST", 1):
        save(auditor)
        response = save(auditor, name="another")

    assert "remove one first" in auditor.get(response.url).text


def test_without_an_index_it_still_finds(auditor, past):
    with mock.patch("audit.search.find.LONGEST_TAIL", 3):
        response = auditor.get(LIST, {"q": "actor:alice"})

    assert len(listed(response)) == 5
    assert "The index lags" in response.text


def test_a_phrase_is_looked_for_page_by_page(auditor):
    commit_events(60, data={"reason": "is full storage is"})
    commit_events(1, data={"reason": "storage is full"})
    commit_events(60, data={"reason": "is full storage is"})
    index.catch_up(least=1)
    line = '"storage is full"'

    with mock.patch("audit.search.find.CHECKED", 3), mock.patch("audit.paging.LOOKED_AT", 51):
        first = auditor.get(LIST, {"q": line})
        further = re.search(r'href="([^"]+)">Look further', first.text)[1].replace("&amp;", "&")
        second = auditor.get(further)

    assert listed(first) == []
    assert listed(second) == [event.sequence for event in parse(line).events()]


def test_it_asks_few_questions_however_long_the_log_is(auditor):
    def queries():
        with CaptureQueriesContext(connection) as captured:
            auditor.get(LIST, {"q": "actor:alice full -target:agent2 after:2020-01-01"})
        return len(captured)

    commit_events(2, data={"reason": "full"})
    index.catch_up(least=1)
    few = queries()
    commit_events(300, data={"reason": "full"})
    index.catch_up(least=1)

    assert queries() == few
