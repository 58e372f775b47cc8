import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape
from django.utils.http import urlencode

from audit.actions import Action
from audit.actors import CONSOLE, Actor
from audit.models import Event
from audit.paging import PAGE
from audit.services import Target
from audit.tests.make import ALICE, commit_events

pytestmark = pytest.mark.django_db
LIST = reverse("audit:list")
HOSTILE = "<script>alert(1)</script>\u202egnp.exe\x07"


def person(name, role):
    user = get_user_model().objects.create_user(name)
    user.groups.add(Group.objects.get_or_create(name=role)[0])
    return user


@pytest.fixture
def auditor(client):
    client.force_login(person("audra", "Auditor"))
    return client


def listed(response):
    """The sequences on the page, in its order."""
    return [int(number) for number in re.findall(r'<a class="mono" href="/audit/(\d+)/">', response.text)]


def all_newest_first(**lookups):
    return list(Event.objects.filter(**lookups).order_by("-sequence").values_list("sequence", flat=True))


def test_it_lists_the_newest_first(auditor):
    commit_events(3)

    assert listed(auditor.get(LIST)) == all_newest_first()


def test_it_pages_both_ways_and_loses_nothing(auditor):
    commit_events(2 * PAGE + 7)
    everything = all_newest_first()

    pages, url = [], LIST
    while url:
        response = auditor.get(url)
        pages.append(listed(response))
        url = _link(response, "next")
    assert sum(pages, []) == everything

    back = auditor.get(LIST + _link(response, "prev").removeprefix(LIST))
    assert listed(back) == pages[-2]
    newest = auditor.get(_link(back, "prev"))
    assert listed(newest) == pages[0]
    assert _link(newest, "prev") is None


def _link(response, rel):
    found = re.search(rf'rel="{rel}" href="([^"]+)"', response.text)
    return found and found[1].replace("&amp;", "&")


def test_newer_than_nearly_everything_is_the_newest_page(auditor):
    commit_events(PAGE + 5)

    assert listed(auditor.get(LIST, {"newer": all_newest_first()[3]})) == all_newest_first()[:PAGE]


@pytest.mark.parametrize(
    ("field", "value", "line", "lookup"),
    [
        ("actor", "bob", "actor:bob", {"actor_label": "bob"}),
        ("action", "source.paused", "action:source.paused", {"action": "source.paused"}),
        ("target", '"the hall"', 'target:"the hall"', {"target_label": "the hall"}),
    ],
)
def test_the_form_is_made_into_a_line(auditor, field, value, line, lookup):
    commit_events(2)
    commit_events(1, actor=Actor("person", "2", "bob"))
    commit_events(1, action=Action.SOURCE_PAUSED)
    commit_events(1, target=Target("source", "3", "the hall"))

    response = auditor.get(LIST, {field: value})

    assert response.url == f"{LIST}?{urlencode({'q': line})}"
    response = auditor.get(response.url)
    assert listed(response) == all_newest_first(**lookup) != []
    shown = escape(value)
    assert f'name="{field}" value="{shown}"' in response.text


def test_it_finds_an_operation_and_links_its_story(auditor):
    operation = uuid4()
    commit_events(3)
    commit_events(2, operation=operation)

    assert listed(auditor.get(LIST, {"q": f"operation:{operation}"})) == all_newest_first(operation=operation)
    assert f"/audit/?q=operation%3A{operation}" in auditor.get(LIST).text


def test_it_filters_by_time_in_the_zone_of_the_reader(auditor, client):
    get_user_model().objects.update(time_zone="Asia/Tokyo")
    commit_events(1)
    hour = timezone.now().astimezone(timezone.zoneinfo.ZoneInfo("Asia/Tokyo")).replace(tzinfo=None)

    def between(before, after):
        times = {"after": hour - timedelta(minutes=before), "before": hour + timedelta(minutes=after)}
        given = {name: time.isoformat(timespec="minutes") for name, time in times.items()}
        return auditor.get(LIST, given, follow=True)

    assert listed(between(5, 5)) == all_newest_first()
    assert listed(between(15, -10)) == []
    assert "Time (Asia/Tokyo)" in between(5, 5).text


