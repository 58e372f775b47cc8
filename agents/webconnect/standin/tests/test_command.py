import json
import socket
import subprocess
import sys

import pytest

from agents.webconnect.standin.command import main
from agents.webconnect.standin.process import ROOT, StandIn, StandInError


def start(*arguments, **options):
    command = [sys.executable, "-m", "agents.webconnect.standin", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, **options)


def test_it_says_one_line_and_ends_with_its_input(tmp_path):
    ended = start("--port", "0", "--keys", str(tmp_path / "k.json"), "--until-input-ends", input="")

    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.splitlines()
    assert line.startswith("Stand-in ready on http://127.0.0.1:") and line.endswith("/api/v2")
    assert ended.stderr == ""
    assert {key["name"] for key in json.loads((tmp_path / "k.json").read_text())} == {
        "reader",
        "disconnector",
        "all",
    }


def test_without_a_key_file_it_tells_where_its_keys_are():
    ended = start("--port", "0", "--until-input-ends", input="")

    assert ended.returncode == 0
    assert ended.stderr.startswith("API keys are in ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--switch", "order=sideways"],
        ["--switch", "order"],
        ["--port", "65536"],
        ["--agents", "-1"],
        ["--tempo", "fast"],
        ["--keys", "/nowhere/keys.json"],
        ["--sessions-file", "/nowhere/sessions.json"],
        ["--sessions-file", "pyproject-that-is-not.json"],
    ],
)
def test_a_wrong_start_is_one_sentence(arguments, capsys):
    try:
        status = main(["--port", "0", *arguments])
    except SystemExit as refused:  # what argparse raises for what it checks itself
        status = refused.code

    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err.strip()


def test_a_taken_port_is_one_sentence(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status = main(["--port", str(taken.getsockname()[1])])

    assert status == 2
    assert "cannot be used: Address already in use." in capsys.readouterr().err


def test_sessions_are_loaded_exactly():
    rows = [{"sessionId": "a", "agentId": "one"}, {"sessionId": "b", "agentId": "two"}]
    with StandIn(sessions=rows) as standin:
        assert [(row["sessionId"], row["agentId"]) for row in standin.sessions()] == [
            ("a", "one"),
            ("b", "two"),
        ]


def test_it_comes_back_on_its_port_after_a_crash():
    with StandIn(agents=3) as standin:
        before, url = standin.session_ids(), standin.base_url
        standin.kill()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", standin.port), timeout=2)
        standin.start()

        assert standin.base_url == url
        assert standin.session_ids() == before


def test_the_helper_says_why_it_did_not_start():
    with pytest.raises(StandInError), StandIn(switches={"order": "sideways"}):
        pass
