"""The pages of exports, sinks and reviews: what each role sees and may do, and what is refused."""

import json
import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from audit.actions import Action
from audit.actors import Actor
from audit.clock import database_now
from audit.exports import making
from audit.exports.models import Export
from audit.exports.services import request_export
from audit.models import Event
from audit.reviews.models import Review
from audit.streams.models import Sink
from audit.tests.make import commit_events
from console.tests.factory import make_person, signed_in

pytestmark = pytest.mark.django_db
BOB = Actor("person", "4711", "bob")
HOSTILE = "<script>alert(1)</script>\u202e"
EXPORTS, SINKS, REVIEW = reverse("audit:exports"), reverse("audit:sinks"), reverse("audit:review")


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.CONSOLE_AUDIT_EXPORT_DIR = tmp_path / "exports"


@pytest.fixture
def audra():
    return signed_in(make_person("audra", "Auditor"))


@pytest.fixture
def ada():
    return signed_in(make_person("ada", "Administrator"))


def see(client, path, **query):
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def make_export(client=None, **values):
    """One that audra asked for and a worker made."""
    commit_events(2, actor=Actor("person", "2", "bob"))
    actor = Actor("person", "77", "audra", frozenset({"audit:get"}))
    export = request_export(query=values.get("query", ""), format=values.get("format", "jsonl"), actor=actor)
    making.make(export.pk)
    export.refresh_from_db()
    return export


def make_sink(**values):
    defaults = {"name": "siem", "kind": "file", "address": "audit.jsonl", "created_at": database_now()}
    return Sink.objects.create(**(defaults | values))


# --- Who may what -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["Viewer", "Operator", "Key manager"])
def test_none_of_it_is_for_those_who_may_not_read_the_log(role):
    client, export, sink = signed_in(make_person("vic", role)), make_export(), make_sink()
    pages = [EXPORTS, SINKS, REVIEW, export.get_absolute_url(), sink.get_absolute_url()]
    pages += [reverse("audit:download_export", args=[export.pk]), reverse("audit:add_sink")]

    assert {client.get(path).status_code for path in pages} == {403}
    posts = [EXPORTS, REVIEW, reverse("audit:end_export", args=[export.pk])]
    assert {client.post(path).status_code for path in posts} == {403}


def test_a_stranger_is_asked_to_sign_in(client):
    for path in [EXPORTS, SINKS, REVIEW, reverse("audit:download_export", args=[make_export().pk])]:
        assert client.get(path).url.startswith(reverse("account_login"))
    look = client.get(EXPORTS, headers={"HX-Request": "true", "HX-Target": "live"})
    assert look.status_code == 401


@pytest.mark.parametrize("act", ["test_sink", "pause_sink", "resume_sink", "remove_sink", "replace_sink_secret"])
def test_an_auditor_sees_sinks_and_changes_none(audra, act):
    sink = make_sink()
    assert "audit.jsonl" in see(audra, sink.get_absolute_url())
    assert 'id="pause"' not in see(audra, sink.get_absolute_url()) and 'id="add"' not in see(audra, SINKS)

    assert audra.post(reverse(f"audit:{act}", args=[sink.pk])).status_code == 403
    assert audra.get(reverse("audit:edit_sink", args=[sink.pk])).status_code == 403


def test_what_changes_something_is_a_post(ada):
    sink, export = make_sink(), make_export()
    for name in ["test_sink", "pause_sink", "resume_sink", "replace_sink_secret"]:
        assert ada.get(reverse(f"audit:{name}", args=[sink.pk])).status_code == 405
    assert ada.get(reverse("audit:end_export", args=[export.pk])).status_code == 405


# --- Exports ------------------------------------------------------------------------------------------------------


def test_an_export_is_asked_for_followed_and_downloaded(audra):
    commit_events(3)
    response = audra.post(EXPORTS, {"query": "actor:alice", "format": "jsonl"})
    export = Export.objects.get()
    assert response.url == export.get_absolute_url()
    page = see(audra, response.url)
    assert "Waiting for a worker" in page and "Cancel" in page and 'data-live-seconds="1"' in page

    making.make(export.pk)
    page = see(audra, response.url)
    assert "3 events" in page and 'id="download"' in page
    file = audra.get(reverse("audit:download_export", args=[export.pk]))

    assert file.headers["Content-Disposition"].startswith('attachment; filename="audit-')
    assert file.headers["Content-Disposition"].endswith('.jsonl"')
    assert "no-store" in file.headers["Cache-Control"] and file.headers["X-Content-Type-Options"] == "nosniff"
    lines = [json.loads(line) for line in b"".join(file.streaming_content).splitlines()]
    assert [line["actor_label"] for line in lines if "sequence" in line] == ["alice"] * 3
    told = Event.objects.filter(action__startswith="export.").order_by("sequence")
    actions = list(told.values_list("action", "actor_label"))
    assert actions == [("export.requested", "audra"), ("export.ready", "console"), ("export.downloaded", "audra")]


