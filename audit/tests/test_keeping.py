"""Retention: what is old is archived, then the chain is cut, then rows go; nothing is lost wherever it is killed."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from audit import chores, keeping, triggers
from audit.actions import Action
from audit.actors import CONSOLE
from audit.canonical import time_text
from audit.chain import verify
from audit.checkpoints import make_checkpoint
from audit.checks import check_all
from audit.keeping import NotArchived, apply, apply_if_due, archive_folder, hold, keep_for, release
from audit.models import Cut, Event, Keeping
from audit.signing import Signer, new_signing_key
from audit.streams.models import Sink
from audit.tests.files import stand_alone, whole_file
from audit.tests.make import ALICE, commit_events

OLD = 12


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.CONSOLE_AUDIT_ARCHIVE_DIR = tmp_path / "archive"


@pytest.fixture
def log(db, monkeypatch):
    """Twelve events of a hundred days ago and three of now, kept for thirty days."""
    _record_log(monkeypatch)


@contextmanager
def at_a_time(monkeypatch, *, days):
    at = timezone.now() + timedelta(days=days)
    with monkeypatch.context() as patched:
        patched.setattr(timezone, "now", lambda: at)
        patched.setattr(keeping, "database_now", lambda: at)
        yield


def _record_log(monkeypatch):
    with at_a_time(monkeypatch, days=-100):
        commit_events(OLD)
    commit_events(3)
    keep_for(days=30, actor=ALICE)


def kept():
    return list(Event.objects.order_by("sequence").values_list("sequence", flat=True))


def archives():
    return sorted(path.name for path in archive_folder().iterdir())


def test_what_a_sink_still_lacks_is_kept_for_it(log):
    slow = Sink.objects.create(name="slow", kind="file", address="a.jsonl", created_at=timezone.now(), cursor=5)
    Sink.objects.create(name="quick", kind="file", address="b.jsonl", created_at=timezone.now(), cursor=OLD)

    assert apply() == 5
    assert apply() == 0 and kept()[0] == 6
    slow.paused_at = timezone.now()
    slow.save()

    assert apply() == OLD - 5


def test_old_events_are_archived_cut_off_and_removed(log, tmp_path):
    assert apply() == OLD

    cut = Cut.objects.get()
    assert (cut.first, cut.sequence) == (1, OLD)
    assert archives() == ["audit-000000000001-000000000012.jsonl.gz"]
    assert kept()[0] == OLD + 1
    recorded = Event.objects.get(action=Action.AUDIT_CUT)
    assert recorded.details["digest"] == cut.digest
    assert verify().flaw is None
    assert verify().first == OLD + 1
    assert apply() == 0, "nothing else is old enough"
    alone = stand_alone(tmp_path, archive_folder() / cut.archive)
    assert (alone.returncode, alone.stderr) == (0, "")


def test_the_chain_is_proved_across_the_cut(log, tmp_path, capsys):
    checkpoint = make_checkpoint(actor=CONSOLE)
    apply()
    cut = Cut.objects.get()
    commit_events(2)
    last = Event.objects.latest("sequence").sequence

    call_command("verifyaudit", "--archives")

    assert f"{last} events" in capsys.readouterr().out
    live = whole_file(first=cut.sequence + 1, previous_hash=cut.hash)
    alone = stand_alone(tmp_path, archive_folder() / cut.archive, live)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert verify(checkpoints=[checkpoint.facts]).flaw is None


def test_a_second_cut_continues_the_first(log, monkeypatch):
    apply()

    with at_a_time(monkeypatch, days=40):
        apply()

    first, second = Cut.objects.order_by("sequence")
    assert second.first == first.sequence + 1
    call_command("verifyaudit", "--archives")


def test_many_events_make_several_archives(log, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_IN_ARCHIVE", 5)
    monkeypatch.setattr(keeping, "REMOVED_AT_ONCE", 2)
    monkeypatch.setattr(keeping, "PAUSE", 0)

    assert apply() == OLD
    assert [cut.sequence for cut in Cut.objects.order_by("sequence")] == [5, 10, 12]
    call_command("verifyaudit", "--archives")


def test_the_cut_of_an_event_that_is_new_ends_where_it_is_met(log, monkeypatch):
    """Only a prefix goes: an old time behind a newer one, as after a clock was set, stays."""
    with at_a_time(monkeypatch, days=-90):
        commit_events(2)

    apply()

    assert Cut.objects.get().sequence == OLD


def test_kept_for_ever_nothing_goes(log):
    keep_for(days=None, actor=ALICE)

    assert apply() == 0
    changes = Event.objects.filter(action=Action.AUDIT_KEEPING_CHANGED).order_by("sequence")
    assert [event.details for event in changes] == [{"after": 30, "before": None}, {"after": None, "before": 30}]


def test_a_legal_hold_stops_it(log):
    hold(reason="Case 7", actor=ALICE)
    assert apply() == 0
    assert Keeping.objects.get().held_by == "alice"

    release(actor=ALICE)

    assert apply() == OLD
    holds = Event.objects.filter(action__in=[Action.AUDIT_HELD, Action.AUDIT_RELEASED]).order_by("sequence")
    assert [event.action for event in holds] == ["audit.held", "audit.released"]


def test_a_hold_that_comes_while_the_archive_is_written_stops_the_cut(log, monkeypatch):
    verified = keeping._verify
    monkeypatch.setattr(keeping, "_verify", lambda *given: (verified(*given), hold(reason="Case 7", actor=ALICE)))

    assert apply() == 0
    assert not Cut.objects.exists()
    assert kept()[0] == 1


def test_the_schedule_cuts_once_an_interval(log, settings):
    at = timezone.now()
    apply_if_due(at)
    cut = Cut.objects.get()
    Keeping.objects.update(days=1)

    apply_if_due(at)
    assert Cut.objects.get() == cut


def test_an_unsound_log_is_not_cut_and_that_is_on_record(log):
    triggers.remove()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE audit_event SET actor_label = 'mallory' WHERE sequence = 4")
    triggers.install()

    with pytest.raises(NotArchived, match="Event 4 was changed"):
        apply()
    check_all(actor=CONSOLE)
    with pytest.raises(NotArchived, match="nothing of it is removed"):
        apply()
    chores.do()
    chores.do()

    assert Event.objects.filter(action=Action.AUDIT_ARCHIVE_FAILED).count() == 1
    assert kept()[0] == 1
    assert not Cut.objects.exists()


def test_a_folder_that_can_not_be_written_stops_it(log, settings, tmp_path):
    settings.CONSOLE_AUDIT_ARCHIVE_DIR = tmp_path / "file"
    settings.CONSOLE_AUDIT_ARCHIVE_DIR.touch()

    with pytest.raises(NotArchived, match="The archive can't be written"):
        apply()
    assert kept()[0] == 1


def test_an_archive_that_is_not_what_was_written_stops_it(log, monkeypatch):
    fsync = keeping.os.fsync
    monkeypatch.setattr(keeping.os, "fsync", lambda file: (fsync(file), keeping.os.truncate(file, 300)))

    with pytest.raises(NotArchived, match="The archive does not hold"):
        apply()
    assert not Cut.objects.exists()


INSERT_CUT = (
    "INSERT INTO audit_cut (first, sequence, hash, at, archive, digest, key_id, signature)"
    " SELECT {first}, sequence, {hash}, at, 'x', 'x', 'x', 'x' FROM audit_event WHERE sequence = {sequence}"
)


@pytest.mark.parametrize(
    ("first", "sequence", "hash"),
    [(2, 5, "hash"), (1, 5, "'x'"), (6, 5, "hash")],
    ids=["leaves one out", "another hash", "backwards"],
)
def test_the_database_refuses_a_cut_that_is_none(log, first, sequence, hash):
    _refused(INSERT_CUT.format(first=first, sequence=sequence, hash=hash))


def test_the_database_refuses_a_cut_during_a_hold_and_any_removal_beyond_it(log):
    hold(reason="Case 7", actor=ALICE)
    _refused(INSERT_CUT.format(first=1, sequence=5, hash="hash"))
    release(actor=ALICE)
    apply()

    _refused(f"DELETE FROM audit_event WHERE sequence = {OLD + 1}")
    _refused("DELETE FROM audit_cut")
    _refused("UPDATE audit_cut SET sequence = 14")


def _refused(sql):
    with (
        pytest.raises(DatabaseError, match=triggers.REFUSAL),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)


@pytest.mark.parametrize("signer", [None, Signer(new_signing_key())])
def test_a_cut_that_the_console_did_not_sign_is_found(log, signer):
    """Whoever may insert rows can make the triggers let go, but not sign what they did."""
    event = Event.objects.get(sequence=5)
    facts = {"first": 1, "sequence": 5, "hash": event.hash, "at": event.at, "archive": "x", "digest": "x"}
    signed = signer.signed("cut", {**facts, "at": time_text(event.at)}) if signer else {"key": "x", "signature": "x"}
    Cut.objects.create(**facts, key_id=signed["key"], signature=signed["signature"])
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM audit_event WHERE sequence <= 5")

    flaw = verify().flaw

    assert (flaw.sequence, flaw.kind) == (1, "missing")
    assert "the cut is signed with the key" in flaw.message


def test_the_console_removes_nothing_for_a_cut_that_it_did_not_sign(log):
    event = Event.objects.get(sequence=5)
    facts = {"first": 1, "sequence": 5, "hash": event.hash, "at": event.at, "archive": "x", "digest": "x"}
    Cut.objects.create(**facts, key_id="x", signature="x")  # The triggers can't tell.

    chores.do()
    with pytest.raises(NotArchived, match="The cut after event 5 is signed with the key x"):
        apply()

    assert kept()[:5] == [1, 2, 3, 4, 5]
    assert Event.objects.filter(action=Action.AUDIT_ARCHIVE_FAILED).exists()


@pytest.mark.parametrize("harm", ["removed", "changed", "another"])
def test_an_archive_that_was_tampered_with_is_found(log, harm):
    apply()
    path = archive_folder() / Cut.objects.get().archive
    if harm == "removed":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + (b"\x07" if harm == "changed" else b""))

    with pytest.raises(CommandError, match="The archive .* (can't be read|is not the one)"):
        call_command("verifyaudit", "--archives")


# Killed: at each place a child of one process dies, and another one judges what is left.

NURSERY = """
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from django.db.backends.utils import CursorWrapper
from audit import keeping
from audit.models import Event, Keeping