def test_a_date_alone_is_kept_in_its_field(auditor):
    assert 'value="2026-11-21T00:00:00"' in auditor.get(LIST, {"after": "2026-11-21"}, follow=True).text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"after": "tomorrow"}, "“tomorrow” is not a date and time"),
        ({"after": "0001-01-01"}, "Give a year between 1970 and 9000."),
        ({"after": "2026-11-22", "before": "2026-11-21"}, "This must be later than “From”."),
        ({"action": "made.up"}, "The log knows no action “made.up”."),
        ({"operation": "17"}, "An operation has an ID such as"),
        ({"actor": "a\0b"}, "There is a character in it that no event can hold."),
        ({"target": "x" * 201}, "No value is longer than 200 characters."),
        ({"q": "actor:ali foo:bar"}, "There is no filter “foo”"),
        ({"q": 'actor:ali "unfinished'}, "This quotation mark has no partner"),
        ({"older": "x"}, "The place in the list (older) can’t be used"),
        ({"older": 2**63}, "The place in the list (older) can’t be used"),
        ({"older": 5, "newer": 6}, "names either older or newer events"),
    ],
)
def test_bad_input_is_named_and_nothing_is_lost(auditor, query, message):
    commit_events(1)

    given = query if query.keys() & {"q", "older"} else {"actor": "ali", **query}
    response = auditor.get(LIST, given)

    assert response.status_code == 200
    assert message in response.text
    assert listed(response) == []
    for name, value in given.items():
        if value == "ali" or name == "q":
            assert f'value="{escape(value)}"' in response.text


def test_the_word_that_is_wrong_is_marked(auditor):
    text = auditor.get(LIST, {"q": "actor:alice foo:bar full"}).text

    assert "actor:alice <mark>foo:bar</mark> full" in text


def test_empty_is_said(auditor):
    assert "No event matches" in auditor.get(LIST, {"q": "actor:nobody"}).text


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Key manager"])
def test_it_refuses_a_person_without_the_right(client, role):
    commit_events(1)
    client.force_login(person("vic", role))

    assert client.get(LIST).status_code == client.get(reverse("audit:event", args=[1])).status_code == 403


def test_it_asks_a_stranger_to_sign_in(client):
    response = client.get(LIST)

    assert response.status_code == 302
    assert reverse("account_login") in response.url


def test_it_only_reads(auditor):
    assert auditor.post(LIST).status_code == 405


def test_hostile_labels_are_shown_harmlessly(auditor):
    commit_events(
        1, actor=Actor("person", "9", HOSTILE), target=Target("agent session", "9", HOSTILE), data={"x": HOSTILE}
    )
    sequence = all_newest_first()[0]

    for url in [LIST, reverse("audit:event", args=[sequence])]:
        text = auditor.get(url).text
        assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp.exe\\u0007</bdi>" in text
        assert "<script>alert(1)" not in text
        assert "\u202e" not in text
        assert "\x07" not in text


def test_the_link_of_a_hostile_label_finds_its_events(auditor):
    commit_events(2, actor=Actor("person", "9", "a&b=ü<\u202e>"))

    link = re.search(r'<a href="(/audit/\?q=actor[^"]+)" title="Only events of this actor">', auditor.get(LIST).text)[1]

    assert listed(auditor.get(link.replace("&amp;", "&"))) == all_newest_first(actor_id="9")


def test_the_page_of_an_event_shows_everything(auditor):
    operation = uuid4()
    commit_events(1, action=Action.OPERATION_REQUESTED, operation=operation, data={"reason": "moving the hall"})
    commit_events(1, actor=CONSOLE, action=Action.DISCONNECTION_CONFIRMED, operation=operation)
    event = Event.objects.get(operation=operation, action="operation.requested")

    text = auditor.get(reverse("audit:event", args=[event.sequence])).text

    for shown in ["moving the hall", str(operation), event.hash, event.previous_hash, ALICE.label, "agent1"]:
        assert shown in text
    assert "Confirmed: the session is gone" in text
    assert f"{event.at:%Y-%m-%d %H:%M:%S}" in text


@pytest.mark.parametrize("sequence", [4_000_000, 2**64])
def test_an_event_that_is_not_there_is_not_found(auditor, sequence):
    assert auditor.get(f"/audit/{sequence}/").status_code == 404


def queries_of(client, url):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return [query["sql"] for query in captured]


def test_the_list_asks_the_same_few_questions_however_long_it_is(auditor):
    commit_events(1)
    short = queries_of(auditor, LIST)
    commit_events(3 * PAGE, operation=uuid4())
    long = queries_of(auditor, LIST)

    assert len(short) == len(long)
    assert len([sql for sql in long if "audit_event" in sql]) <= 6
    assert not any("COUNT(" in sql or "OFFSET" in sql for sql in long)


def test_the_page_of_an_event_asks_for_the_event_its_story_and_its_neighbours(auditor):
    commit_events(PAGE, operation=uuid4())

    queries = queries_of(auditor, reverse("audit:event", args=[all_newest_first()[0]]))

    assert len([sql for sql in queries if "audit_event" in sql]) == 5
