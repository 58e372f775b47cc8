"""The small parts of a bridge's process: its journal, its hold on the bridge, who is let in, and the commands."""

import asyncio
import os
import socket
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from agents.clock import database_now
from agents.models import Source
from agents.portions import Portion
from agents.readings import due
from apikeys.actors import command_line_actor
from apikeys.rights import Right
from apikeys.services import revoke_key
from apikeys.tests.factory import make_key
from audit.models import Event
from bridge import admission, journal, process
from bridge.adding import DEFAULT_NAME, the_bridge
from bridge.admission import no_longer_welcome, verifier
from bridge.journal import Journal
from bridge.models import BridgeProcess, BridgeSource
from bridge.process import RunsAlready, take
from bridge.protocol.effects import Event as Happened
from bridge.protocol.effects import Note
from bridge.running import server_settings
from bridge.tests.fake import make_bridge

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(db):
    return make_bridge("desk", runs=False)


# --- The journal -------------------------------------------------------------------------------------------------


def note(number=0, event=Happened.JOINED):
    return Note(event, f"agent {number} did", f"session-{number}", f"agent-{number}")


def told():
    events = Event.objects.filter(action__startswith="bridge.").order_by("sequence")
    return [(event.action, event.target_label, event.details) for event in events]


def test_what_the_bridge_tells_is_on_record(source):
    kept = Journal(source)
    for event in Happened:
        kept.note(note(event=event))

    kept.write()

    wanted = ["bridge.agent_connected", "bridge.agent_lost", "bridge.agent_refused", "bridge.app_disconnected"]
    assert [action for action, *_ in told()] == wanted
    assert told()[0][1:] == ("agent-0 (session-0)", {"source": "desk", "explanation": "agent 0 did"})


def test_a_storm_is_summed_up(source, settings, monkeypatch):
    settings.CONSOLE_BRIDGE_EVENTS = 3
    now = [100.0]
    monkeypatch.setattr(journal, "monotonic", lambda: now[0])
    kept = Journal(source)
    for number in range(5):
        kept.note(note(number))
    kept.write()
    kept.note(note(9, Happened.LEFT))
    kept.write()
    assert [action for action, *_ in told()] == ["bridge.agent_connected"] * 3

    now[0] += 61
    kept.note(note(10))
    kept.write()

    assert told()[3:] == [
        ("bridge.agent_connected", "agent-10 (session-10)", {"source": "desk", "explanation": "agent 10 did"}),
        ("bridge.summarised", "desk", {"bridge.agent_connected": 2, "bridge.agent_lost": 1}),
    ]
    kept.write(at_the_end=True)
    assert len(told()) == 5


def test_what_waits_for_a_database_is_bounded_and_counted(source, monkeypatch):
    monkeypatch.setattr(journal, "_MOST", 2)
    kept = Journal(source)
    for number in range(50):
        kept.note(note(number))

    kept.write(at_the_end=True)

    assert told()[2:] == [("bridge.summarised", "desk", {"bridge.agent_connected": 48})]


def test_what_could_not_be_written_is_written_later(source, monkeypatch):
    kept = Journal(source)
    kept.note(note())

    def fail(entries):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "record_many", fail)
        with pytest.raises(OperationalError):
            kept.write()

    kept.write()
    assert len(told()) == 1


# --- One process at a time ---------------------------------------------------------------------------------------


def test_a_second_process_is_refused_while_the_first_is_alive(source, monkeypatch):
    first = take(source)
    monkeypatch.setattr(process, "_has_ended", lambda name: False)
    monkeypatch.setattr(process.time, "sleep", lambda seconds: first.beat())

    with pytest.raises(RunsAlready, match=f"process {os.getpid()} on"):
        take(source)
    assert first.beat()


def test_a_silent_process_of_another_machine_is_taken_over_after_a_while(source, settings):
    settings.CONSOLE_BRIDGE_SILENCE = timedelta(seconds=0.2)
    first = take(source)
    BridgeProcess.objects.update(name="process 1 on elsewhere")

    second = take(source)

    assert second.beat() and not first.beat()


def test_a_killed_process_of_this_machine_is_taken_over_at_once(source):
    first = take(source)
    BridgeProcess.objects.update(name=f"process 4194305 on {socket.gethostname()}")

    second = take(source)

    assert second.beat() and not first.beat()


def test_a_process_that_was_killed_at_reading_keeps_no_other_from_it(source):
    take(source)
    at = database_now()
    Source.objects.update(reading_token=uuid4(), reading_until=at + timedelta(minutes=1), next_reading_at=at)
    BridgeProcess.objects.update(name=f"process 4194305 on {socket.gethostname()}")
    assert due(at, Portion(source.pk)) == []

    take(source).begin(4475)

    assert due(at, Portion(source.pk)) == [source.pk]


def test_one_that_has_ended_leaves_the_bridge_to_the_next(source):
    first = take(source)
    first.begin(4475)
    first.end("asked to end")
    assert BridgeProcess.objects.get().address == ""

    assert take(source).beat() and not first.beat()
    first.end("once more")
    assert [action for action, *_ in told()] == ["bridge.started", "bridge.stopped"]


# --- Who is let in -----------------------------------------------------------------------------------------------


def let_in(source, token):
    """As the loop asks; the look-up itself in this thread, whose transaction holds the keys."""
    return admission._holder_of(token, source)


