"""Exports: what is in the file, that it is made once, whatever is killed, and that it goes away again."""

import csv
import errno
import io
import json
import os
import subprocess
import sys
import threading
import tracemalloc
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone

from audit.actors import Actor
from audit.clock import database_now
from audit.exports import making, services
from audit.exports.models import Export, folder
from audit.models import Event
from audit.services import Target
from audit.signing import signers
from audit.tests.make import commit_events

AUDRA = Actor("person", "7", "audra", frozenset({"audit:get"}))
State = Export.State


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.CONSOLE_AUDIT_EXPORT_DIR = tmp_path / "exports"


def request(query="", format="jsonl", actor=AUDRA):
    return services.request_export(query=query, format=format, actor=actor)


def made(**asked):
    export = request(**asked)
    assert making.make(export.pk)
    export.refresh_from_db()
    return export


def recorded(export):
    return list(
        Event.objects.about("audit export", str(export.pk)).order_by("sequence").values_list("action", flat=True)
    )


def verified(path, tmp_path):
    """What the stand-alone verifier says, in a Python that knows nothing of the console."""
    key = tmp_path / "key.pem"
    key.write_text("".join(signer.public_pem for signer in signers()))
    words = [sys.executable, "-I", "audit/verify_audit.py", "--key", str(key), str(path)]
    return subprocess.run(words, capture_output=True, text=True, env={"PATH": os.environ["PATH"]})