def test_bad_input_is_named_and_nothing_is_lost(audra):
    response = audra.post(EXPORTS, {"query": "colour:red", "format": "csv"})

    page = response.content.decode()
    assert response.status_code == 422 and "There is no filter" in page and 'value="colour:red"' in page
    assert audra.post(EXPORTS, {"query": "", "format": "exe"}).status_code == 422
    assert not Export.objects.exists()


def test_too_many_is_said(audra, settings):
    settings.CONSOLE_AUDIT_EXPORTS_EACH = 1
    audra.post(EXPORTS, {"format": "csv"})

    response = audra.post(EXPORTS, {"format": "csv"})

    assert response.status_code == 422 and "You have 1 exports already" in response.content.decode()


def test_the_page_of_a_search_fills_the_form(audra):
    assert 'value="actor:alice"' in see(audra, EXPORTS, query="actor:alice")


def test_a_removed_export_can_not_be_downloaded(audra):
    export = make_export()
    audra.post(reverse("audit:end_export", args=[export.pk]))

    response = audra.get(reverse("audit:download_export", args=[export.pk]), follow=True)

    assert "There is no file of this export" in response.content.decode()
    assert "removed before its time" in see(audra, export.get_absolute_url())


def test_an_unchanged_page_costs_nothing(audra):
    url = make_export().get_absolute_url()
    etag = audra.get(url).headers["ETag"]

    assert audra.get(url, headers={"If-None-Match": etag}).status_code == 304
    Export.objects.update(looked_at=1)
    assert audra.get(url, headers={"If-None-Match": etag}).status_code == 200


def test_hostile_text_is_shown_harmlessly(audra):
    export = make_export()
    Export.objects.update(query=HOSTILE, actor_label=HOSTILE)
    Sink.objects.create(
        name=HOSTILE, kind="file", address=HOSTILE, query=HOSTILE, last_error=HOSTILE, created_at=database_now()
    )
    commit_events(1, action=Action.PERSON_ADDED, actor=Actor("person", "9", HOSTILE))
    event = Event.objects.order_by("-sequence").first()
    Review.objects.create(event=event.sequence, note=HOSTILE, actor_label=HOSTILE, at=database_now())

    for url in [EXPORTS, export.get_absolute_url(), SINKS, Sink.objects.get().get_absolute_url()]:
        page = see(audra, url)
        assert "<script>alert" not in page and "\u202e" not in page and "\\u202e" in page
    page = see(audra, reverse("audit:event", args=[event.sequence]))
    assert "<script>alert" not in page and "\u202e" not in page


# --- Sinks --------------------------------------------------------------------------------------------------------


def test_the_secret_of_a_sink_is_shown_once(ada):
    response = ada.post(
        f"{reverse('audit:add_sink')}?kind=https",
        {"name": "siem", "address": "https://collector.example.org/audit", "format": "ocsf"},
    )

    text = response.content.decode()
    secret = re.search(r'value="(acs_[\w-]+)"', text)[1]
    sink = Sink.objects.get()
    assert response.status_code == 200 and "no-cache" in response.headers["Cache-Control"]
    for url in [SINKS, sink.get_absolute_url(), reverse("audit:edit_sink", args=[sink.pk])]:
        assert secret not in see(ada, url)
    again = ada.post(reverse("audit:replace_sink_secret", args=[sink.pk])).content.decode()
    assert re.search(r'value="(acs_[\w-]+)"', again)[1] != secret


@pytest.mark.parametrize(
    ("kind", "address", "message"),
    [
        ("https", "http://collector.example.org", "Plain http would show the events"),
        ("https", "https://169.254.169.254/", "link-local or metadata address"),
        ("syslog", "udp://x.example", "Give a URL that begins with tls://"),
        ("file", "../x", "Give the name of a file"),
    ],
)
def test_a_wrong_address_is_named_beside_its_field(ada, kind, address, message):
    response = ada.post(
        f"{reverse('audit:add_sink')}?kind={kind}", {"name": "siem", "address": address, "format": "json"}
    )

    assert response.status_code == 422 and message in response.content.decode()
    assert f'value="{address}"' in response.content.decode() and not Sink.objects.exists()


def test_a_kind_that_is_none_is_not_there(ada):
    assert ada.get(reverse("audit:add_sink"), {"kind": "pigeon"}).status_code == 404


def test_the_forms_ask_for_the_password_first():
    client = signed_in(make_person("ada", "Administrator"), confirmed=False)

    response = client.post(
        reverse("audit:add_sink"), {"name": "siem", "address": "https://x.example", "format": "json"}
    )

    assert "/reauthenticate/" in response.url and not Sink.objects.exists()