keeping.MOST_IN_ARCHIVE, keeping.REMOVED_AT_ONCE, keeping.PAUSE = 8, 3, 0

def in_a_child(work, *given):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(*given)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def killed(place, turn):
    calls = 0
    def dying(real):
        def call(*given):
            nonlocal calls
            result = real(*given)
            calls += 1
            if calls == turn:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    if place == "delete":
        execute = CursorWrapper.execute
        deleting = dying(execute)
        CursorWrapper.execute = lambda self, sql, params=None: (
            (deleting if sql.startswith("DELETE FROM audit_event") else execute)(self, sql, params)
        )
    elif place == "record":
        record = keeping.record
        dies = dying(lambda: None)
        keeping.record = lambda *given, **named: (record(*given, **named), dies())
    else:
        owner = keeping if hasattr(keeping, place) else os
        setattr(owner, place, dying(getattr(owner, place)))
    keeping.apply()

def judge():
    call_command("verifyaudit", "--archives")
    cut = keeping.newest_cut()
    kept = set(Event.objects.values_list("sequence", flat=True))
    lost = set(range(1, EVENTS)) - kept
    assert all(cut and sequence <= cut.sequence for sequence in lost), lost
    Keeping.objects.update(at_work_until=None)  # As when the time of the dead one is over.

