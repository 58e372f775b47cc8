"""`syncsource` and `disconnect`: what a script sees of them."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from agents.clock import database_now
from agents.kinds import Unreachable
from agents.management.commands.disconnect import EXIT
from agents.models import Disconnection, Operation, Source
from agents.states import FINAL, State
from agents.tests.make import KEY, actions, make_session
from agents.webconnect.management.commands import runstandin
from audit.models import Event

ROOT = Path(__file__).parents[2]
DESIGN = {"confirmed": 0, "still_connected": 3, "refused": 4, "failed": 5, "unknown": 6, "already_gone": 7}


def run(*arguments, capsys=None):
    """Exit status, and what was printed or said."""
    try:
        call_command(*arguments)
    except CommandError as error:
        return error.returncode, str(error)
    return 0, capsys.readouterr().out if capsys else ""


# --- syncsource ---------------------------------------------------------------------------------------------------


def test_syncsource_reads_once_and_prints_counts(source, remote, capsys):
    remote.lists("s1", "s2")

    status, said = run("syncsource", "Tokyo", capsys=capsys)

    assert (status, said) == (0, "Tokyo: 2 listed, 2 new, 0 changed, 0 ended (1 call)\n")


def test_syncsource_says_what_is_missing_of_an_incomplete_list(source, remote, capsys):
    remote.incomplete = "Too many."

    assert "Incomplete: Too many." in run("syncsource", "Tokyo", capsys=capsys)[1]


def test_syncsource_says_why_it_could_not(source, remote):
    assert run("syncsource", "Kyoto") == (2, "There is no source named Kyoto.")

    remote.failure = Unreachable("The list could not be read: the connection was refused.")
    assert run("syncsource", "Tokyo") == (1, "The list could not be read: the connection was refused.")

    Source.objects.update(paused_at=database_now())
    assert run("syncsource", "Tokyo") == (1, "Tokyo was not read: it is paused.")


def test_syncsource_gives_way_to_a_reading_under_way(source):
    Source.objects.update(reading_until=database_now() + timedelta(seconds=30))

    assert run("syncsource", "Tokyo") == (1, "Tokyo was not read: it is being read at this moment.")


# --- disconnect ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sessions(source):
    return [make_session(source, each) for each in ("s1", "s2")]


def test_disconnect_records_the_order_and_prints_where_it_is(sessions, capsys):
    status, said = run("disconnect", "Tokyo", "s1", "s2", "--reason", "upkeep", capsys=capsys)

    operation = Operation.objects.get()
    assert status == 0 and said.strip().endswith(f"/operations/{operation.pk}/")
    assert operation.size == 2 and operation.actor_label.startswith("command line (")
    assert Event.objects.first().actor_kind == "command line"


def test_disconnect_takes_a_session_once(sessions):
    run("disconnect", "Tokyo", "s1", "s1", "--reason", "upkeep")

    assert Disconnection.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Kyoto", "s1", "--reason", "x"], "There is no source named Kyoto"),
        (["Tokyo", "s1", "s7", "s8", "--reason", "x"], "no live session s7, s8: nothing was asked for"),
        (["Tokyo", "s1", "--reason", " "], "Give a reason"),
        (["Tokyo", "s1", "--reason", "x" * 501], "501 characters"),
    ],
)
def test_disconnect_used_wrongly_ends_with_2_and_orders_nothing(sessions, arguments, words):
    status, said = run("disconnect", *arguments)

    assert status == 2 and words in said
    assert not Operation.objects.exists() and actions() == []


def test_disconnect_without_a_reason_is_wrong_use_for_a_shell_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "disconnect", "Tokyo", "s1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin", "CONSOLE_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "console.settings_test"},
        timeout=60,
    )

    assert done.returncode == 2 and "--reason" in done.stderr and "Traceback" not in done.stderr


def test_disconnect_ends_with_4_where_it_is_not_offered_or_open_already(sessions):
    run("disconnect", "Tokyo", "s1", "--reason", "x")
    status, said = run("disconnect", "Tokyo", "s1", "--reason", "x")
    assert status == 4 and "already being disconnected" in said and f"/operations/{Operation.objects.get().pk}/" in said

    Source.objects.update(paused_at=database_now())
    assert run("disconnect", "Tokyo", "s2", "--reason", "x") == (4, "The source Tokyo is paused.")


def end(monkeypatch, *states):
    """All open rows end so while the command waits."""
    from agents.management.commands import disconnect

    def sleep(seconds):
        for row, state in zip(Disconnection.objects.order_by("session_id_then"), states, strict=True):
            Disconnection.objects.filter(pk=row.pk).update(
                state=state, finished_at=database_now(), explanation="because"
            )

    monkeypatch.setattr(disconnect.time, "sleep", sleep)


def test_the_exit_statuses_are_the_designs():
    assert {state.value: status for state, status in EXIT.items()} == DESIGN | {"cancelled": 8}
    assert EXIT.keys() == FINAL


@pytest.mark.parametrize("state", sorted(FINAL))
def test_waiting_ends_with_the_outcome(sessions, monkeypatch, state, capsys):
    end(monkeypatch, state)

    status, said = run("disconnect", "Tokyo", "s1", "--reason", "x", "--wait")

    out = capsys.readouterr().out
    assert status == EXIT[state]
    assert "agent-s1 s1 queued" in out and f"agent-s1 s1 {state.label.lower()}: because" in out


@pytest.mark.parametrize(
    ("states", "status"),
    [
        ((State.CONFIRMED, State.CONFIRMED), 0),
        ((State.CONFIRMED, State.ALREADY_GONE), 7),
        ((State.STILL_CONNECTED, State.CONFIRMED), 3),
        ((State.UNKNOWN, State.FAILED), 6),
    ],
)
def test_of_several_the_worst_counts(sessions, monkeypatch, states, status):
    end(monkeypatch, *states)

    assert run("disconnect", "Tokyo", "s1", "s2", "--reason", "x", "--wait")[0] == status


# --- runstandin ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--port", "70000"], "number from 0 to 65535"), (["--agents", "-1"], "number from 0")],
)
def test_runstandin_refuses_numbers_out_of_range(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command(runstandin.Command(), *arguments)


def test_runstandin_ends_with_2_and_a_sentence_for_a_switch_that_is_none(capsys):
    with pytest.raises(SystemExit) as caught:
        call_command("runstandin", "--port", "0", "--switch", "nonsense=1")

    assert caught.value.code == 2 and "There is no switch 'nonsense'" in capsys.readouterr().err


def test_no_command_knows_the_key(sessions, capsys):
    run("disconnect", "Tokyo", "s1", "--reason", "x")

    told = capsys.readouterr()
    assert KEY not in told.out + told.err
