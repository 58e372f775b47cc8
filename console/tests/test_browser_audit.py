"""Taking the audit log away in a real browser: ask, follow, download; and what axe finds on the pages around it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.actions import Action
from audit.actors import Actor
from audit.exports import making
from audit.exports.models import Export
from audit.exports.services import request_export
from audit.models import Event
from audit.reviews.services import mark
from audit.streams.models import Sink
from audit.tests.make import commit_events
from console.tests.test_browser import CHROMIUM, administrator, check, chromium, tab, url  # noqa: F401

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="No Chromium on this machine: taking the audit log away is not tried in a browser."
)
READER = Actor("person", "4711", "audra", frozenset({"audit:get", "audit:review"}))


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.CONSOLE_AUDIT_EXPORT_DIR = tmp_path / "exports"


def test_an_export_is_asked_for_followed_and_downloaded_by_keyboard(administrator):  # noqa: F811
    page = administrator
    commit_events(3)
    page.goto("/audit/?q=actor:alice")
    page.focus("#export")
    page.keyboard.press("Enter")
    page.wait_for_url("**/audit/exports/?query=*")
    assert page.input_value("[name=query]") == "actor:alice"
    page.get_by_role("button", name="Make the export").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#state[data-state=queued]")

    making.make(Export.objects.get().pk)
    page.wait_for_selector("#state[data-state=ready]")
    assert "Export: Ready" in page.inner_text("#announcer")
    page.focus("#download")
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")
    downloaded = waiting.value

    assert downloaded.suggested_filename.startswith("audit-") and downloaded.suggested_filename.endswith(".jsonl")
    assert '"actor_label":"alice"' in downloaded.path().read_text()
    assert Event.objects.filter(action="export.downloaded").count() == 1


def some_of_everything():
    now = timezone.now()
    commit_events(3)
    commit_events(2, action=Action.PERSON_ROLES_CHANGED, actor=Actor("person", "9", "bruno"))
    export = request_export(query="actor:alice outcome:queued", format="jsonl", actor=READER)
    making.make(export.pk)
    running = request_export(query="", format="csv", actor=READER)
    Export.objects.filter(pk=running.pk).update(state="running", looked_at=3, count=2)
    failed = request_export(query="", format="csv", actor=READER)
    Export.objects.filter(pk=failed.pk).update(
        state="failed", finished_at=now, explanation="The file could not be written: No space left on device."
    )
    values = {"created_at": now, "sent_at": now - timedelta(seconds=4)}
    Sink.objects.create(name="SIEM", kind="syslog", format="cef", address="tls://siem.example.org:6514", **values)
    sink = Sink.objects.create(
        name="Data lake",
        kind="https",
        format="ocsf",
        address="https://collector.example.org/audit",
        query="action:disconnection.*",
        sealed_secret="sealed",
        failures=4,
        failing_since=now - timedelta(minutes=3),
        next_try_at=now + timedelta(minutes=1),
        last_error="it answered 503",
        **values,
    )
    Sink.objects.update(cursor=Event.objects.order_by("-sequence").first().sequence)
    Sink.objects.filter(pk=sink.pk).update(cursor=3)
    Sink.objects.create(name="Archive", kind="file", address="audit.jsonl", paused_at=now, **values)
    event = Event.objects.filter(action=Action.PERSON_ROLES_CHANGED).first()
    mark(items=[event.sequence], note="As agreed in the board meeting.", actor=READER)
    return {
        "exports": "/audit/exports/",
        "export-ready": export.get_absolute_url(),
        "export-running": running.get_absolute_url(),
        "export-failed": failed.get_absolute_url(),
        "sinks": "/audit/sinks/",
        "sink": sink.get_absolute_url(),
        "sink-add": "/audit/sinks/add/",
        "sink-remove": f"{sink.get_absolute_url()}remove/",
        "review": "/audit/review/?show=people",
        "review-none": "/audit/review/?show=keys",
        "event": f"/audit/{event.sequence}/",
    }


def test_the_pages_are_open_to_everybody(administrator):  # noqa: F811
    for path in some_of_everything().values():
        check(administrator, path)