EVENTS = 17
for place, turn in PLACES:
    status = in_a_child(killed, place, turn)
    print(place, turn, status)
    if in_a_child(judge):
        raise SystemExit(f"after {place} {turn}")
"""
PLACES = [("_write", 1), ("fsync", 1), ("_verify", 1), ("replace", 1), ("fsync", 2), ("record", 1), ("_cut", 1)]
PLACES += [("delete", 1), ("delete", 2), ("_verify", 1), ("_cut", 1), ("delete", 1), ("remove", 1)]


def test_killed_at_any_line_it_loses_nothing_and_goes_on(committed_db, monkeypatch, settings):
    settings.CONSOLE_AUDIT_ARCHIVE_DIR = None
    _record_log(monkeypatch)
    connection.close()

    died = subprocess.run(
        [sys.executable, "-c", f"PLACES = {PLACES}{NURSERY}"],
        env=committed_db.env,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert died.returncode == 0, died.stdout + died.stderr
    assert died.stdout.count(f" {-signal.SIGKILL}\n") == len(PLACES), died.stdout
    apply()
    assert Cut.objects.latest("sequence").sequence == OLD
    assert kept()[0] == OLD + 1
    call_command("verifyaudit", "--archives")


def test_only_one_archives_at_a_time(log):
    Keeping.objects.update(at_work_until=timezone.now() + timedelta(minutes=1))

    assert apply() == 0