def test_json_lines_hold_the_whole_log_and_are_proven_elsewhere(committed_db, tmp_path):
    commit_events(3)

    export = made()

    lines = [json.loads(line) for line in export.path.read_text().splitlines()]
    assert [line["sequence"] for line in lines if "sequence" in line] == [1, 2, 3]
    assert (export.count, export.size, export.state) == (3, export.path.stat().st_size, State.READY)
    result = verified(export.path, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert recorded(export) == ["export.requested", "export.ready"]


def test_a_search_holds_only_what_it_finds_and_is_proven_too(committed_db, tmp_path):
    commit_events(2)
    commit_events(2, actor=Actor("person", "2", "bob"))
    commit_events(1)

    export = made(query="actor:bob")

    lines = [json.loads(line) for line in export.path.read_text().splitlines()]
    assert [line["sequence"] for line in lines if "sequence" in line] == [3, 4]
    assert verified(export.path, tmp_path).returncode == 0


def test_a_changed_byte_is_found_elsewhere(committed_db, tmp_path):
    commit_events(3)
    export = made()

    export.path.write_text(export.path.read_text().replace("upkeep", "upkoop", 1))

    assert verified(export.path, tmp_path).returncode == 1


def test_it_ends_with_the_newest_event_of_when_it_was_asked_for(committed_db):
    commit_events(2)
    export = request()
    commit_events(5)

    making.make(export.pk)

    export.refresh_from_db()
    assert (export.up_to, export.count) == (2, 2)


@pytest.mark.parametrize("cell", ["=1+1", " =cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1", "\n=1"])
def test_no_cell_of_a_csv_is_taken_for_a_formula(committed_db, cell):
    commit_events(1, actor=Actor("person", "1", cell), target=Target("source", cell, cell), data={"reason": cell})

    export = made(format="csv")

    rows = list(csv.reader(io.StringIO(export.path.read_bytes().decode("utf-8-sig"), newline="")))
    assert len(rows) == 2 and rows[0][0] == "sequence" and rows[1][-1] == "Queued"
    for each in rows[1]:
        assert not each.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    assert rows[1][rows[0].index("actor_label")].startswith("'")


def test_the_zone_of_who_asked_decides_what_a_time_means(committed_db):
    commit_events(1)
    hour = Event.objects.get().at.astimezone(timezone.zoneinfo.ZoneInfo("Asia/Tokyo"))
    with timezone.override("Asia/Tokyo"):
        export = request(query=f"after:{hour - timedelta(minutes=5):%Y-%m-%dT%H:%M}")

    making.make(export.pk)

    export.refresh_from_db()
    assert export.count == 1


def test_batches_and_windows_lose_nothing(committed_db, monkeypatch):
    monkeypatch.setattr(making, "BATCH", 3)
    monkeypatch.setattr(making, "WINDOW", 7)
    commit_events(25)
    commit_events(5, actor=Actor("person", "2", "bob"))

    assert made().count == 30 and made(query="actor:bob").count == 5
    assert made(query="actor:nobody").count == 0


def test_an_empty_log_is_an_export_too(committed_db, tmp_path):
    assert verified(made().path, tmp_path).returncode == 0


def test_only_the_console_may_read_the_file(committed_db):
    commit_events(1)

    assert made().path.stat().st_mode & 0o777 == 0o600
    assert folder().stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("query", ["colour:red", '"open', "x" * 2001])
def test_a_line_that_is_no_search_is_refused(committed_db, query):
    with pytest.raises(ValidationError):
        request(query=query)

    assert not Export.objects.exists() and not Event.objects.exists()


def test_whoever_may_not_read_may_not_take_away(committed_db):
    with pytest.raises(PermissionDenied):
        request(actor=Actor("person", "8", "vic"))


def test_each_person_has_a_bound(committed_db, settings):
    settings.CONSOLE_AUDIT_EXPORTS_EACH = 2
    exports = [request(), request()]
    with pytest.raises(ValidationError, match="2 exports already"):
        request()
    request(actor=Actor("person", "9", "otto", frozenset({"audit:get"})))

    services.end_export(export=exports[0], actor=AUDRA)

    assert request().state == State.QUEUED


def test_two_at_once_are_not_both_the_last_allowed(committed_db, settings):
    settings.CONSOLE_AUDIT_EXPORTS_EACH = 1

    def ask():
        try:
            return request().state
        except ValidationError:
            return "refused"

    assert sorted(committed_db.in_threads(*[ask] * 4)) == ["queued", "refused", "refused", "refused"]


def test_one_that_grows_too_large_fails_with_a_sentence(committed_db, settings, monkeypatch):
    settings.CONSOLE_AUDIT_EXPORT_MEGABYTES = 1
    monkeypatch.setattr(making, "BATCH", 1)
    commit_events(70, data={f"n{number}": "x" * 1_900 for number in range(10)})

    export = made()

    assert export.state == State.FAILED and "beyond 1 MB" in export.explanation
    assert list(folder().iterdir()) == []
    assert recorded(export)[-1] == "export.failed"


def test_a_full_disk_ends_it_with_a_sentence(committed_db, monkeypatch):
    commit_events(2)

    def full(self, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(making._Counted, "write", full)

    export = made()

    assert export.state == State.FAILED and "No space left on device" in export.explanation
    assert list(folder().iterdir()) == []


def test_a_worker_that_died_is_followed_by_another_that_begins_anew(committed_db):
    commit_events(3)
    export = request()
    dead = database_now() - timedelta(seconds=1)
    folder().mkdir(parents=True)
    (folder() / f"{export.pk}-dead.jsonl.part").write_text("half a line")
    Export.objects.update(state=State.RUNNING, lease_token=uuid4(), lease_until=dead, looked_at=2, count=2, attempts=1)

    assert making.due(database_now()) == [export.pk] and making.make(export.pk)

    export.refresh_from_db()
    assert (export.state, export.count) == (State.READY, 3)
    os.utime(folder() / f"{export.pk}-dead.jsonl.part", (0, 0))
    making.sweep_away(database_now())
    assert [path.name for path in folder().iterdir()] == [export.file_name]


def test_a_worker_that_is_told_to_end_leaves_it_to_another(committed_db, monkeypatch):
    commit_events(3)
    export = request()
    with monkeypatch.context() as patch:
        patch.setattr(making, "stopping", threading.Event())
        making.stopping.set()
        making.make(export.pk)
        assert making.due(database_now()) == [export.pk] and list(folder().iterdir()) == []

    making.make(export.pk)

    export.refresh_from_db()
    assert (export.state, export.attempts) == (State.READY, 1)


def test_what_kills_each_worker_is_given_up(committed_db):
    export = request()
    Export.objects.update(attempts=making.ATTEMPTS)

    making.make(export.pk)

    export.refresh_from_db()
    assert export.state == State.FAILED and "begun 3 times" in export.explanation


def test_nobody_begins_what_another_has_in_hand(committed_db):
    export = request()
    Export.objects.update(state=State.RUNNING, lease_token=uuid4(), lease_until=database_now() + timedelta(minutes=1))

    assert making.due(database_now()) == [] and making.make(export.pk) is False


def test_only_two_are_made_at_once(committed_db):
    exports = [request() for _ in range(4)]
    assert making.due(database_now()) == [each.pk for each in exports[:2]]

    Export.objects.filter(pk=exports[0].pk).update(
        state=State.RUNNING, lease_until=database_now() + timedelta(minutes=1)
    )

    assert making.due(database_now()) == [exports[1].pk]


def test_a_worker_whose_lease_was_taken_leaves_no_file(committed_db, monkeypatch):
    commit_events(2)
    export = request()
    finish = making._finish

    def late(*args):
        Export.objects.update(lease_token=uuid4())
        finish(*args)

    monkeypatch.setattr(making, "_finish", late)

    making.make(export.pk)

    assert list(folder().iterdir()) == []
    assert recorded(export) == ["export.requested"]


def test_cancelling_stops_the_worker_and_leaves_nothing(committed_db, monkeypatch):
    commit_events(5)
    export = request()
    go_on = making._go_on

    def cancelled(*args):
        services.end_export(export=export, actor=AUDRA)
        go_on(*args)

    monkeypatch.setattr(making, "_go_on", cancelled)

    making.make(export.pk)

    export.refresh_from_db()
    assert export.state == State.CANCELLED and list(folder().iterdir()) == []
    assert recorded(export) == ["export.requested", "export.cancelled"]


def test_it_is_removed_when_its_time_has_come(committed_db, settings):
    export = made()

    services.expire(export.expires_at - timedelta(seconds=1))
    assert export.path.exists()
    services.expire(export.expires_at)

    assert not export.path.exists()
    export.refresh_from_db()
    assert export.state == State.EXPIRED and recorded(export)[-1] == "export.expired"
    with pytest.raises(services.Gone, match="removed"):
        services.take_file(export=export, actor=AUDRA)


def test_a_download_is_on_record_with_what_was_taken(committed_db):
    export = made(query="actor:bob")

    services.take_file(export=export, actor=AUDRA).close()

    event = Event.objects.get(action="export.downloaded")
    assert event.details["query"] == "actor:bob" and event.details["sha256"] == export.digest


def test_a_file_on_another_machine_is_said_to_be(committed_db):
    export = made()
    export.path.unlink()

    with pytest.raises(services.Gone, match="CONSOLE_AUDIT_EXPORT_DIR"):
        services.take_file(export=export, actor=AUDRA)


def test_a_key_sees_its_own_exports_only(committed_db):
    key = Actor("API key", "3", "collector", frozenset({"audit:get"}))
    mine, others = request(actor=key), request()

    assert list(services.visible(key)) == [mine]
    assert set(services.visible(AUDRA)) == {mine, others}
    with pytest.raises(PermissionDenied):
        services.end_export(export=others, actor=key)


def test_memory_does_not_grow_with_the_log(committed_db, monkeypatch):
    monkeypatch.setattr(making, "BATCH", 50)
    commit_events(1_600, data={"reason": "x" * 2_000})
    peaks = []
    for up_to in (100, 1_600):
        export = request()
        Export.objects.filter(pk=export.pk).update(up_to=up_to)
        tracemalloc.start()
        making.make(export.pk)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.3 * peaks[0]