@pytest.fixture(autouse=True)
def one_connection(monkeypatch):
    monkeypatch.setattr(admission, "close_old_connections", lambda: None)


def test_a_key_with_the_scope_is_let_in(source):
    key, text = make_key("desk key", Right.BRIDGE_CONNECT)

    assert let_in(source, text) == f"API key {key.pk}: desk key"
    key.refresh_from_db()
    assert (key.last_used_address, key.last_used_at is None) == ("127.0.0.1", False)


def test_a_key_without_it_is_not_and_that_is_on_record(source):
    _, text = make_key("reader", Right.BRIDGE_GET, Right.BRIDGE_DISCONNECT)

    assert let_in(source, text) is None
    event = Event.objects.get(action="apikey.not_allowed")
    assert event.actor_label == "reader" and "bridge:connect" in str(event.details)
    assert text not in str(event.details)


def test_a_key_of_other_sources_is_not(source):
    make_bridge("other", runs=False)
    _, text = make_key("other", Right.BRIDGE_CONNECT, all_sources=False, sources=frozenset({"other"}))

    assert let_in(source, text) is None


def test_a_wrong_key_is_not_and_that_is_on_record(source):
    assert let_in(source, "ac_" + "x" * 60) is None
    assert Event.objects.filter(action="apikey.refused").count() == 1


def test_a_revoked_key_ends_the_connection(source):
    key, text = make_key("desk key", Right.BRIDGE_CONNECT)
    principals = [let_in(source, text), "00000000-0000-4000-8000-000000000000", None, "API key of somebody"]
    assert list(no_longer_welcome(principals, source)) == []

    revoke_key(key=key, actor=command_line_actor(), at=database_now())

    assert list(no_longer_welcome(principals, source)) == [f"API key {key.pk}: desk key"]


def test_what_is_asked_for_is_what_is_set(source):
    bridge = source.bridge
    assert verifier(bridge, 60) is None

    bridge.authentication = "api_key"
    assert asyncio.run(verifier(bridge, 60)("eyJhbGciOiJub25lIn0.e30.")) is None


def test_a_token_is_good_for_as_long_as_the_environment_says(source, tmp_path, monkeypatch):
    made = []
    monkeypatch.setenv("BRIDGE_TOKEN_AGE", "7.5")
    monkeypatch.setattr(admission, "public_keys", lambda path: {})
    monkeypatch.setattr(admission, "TokenCheck", lambda keys, age: made.append(age))
    bridge = BridgeSource(source=source, authentication="jwt", public_keys=str(tmp_path))

    verifier(bridge, server_settings(bridge, None).token_age)

    assert made == [7.5]


def test_the_settings_reach_the_server(source):
    own = BridgeSource(first_port=5000, last_port=5010, allowed_origins="https://a.example\nhttps://b.example:8443")

    settings = server_settings(own, None)

    assert (settings.first_port, settings.last_port) == (5000, 5010)
    assert settings.allowed_origins == {"https://a.example", "https://b.example:8443"}
    assert server_settings(own, 5005).last_port == 5005


# --- Commands ----------------------------------------------------------------------------------------------------


def test_a_bridge_whose_own_key_can_not_be_read_does_not_run(source, tmp_path, monkeypatch):
    monkeypatch.setenv("BRIDGE_PRIVATE_KEY", str(tmp_path / "missing.pem"))

    with pytest.raises(CommandError, match="missing.pem cannot be read"):
        call_command("runbridge", name="desk")
    assert not BridgeProcess.objects.exists()


def test_a_bridge_is_added(capsys):
    call_command(
        "addbridge", "floor", "--port", "4480", "--authentication", "api_key", "--allow-origin", "https://a.example"
    )

    own = Source.objects.get(name="floor", kind="bridge").bridge
    assert (own.first_port, own.last_port, own.authentication) == (4480, 4480, "api_key")
    assert "runbridge --name floor" in capsys.readouterr().out
    assert Event.objects.filter(action="source.added", target_label="floor").exists()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["floor", "--port", "80"], "greater than or equal to 1024"),
        (["floor", "--authentication", "jwt"], "can't be checked without the public keys"),
        (["floor", "--public-keys", "/nowhere"], "There is no such folder"),
        (["floor", "--allow-origin", "https://a.example/path"], "is not an origin"),
        (["floor", "--allow-origin", "javascript:alert(1)"], "is not an origin"),
        (["desk"], "already"),
    ],
)
def test_a_bridge_that_could_not_work_is_refused(source, options, why):
    with pytest.raises(CommandError, match=why) as refused:
        call_command("addbridge", *options)
    assert refused.value.returncode == 2


def test_the_first_run_makes_the_source():
    made = the_bridge(DEFAULT_NAME, actor=command_line_actor())

    assert made.contract is None and made.polling_seconds == 2
    assert the_bridge(DEFAULT_NAME, actor=command_line_actor()) == made


def test_a_name_that_another_source_has_is_refused(source):
    Source.objects.create(name="Tokyo", kind="webconnect", created_at=source.created_at)

    with pytest.raises(CommandError, match="Source with this Name already exists"):
        call_command("runbridge", "--name", "Tokyo")


def test_reading_a_bridge_is_left_to_its_process(source):
    with pytest.raises(CommandError, match="is read by its own process"):
        call_command("syncsource", "desk")
    source.refresh_from_db()
    assert source.failure == ""
