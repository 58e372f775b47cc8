"""Checkpoints are made, leave the machine by every way, and outlive the key that signed them."""

import json
import os
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from audit import leaving
from audit.actions import Action
from audit.actors import CONSOLE
from audit.chain import verify
from audit.checkpoints import NothingToSign, make_checkpoint, make_if_due
from audit.keys import trusted_keys, trusted_pem
from audit.models import Checkpoint, Delivery, Event
from audit.signing import Signer, new_signing_key, signing_keys
from audit.tests.make import ALICE, commit_events
from audit.verify_audit import Keys

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


@pytest.fixture
def two_keys(settings):
    """As after a rotation: the key that signed so far stands behind a new one."""
    old = settings.CONSOLE_AUDIT_SIGNING_KEYS
    new = [new_signing_key(), *old]
    return old, new


def actions():
    return list(Event.objects.order_by("sequence").values_list("action", flat=True))


def test_it_signs_the_newest_event_and_is_on_record():
    commit_events(3)

    checkpoint = make_checkpoint(actor=ALICE)

    signed = Event.objects.get(sequence=checkpoint.sequence)
    assert checkpoint.hash == signed.hash
    assert trusted_keys().trouble("checkpoint", checkpoint.facts) is None
    last = Event.objects.latest("sequence")
    assert (last.action, last.actor_label, last.details) == (Action.AUDIT_CHECKPOINT_MADE, "alice", checkpoint.facts)
    assert verify().flaw is None


def test_an_empty_log_can_not_be_signed():
    with pytest.raises(NothingToSign):
        make_checkpoint(actor=CONSOLE)


def test_the_schedule_makes_one_an_interval_and_none_while_nothing_happens(settings):
    at = timezone.now()
    commit_events()
    first = make_if_due(at)

    commit_events()
    assert make_if_due(at + settings.CONSOLE_AUDIT_CHECKPOINT - SECOND) is None
    later = at + settings.CONSOLE_AUDIT_CHECKPOINT + SECOND
    second = make_if_due(later)

    assert second.sequence > first.sequence
    assert make_if_due(later + 2 * settings.CONSOLE_AUDIT_CHECKPOINT) is None


def test_a_new_key_is_introduced_by_the_old_one_and_vouches_for_it(settings, two_keys):
    settings.CONSOLE_AUDIT_SIGNING_KEYS, both = two_keys
    commit_events()
    before = make_checkpoint(actor=CONSOLE)
    settings.CONSOLE_AUDIT_SIGNING_KEYS = both

    after = make_checkpoint(actor=CONSOLE)

    assert actions()[-3:] == ["audit.key_introduced", "audit.checkpoint_made", "audit.checkpoint_made"]
    old_signed_last = Checkpoint.objects.filter(key_id=before.key_id).latest("pk")
    introduced = Event.objects.get(sequence=old_signed_last.sequence)
    assert introduced.details["public_key"] == Signer(both[0]).public_pem
    # The old private key may go now: what it signed is trusted all the same.
    settings.CONSOLE_AUDIT_SIGNING_KEYS = both[:1]
    for checkpoint in (before, old_signed_last, after):
        assert trusted_keys().trouble("checkpoint", checkpoint.facts) is None
    assert trusted_pem().count("BEGIN PUBLIC KEY") == 2
    assert verify().flaw is None


def test_a_key_that_somebody_put_into_the_database_is_not_trusted():
    commit_events()
    make_checkpoint(actor=CONSOLE)
    stranger = Signer(new_signing_key())
    from audit.keys import introduce

    introduce(stranger)

    assert stranger.id not in Keys.of_pem(trusted_pem())._keys


@pytest.mark.parametrize("bad", ["x", "a" * 44, "!" * 44, "QUJD" * 10 + "=="])
def test_a_bad_key_is_refused_without_being_quoted(bad):
    with pytest.raises(ValueError, match="32 bytes") as error:
        signing_keys(bad)
    assert bad not in str(error.value) or bad == "x"


def test_the_keys_secret_is_in_no_event_and_on_no_page(settings):
    commit_events()
    make_checkpoint(actor=CONSOLE)

    said = trusted_pem() + "".join(Event.objects.values_list("data", flat=True))
    assert not any(key.rstrip("=") in said for key in settings.CONSOLE_AUDIT_SIGNING_KEYS)


