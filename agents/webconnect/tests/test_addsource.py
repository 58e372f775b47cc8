"""`manage.py addsource`: keys come from files or standard input, and every wrong use is a sentence."""

import io

import pytest
from django.core.management import CommandError, call_command

from agents.credentials import secret_of
from agents.models import Contract, Credential, Source
from agents.webconnect.management.commands import addsource

READING, DISCONNECTING = Credential.Purpose.READING, Credential.Purpose.DISCONNECTING
URL = "http://127.0.0.1:9/api/v2"


@pytest.fixture
def key_file(tmp_path):
    def write(text, name="key"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write


def add(*arguments):
    call_command("addsource", "Tokyo", "--base-url", URL, *arguments)


def keys():
    source = Source.objects.get()
    return [secret_of(source, purpose).value for purpose in (READING, DISCONNECTING)]


def test_one_key_serves_both(db, key_file, capsys):
    add("--read-key-file", key_file("one-key\n"))

    assert keys() == ["one-key", "one-key"]
    told = capsys.readouterr()
    assert "Source Tokyo added" in told.out and "one-key" not in told.out + told.err


def test_each_key_from_its_file(db, key_file):
    add("--read-key-file", key_file("r-key", "r"), "--disconnect-key-file", key_file("d-key", "d"))

    assert keys() == ["r-key", "d-key"]


def test_both_keys_from_standard_input_line_by_line(db, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("r-key\nd-key\n"))
    add("--read-key-file", "-", "--disconnect-key-file", "-")

    assert keys() == ["r-key", "d-key"]


def test_every_setting_has_an_option(db, key_file):
    add(
        *["--read-key-file", key_file("k"), "--time-zone", "Asia/Tokyo", "--contract", "Japan"],
        *["--requests-per-minute", "600", "--polling", "3", "--settle", "1.5", "--confirm-within", "30"],
    )

    source = Source.objects.get()
    assert (source.contract.name, source.contract.requests_per_minute) == ("Japan", 600)
    assert (source.polling_seconds, source.settle_seconds, source.confirm_seconds) == (3, 1.5, 30)
    assert source.webconnect.time_zone == "Asia/Tokyo"


def test_no_option_takes_a_key_itself():
    parser = addsource.Command().create_parser("manage.py", "addsource")
    options = [text for action in parser._actions for text in action.option_strings]

    assert [text for text in options if "key" in text] == ["--read-key-file", "--disconnect-key-file"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--base-url", "http://a.example"], "base url: Plain http would show the API key"),
        (["--base-url", "nonsense"], "base url: Give a URL"),
        (["--time-zone", "Mars"], "time zone: Give a time zone's name"),
        (["--requests-per-minute", "-1"], "requests per minute:"),
        (["--polling", "0"], "polling seconds:"),
        (["--polling", "nan"], "polling seconds: Enter a number"),
        (["--proxy", "http://["], "proxy: Give the proxy as"),
        (["--ca-bundle", "/nowhere"], "ca bundle: There is no such file"),
        (["--contract", "x" * 61], "contract:"),
    ],
)
def test_a_wrong_setting_is_a_sentence_and_2(db, key_file, arguments, words):
    with pytest.raises(CommandError) as caught:
        add("--read-key-file", key_file("k"), *arguments)

    assert caught.value.returncode == 2 and words in str(caught.value)
    assert not Source.objects.exists() and not Contract.objects.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "The key is empty"), ("\n\n", "The key is empty"), ("a key", "spaces"), (b"\xff\xfe\x00", "it is not text")],
)
def test_a_file_without_a_key_is_a_sentence_and_2(db, key_file, content, words):
    with pytest.raises(CommandError, match=words) as caught:
        add("--read-key-file", key_file(content))
    assert caught.value.returncode == 2 and not Source.objects.exists()


def test_a_file_that_is_not_there_or_a_folder_is_a_sentence_and_2(db, tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(CommandError, match="can't be read") as caught:
            add("--read-key-file", str(path))
        assert caught.value.returncode == 2


def test_a_second_source_of_the_name_is_a_sentence_and_2(db, key_file):
    add("--read-key-file", key_file("k"))

    with pytest.raises(CommandError, match="name: ") as caught:
        add("--read-key-file", key_file("other"), "--contract", "other")
    assert caught.value.returncode == 2
