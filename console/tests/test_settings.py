"""Each wrong setting stops the start with a sentence and a hint, and the table of docs/operating.md is complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from console import environment
from console.environment import SETTINGS, Problem
from console.tests.real_console import PROJECT

ROW = re.compile(r"^\| `([A-Z_]+)` \| (?:`(.*?)`|none) \| (.*) \|$", re.MULTILINE)


def test_the_table_in_the_documentation_is_that_of_the_code() -> None:
    documented = ROW.findall((PROJECT / "docs" / "operating.md").read_text())

    assert documented == [(each.name, each.default, each.meaning) for each in SETTINGS.values()]


#: Before a test puts another one in its place.
DECLARED = SETTINGS


@pytest.fixture
def problems(monkeypatch: pytest.MonkeyPatch) -> list[Problem]:
    found: list[Problem] = []
    monkeypatch.setattr(environment, "PROBLEMS", found)
    monkeypatch.setattr(environment, "SETTINGS", {})
    return found


WRONG = [
    ("CONSOLE_PORT", "http", "'http' is not a whole number"),
    ("CONSOLE_PORT", "70000", "'70000' is not between 1 and 65535"),
    ("CONSOLE_SWEEP_SECONDS", "often", "'often' is not a number"),
    ("CONSOLE_SWEEP_SECONDS", "nan", "'nan' is not between 0.01 and 60"),
    ("CONSOLE_URL", "console.example.org", "is not a URL that begins with http:// or https://"),
    ("CONSOLE_URL", "https://example.org/console", "holds more than scheme, host and port"),
    ("CONSOLE_URL", "https://example.org:99999", "Port out of range"),
    ("CONSOLE_LOG_LEVEL", "loud", "'loud' is none of DEBUG, INFO, WARNING, ERROR"),
    ("REDIS_URL", "http://example.org", "its value is not a URL that begins with redis:// or"),
    ("DATABASE_URL", "mysql://example.org/console", "its value is not a URL that begins with postgres:// or"),
    ("DATABASE_URL", "postgres://console:pass/word@example.org/console", "its value is not of the form postgres://"),
    ("CONSOLE_MAIL_URL", "http://mail.example", "its value is not a URL that begins with smtp:// or smtps://"),
    ("CONSOLE_MAIL_URL", "smtps://me:pass/word@mail.example", "its value is not of the form smtps://"),
    ("CONSOLE_API_KEY_PEPPERS", "tiny", "its value holds something shorter than 32 characters"),
    ("CONSOLE_API_KEY_LONGEST_DAYS", "0", "'0' is not between 1 and 3650"),
    ("CONSOLE_CREDENTIAL_KEYS", "short", "its value holds something that is not a Fernet key"),
]


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_wrong_value_is_noted_with_the_reason(
    name: str, value: str, says: str, problems: list[Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = DECLARED[name]
    monkeypatch.setenv(name, value)

    used = environment.setting(name, declared.default, declared.meaning, declared.parse, secret=declared.secret)

    assert used == declared.parse(declared.default)
    assert len(problems) == 1
    assert problems[0].message.startswith(f"{name} can't be used: ")
    assert says in problems[0].message
    assert declared.meaning in problems[0].hint
    assert not declared.secret or value not in problems[0].message


def test_a_file_can_hold_the_value(problems: list[Problem], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from the file\n")
    monkeypatch.setenv("A_SECRET_FILE", str(secret))

    assert environment.setting("A_SECRET", "", "a secret", environment.text) == "from the file"
    assert problems == []


def test_a_file_that_cannot_be_read_is_a_problem(problems: list[Problem], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET_FILE", "/nowhere/secret")

    environment.setting("A_SECRET", "", "a secret", environment.text)

    assert problems[0].message == "A_SECRET_FILE can't be read: No such file or directory (/nowhere/secret)."


def test_both_ways_at_once_are_a_problem(
    problems: list[Problem], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("one")
    monkeypatch.setenv("A_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("A_SECRET", "two")

    environment.setting("A_SECRET", "", "a secret", environment.text)

    assert problems[0].message == "Both A_SECRET and A_SECRET_FILE are set."


def test_a_folder_that_is_none_is_a_problem(problems: list[Problem], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    environment.make_private_folder("CONSOLE_DATA_DIR", tmp_path / "file" / "var")

    assert "can't be written to (Not a directory)" in problems[0].message


STARTS = {
    "up": ["manage.py", "up"],
    "migrate": ["manage.py", "migrate"],
    "worker": ["-m", "celery", "-A", "console", "worker"],
    "beat": ["-m", "celery", "-A", "console", "beat"],
    "web": ["-m", "gunicorn", "--config", "python:console.gunicorn_config", "console.wsgi"],
}


@pytest.mark.parametrize("part", STARTS)
def test_no_part_starts_with_a_wrong_setting(part: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    wrong = {
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "CONSOLE_DATA_DIR": str(tmp_path / "file"),
        "CONSOLE_WEB_WORKERS": "none",
    }

    ended = subprocess.run(
        [sys.executable, *STARTS[part]],
        cwd=PROJECT,
        env={**os.environ, **wrong},
        capture_output=True,
        text=True,
        timeout=60,
    )

    said = ended.stdout + ended.stderr
    assert ended.returncode != 0
    assert "CONSOLE_WEB_WORKERS can't be used: 'none' is not a whole number." in said
    assert "It means: web processes." in said
    assert "CONSOLE_DATA_DIR can't be used" in said
    assert "Traceback" not in said