def test_each_is_appended_to_the_file_once(settings, tmp_path):
    settings.CONSOLE_AUDIT_CHECKPOINT_FILE = tmp_path / "checkpoints.jsonl"
    commit_events()
    for _ in range(2):
        make_checkpoint(actor=CONSOLE)
        leaving.send_all(timezone.now())
    leaving.send_all(timezone.now())

    lines = settings.CONSOLE_AUDIT_CHECKPOINT_FILE.read_text().splitlines()
    assert [json.loads(line)["checkpoint"] for line in lines] == [
        row.facts for row in Checkpoint.objects.order_by("pk")
    ]
    assert os.stat(settings.CONSOLE_AUDIT_CHECKPOINT_FILE).st_mode & 0o777 == 0o600


def test_each_is_a_line_of_the_log(caplog):
    commit_events()
    checkpoint = make_checkpoint(actor=CONSOLE)

    with caplog.at_level("INFO", "audit.checkpoint"):
        leaving.send_all(timezone.now())

    assert json.loads(caplog.messages[-1]) == {"checkpoint": checkpoint.facts}


def test_a_way_that_fails_holds_up_no_other_and_catches_up(settings, tmp_path):
    folder = tmp_path / "mounted"
    settings.CONSOLE_AUDIT_CHECKPOINT_FILE = folder / "checkpoints.jsonl"
    at = timezone.now()
    commit_events()
    for number in range(leaving.FAILING):
        make_checkpoint(actor=CONSOLE)
        leaving.send_all(at + number * timedelta(hours=2))

    file = Delivery.objects.get(way="file")
    assert (file.failures, file.trouble) == (3, "the file can't be written: No such file or directory")
    assert Delivery.objects.get(way="log").checkpoint_id == Checkpoint.objects.latest("pk").pk
    assert actions()[-1] == "audit.checkpoints_stuck"
    leaving.send_all(file.not_before - SECOND)
    assert Delivery.objects.get(way="file").failures == 3, "it is left alone until its pause is over"

    folder.mkdir()
    leaving.send_all(file.not_before)

    assert len(settings.CONSOLE_AUDIT_CHECKPOINT_FILE.read_text().splitlines()) == 3
    assert actions()[-1] == "audit.checkpoints_leave"


def test_a_link_is_not_followed(settings, tmp_path):
    target = tmp_path / "target"
    target.touch()
    settings.CONSOLE_AUDIT_CHECKPOINT_FILE = tmp_path / "link"
    settings.CONSOLE_AUDIT_CHECKPOINT_FILE.symlink_to(target)
    commit_events()
    make_checkpoint(actor=CONSOLE)

    leaving.send_all(timezone.now())

    assert target.read_text() == ""
    assert Delivery.objects.get(way="file").failures == 1


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.got.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.send_header("Location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def receiver(settings):
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.got, server.answers = [], []
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        settings.CONSOLE_AUDIT_CHECKPOINT_WEBHOOK = f"http://127.0.0.1:{server.server_port}/checkpoints"
        yield server
        server.shutdown()
        thread.join()


def test_each_is_posted_until_the_webhook_takes_it(receiver):
    receiver.answers = [500, 302]
    at = timezone.now()
    commit_events()
    checkpoint = make_checkpoint(actor=CONSOLE)

    for _ in range(3):
        leaving.send_all(at)
        at = Delivery.objects.get(way="webhook").not_before or at

    assert [json.loads(body) for body in receiver.got] == [{"checkpoint": checkpoint.facts}] * 3
    assert Delivery.objects.get(way="webhook").failures == 0


def test_the_commands(capsys, tmp_path):
    with pytest.raises(CommandError, match="There is no event yet"):
        call_command("checkpointaudit")
    commit_events(3)

    call_command("checkpointaudit")
    printed = capsys.readouterr().out
    file = tmp_path / "kept.jsonl"
    file.write_text(printed)
    call_command("auditpublickey")
    key = tmp_path / "key.pem"
    key.write_text(capsys.readouterr().out)

    call_command("verifyaudit", "--checkpoint", str(file), "--key", str(key))
    assert "The audit log holds" in capsys.readouterr().out
    facts = json.loads(printed)["checkpoint"]
    file.write_text(json.dumps({"checkpoint": {**facts, "hash": "e" * 64}}) + "\n")
    with pytest.raises(CommandError, match="does not carry the signature") as failure:
        call_command("verifyaudit", "--checkpoint", str(file))
    assert failure.value.returncode == 1
    for wrong in (["--checkpoint", "nowhere"], ["--key", str(file)], ["--from", "5", "--to", "2"], ["--to", "0"]):
        with pytest.raises(CommandError) as failure:
            call_command("verifyaudit", *wrong)
        assert failure.value.returncode == 2