def test_a_sink_is_edited_paused_resumed_and_removed(ada):
    sink = make_sink()
    edited = {"name": "siem 2", "address": "log.jsonl", "format": "cef", "query": "outcome:failed"}
    assert ada.post(reverse("audit:edit_sink", args=[sink.pk]), edited).url == sink.get_absolute_url()
    for name in ["pause_sink", "resume_sink"]:
        ada.post(reverse(f"audit:{name}", args=[sink.pk]))
    assert "forgotten" in see(ada, reverse("audit:remove_sink", args=[sink.pk]))
    ada.post(reverse("audit:remove_sink", args=[sink.pk]))

    about = Event.objects.about("audit sink", str(sink.pk)).order_by("sequence")
    actions = list(about.values_list("action", flat=True))
    assert actions == ["sink.changed", "sink.paused", "sink.resumed", "sink.removed"]
    assert not Sink.objects.exists()


def test_the_page_of_a_sink_says_how_far_behind_it_is_and_why(audra):
    commit_events(5)
    sink = make_sink(last_error="the connection was refused", failures=2, failing_since=database_now())
    Sink.objects.update(cursor=2, next_try_at=database_now() + timedelta(minutes=5))

    page = see(audra, sink.get_absolute_url())

    assert "Takes no events" in page and "the connection was refused" in page and "The next try is" in page
    assert "<dt>Events behind</dt><dd>3</dd>" in page


def test_a_test_says_what_came_of_it(ada, settings, tmp_path):
    settings.CONSOLE_AUDIT_STREAM_DIR = tmp_path / "streams"
    sink = make_sink()

    response = ada.post(reverse("audit:test_sink", args=[sink.pk]), follow=True)

    assert "siem took the test." in response.content.decode()


# --- Reviews ------------------------------------------------------------------------------------------------------


def test_what_wants_review_says_why_and_the_own_acts_can_not_be_chosen(audra):
    commit_events(1, action=Action.OPERATION_REQUESTED, actor=BOB, data={"reason": "certificate expired"})
    page = see(audra, REVIEW)
    assert "certificate expired" in page and "Mark the chosen as reviewed" in page

    own = Actor("person", str(get_user_model().objects.get(username="audra").pk), "audra")
    commit_events(1, action=Action.PERSON_ROLES_CHANGED, actor=own)
    page = see(audra, REVIEW, show="people")
    assert "your own act" in page and "Mark the chosen as reviewed" not in page


def test_the_chosen_are_marked_together(audra):
    commit_events(3, action=Action.PERSON_ROLES_CHANGED, actor=BOB)
    numbers = list(Event.objects.order_by("sequence").values_list("sequence", flat=True))
    page = see(audra, REVIEW, show="people")
    assert all(f'value="event:{number}"' in page for number in numbers)

    response = audra.post(
        f"{REVIEW}?show=people", {"item": [f"event:{number}" for number in numbers[:2]], "note": "agreed in the board"}
    )

    assert response.url == f"{REVIEW}?show=people"
    left = see(audra, REVIEW, show="people")
    assert f'value="event:{numbers[2]}"' in left and f'value="event:{numbers[0]}"' not in left
    assert "2 are marked as reviewed" in left
    assert "agreed in the board" in see(audra, reverse("audit:event", args=[numbers[0]]))


def test_forced_disconnections_come_first(audra):
    page = see(audra, REVIEW)

    assert re.findall(r'href="\?show=(\w+)"', page) == ["disconnections", "people", "keys", "sources", "log"]
    assert "Nothing is left to review here" in page


def test_ones_own_acts_are_listed_and_can_not_be_chosen(audra):
    me = get_user_model().objects.get()
    commit_events(1, action=Action.PERSON_ADDED, actor=Actor("person", str(me.pk), "audra"))
    [event] = Event.objects.all()
    page = see(audra, REVIEW, show="people")
    assert "your own act" in page and f'value="event:{event.sequence}"' not in page

    response = audra.post(f"{REVIEW}?show=people", {"item": f"event:{event.sequence}"})

    assert response.status_code == 422 and "somebody else must review it" in response.content.decode()
    assert "somebody else must review it" in see(audra, reverse("audit:event", args=[event.sequence]))


def test_marking_on_the_page_of_an_event_leads_back_there(audra):
    commit_events(1, actor=BOB)
    [event] = Event.objects.all()
    url = reverse("audit:event", args=[event.sequence])
    assert "Mark as reviewed" in see(audra, url)

    assert audra.post(REVIEW, {"item": f"event:{event.sequence}", "next": url}).url == url
    assert audra.post(REVIEW, {"item": f"event:{event.sequence}", "next": "https://evil.example/"}).url.startswith(
        REVIEW
    )


@pytest.mark.parametrize("item", ["", "event:x", "event:-1", "operation:17", "event:99999999999999999999", "person:1"])
def test_what_is_not_understood_is_said(audra, item):
    response = audra.post(REVIEW, {"item": item})

    assert response.status_code == 422 and "not understood" in response.content.decode()


@pytest.mark.parametrize("query", [{"show": "weather"}, {"older": "x"}, {"older": "9" * 30}])
def test_a_page_that_is_none_is_not_there(audra, query):
    assert audra.get(REVIEW, query).status_code == 404
