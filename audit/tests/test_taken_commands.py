"""`exportaudit` and the commands about sinks."""

import json
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from audit.actors import Actor
from audit.clock import database_now
from audit.models import Event
from audit.sealing import unseal
from audit.streams.models import Sink
from audit.tests.make import commit_events
from audit.tests.test_exports import verified

pytestmark = pytest.mark.django_db


def run(capsys, *words):
    call_command(*words)
    return capsys.readouterr().out


def refused(*words):
    with pytest.raises(CommandError) as error:
        call_command(*words)
    return error.value.returncode, str(error.value)


def test_a_search_is_written_to_a_file_that_proves_itself(capsys, tmp_path):
    commit_events(2)
    commit_events(1, actor=Actor("person", "2", "bob"))
    path = tmp_path / "evidence.jsonl"

    said = run(capsys, "exportaudit", "--query", "actor:bob", "--output", str(path))

    assert said.startswith("1 event, ") and path.stat().st_mode & 0o777 == 0o600
    assert [json.loads(line).get("sequence") for line in path.read_text().splitlines()][1:-1] == [3]
    assert verified(path, tmp_path).returncode == 0
    requested, ready = Event.objects.filter(action__startswith="export.").order_by("sequence")
    assert requested.actor_kind == "command line" and ready.details["sha256"] in said


def test_it_overwrites_nothing_and_leaves_no_half_file(tmp_path):
    path = tmp_path / "evidence.csv"
    assert refused("exportaudit", "--query", "colour:red", "--output", str(path))[0] == 2
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")

    assert "is there already" in refused("exportaudit", "--output", str(path))[1]
    assert path.read_text() == "mine"
    assert "could not be written" in refused("exportaudit", "--output", "/proc/nowhere/x")[1]


def test_a_sink_is_added_and_its_secret_printed_alone(capsys):
    address = "https://collector.example.org/audit"
    said = run(capsys, "addsink", "SIEM", "--kind", "https", "--address", address, "--format", "ocsf")

    sink = Sink.objects.get()
    assert said == f"{unseal(sink.sealed_secret).value}\n" and sink.format == "ocsf"
    assert run(capsys, "addsink", "file", "--kind", "file", "--address", "audit.jsonl") == ""


def test_a_wrong_option_is_a_sentence_and_2():
    code, said = refused("addsink", "x", "--kind", "file", "--address", "../x")
    assert code == 2 and said.startswith("address: Give the name of a file, such as audit.jsonl")
    for command in ("pausesink", "resumesink", "testsink", "removesink"):
        assert refused(command, "nowhere") == (2, "There is no sink named nowhere.")


def test_a_sink_is_paused_resumed_tested_listed_and_removed(capsys, settings, tmp_path):
    settings.CONSOLE_AUDIT_STREAM_DIR = tmp_path
    run(capsys, "addsink", "log", "--kind", "file", "--address", "audit.jsonl")
    assert run(capsys, "pausesink", "log") == "log is paused.\n"
    assert run(capsys, "pausesink", "log") == "log was paused already.\n"
    assert "\tPaused\t" in run(capsys, "listsinks")
    assert run(capsys, "resumesink", "log") == "log is resumed.\n"
    assert run(capsys, "testsink", "log") == "log took the test.\n"
    assert json.loads((tmp_path / "audit.jsonl").read_text())["sequence"] == 0
    assert run(capsys, "removesink", "log") == "log is removed.\n"
    assert run(capsys, "listsinks") == ""


def test_a_sink_that_takes_no_test_is_1(capsys, settings, tmp_path):
    settings.CONSOLE_AUDIT_STREAM_DIR = tmp_path
    (tmp_path / "audit.jsonl").mkdir()
    run(capsys, "addsink", "log", "--kind", "file", "--address", "audit.jsonl")

    assert refused("testsink", "log") == (
        1,
        "log did not take the test: the file could not be written: Is a directory.",
    )


def test_secrets_of_sinks_are_encrypted_anew_too(capsys, settings):
    run(capsys, "addsink", "SIEM", "--kind", "https", "--address", "https://collector.example.org/audit")
    before = Sink.objects.get().sealed_secret
    old = settings.CONSOLE_CREDENTIAL_KEYS
    settings.CONSOLE_CREDENTIAL_KEYS = [Fernet.generate_key().decode(), *old]
    assert "1 secret of sinks encrypted" in run(capsys, "reencryptcredentials")
    after = Sink.objects.get().sealed_secret
    settings.CONSOLE_CREDENTIAL_KEYS = settings.CONSOLE_CREDENTIAL_KEYS[:1]
    assert after != before and unseal(after).value.startswith("acs_")

    settings.CONSOLE_CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    assert "the secret of the sink SIEM" in refused("reencryptcredentials")[1]


def test_the_list_says_how_far_behind(capsys):
    commit_events(3)
    at = database_now() - timedelta(seconds=90)
    Sink.objects.create(name="log", kind="file", address="a.jsonl", created_at=at, cursor=1, last_error="full")

    assert run(capsys, "listsinks").startswith("log\tfile\tjson\ta.jsonl\tSending\t2 events, ")
