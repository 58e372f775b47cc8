"""The page on which the log is proved: who sees it, who may do what, and what it hands out."""

import re
from pathlib import Path

import pytest
from django.db import connection
from django.urls import reverse

from audit import checks, chores, keeping, triggers, verify_audit
from audit.actors import CONSOLE
from audit.checks import check_all
from audit.keys import trusted_pem
from audit.models import Check, Checkpoint, Event, Keeping
from audit.tests.make import commit_events
from audit.tests.test_page import person

pytestmark = pytest.mark.django_db
PROOF = reverse("audit:proof")
POSTS = ["check", "checkpoint", "keep", "hold", "release"]


@pytest.fixture
def auditor(client):
    client.force_login(person("audra", "Auditor"))
    return client


@pytest.fixture
def administrator(client):
    user = person("admin", "Viewer")
    user.is_superuser = True
    user.save()
    client.force_login(user)
    return client


def post(client, name, **data):
    return client.post(reverse(f"audit:{name}"), data)


def text_of(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.text))


def test_only_auditors_and_administrators_see_it(client):
    urls = [PROOF, reverse("audit:public_key"), reverse("audit:verifier")]
    assert all(client.get(url).status_code == 302 for url in urls)
    client.force_login(person("vera", "Viewer"))

    assert all(client.get(url).status_code == 403 for url in urls)
    assert all(post(client, name).status_code == 403 for name in POSTS)
    assert all(client.get(reverse(f"audit:{name}")).status_code == 405 for name in POSTS)
    assert not Check.objects.exists()
    assert not Checkpoint.objects.exists()


def test_an_auditor_may_check_and_sign_but_not_say_how_long_events_are_kept(auditor):
    commit_events(3)

    assert [post(auditor, name).status_code for name in POSTS] == [302, 302, 403, 403, 403]

    assert checks.is_asked_for()
    assert Checkpoint.objects.count() == 1
    assert "Save" not in auditor.get(PROOF).text


def test_a_check_that_was_asked_for_is_shown_with_who_and_what(auditor):
    commit_events(3)
    post(auditor, "check")
    assert "under way" in text_of(auditor.get(PROOF))

    chores.do()

    shown = text_of(auditor.get(PROOF))
    assert "under way" not in shown
    assert "Holds the whole log" in shown
    assert Check.objects.latest("pk").asked_by == "audra"
    assert Event.objects.filter(action="audit.checked", actor_label="audra").exists()


def test_an_unsound_chain_is_named_on_the_page_and_in_the_list(auditor):
    commit_events(9)
    triggers.remove()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_event SET actor_label = 'mallory' WHERE sequence = 4")
    check_all(actor=CONSOLE)

    for url in (PROOF, reverse("audit:list")):
        shown = text_of(auditor.get(url))
        assert "The audit log does not hold. Event 4 was changed" in shown
    assert "The database does not guard the log." in text_of(auditor.get(PROOF))


def test_it_hands_out_the_verifier_and_the_key(auditor):
    key, verifier = auditor.get(reverse("audit:public_key")), auditor.get(reverse("audit:verifier"))

    assert key.text == trusted_pem()
    assert verifier.text == Path(verify_audit.__file__).read_text()
    assert verifier["Content-Disposition"] == 'attachment; filename="verify_audit.py"'


def test_an_administrator_says_how_long_events_are_kept(administrator):
    commit_events()

    assert post(administrator, "keep", days="400").status_code == 302
    assert Keeping.objects.get().days == 400
    assert "For 400 days" in text_of(administrator.get(PROOF))
    for wrong in ("0", "-1", "x", "99999999"):
        refused = post(administrator, "keep", days=wrong)
        assert refused.status_code == 422
        assert 'class="errors"' in refused.text
    assert Keeping.objects.get().days == 400
    post(administrator, "keep", days="")
    assert Keeping.objects.get().days is None


def test_an_administrator_holds_everything_and_lets_go(administrator):
    commit_events()
    assert post(administrator, "hold", hold_reason=" ").status_code == 422
    assert "Say why nothing may be removed." in post(administrator, "hold", hold_reason="").text

    post(administrator, "hold", hold_reason="<b>Case</b>\u202e 7")
    page = administrator.get(PROOF)

    assert "Legal hold: nothing is removed." in page.text
    assert "&lt;b&gt;Case&lt;/b&gt;\\u202e 7" in page.text
    post(administrator, "release")
    assert keeping.Keeping.objects.get().held_at is None


def test_looking_costs_the_same_however_much_there_is(auditor, django_assert_max_num_queries):
    commit_events(3)
    for _ in range(15):
        check_all(actor=CONSOLE)

    with django_assert_max_num_queries(30):
        auditor.get(PROOF)


def test_an_unchanged_page_is_not_sent_again(auditor):
    commit_events()
    etag = auditor.get(PROOF)["ETag"]

    assert auditor.get(PROOF, headers={"If-None-Match": etag}).status_code == 304
