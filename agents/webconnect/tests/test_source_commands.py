"""`manage.py changesource`, `testsource`, `pausesource`, `resumesource`: the pages' services, from a shell."""

import pytest
from django.core.management import CommandError, call_command

from agents.credentials import secret_of
from agents.models import Credential, Source
from agents.tests.make import actions, make_source
from agents.webconnect.standin.process import StandIn

READING, DISCONNECTING = Credential.Purpose.READING, Credential.Purpose.DISCONNECTING


def test_it_changes_what_is_given_and_leaves_the_rest(db, tmp_path):
    source = make_source(requests_per_minute=60)
    (tmp_path / "key").write_text("another-key\n")

    call_command("changesource", "Tokyo", "--rename", "Edo", "--polling", "3", "--time-zone", "Asia/Tokyo",
                 "--disconnect-key-file", str(tmp_path / "key"))  # fmt: skip

    source = Source.objects.select_related("contract").get()
    assert (source.name, source.polling_seconds, source.settle_seconds) == ("Edo", 3, 5)
    assert (source.webconnect.time_zone, source.contract.name, source.contract.requests_per_minute) == (
        "Asia/Tokyo", "Tokyo", 60,
    )  # fmt: skip
    assert secret_of(source, DISCONNECTING).value == "another-key" != secret_of(source, READING).value
    assert actions() == ["source.changed", "credential.replaced"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--base-url", "http://example.com/api/v2"], "base url: Plain http"),
        (["--polling", "-1"], "polling seconds:"),
        (["--read-key-file", "/nowhere"], "can't be read"),
    ],
)
def test_a_wrong_value_is_a_sentence_and_changes_nothing(db, options, sentence):
    make_source()

    with pytest.raises(CommandError, match=sentence) as refusal:
        call_command("changesource", "Tokyo", *options)

    assert refusal.value.returncode == 2
    assert actions() == []


@pytest.mark.parametrize("command", ["changesource", "testsource", "pausesource", "resumesource"])
def test_an_unknown_source_is_a_sentence(db, command):
    with pytest.raises(CommandError, match="There is no source named nobody") as refusal:
        call_command(command, "nobody")

    assert refusal.value.returncode == 2


def test_it_pauses_and_resumes(db, capsys):
    make_source()

    for command in ("pausesource", "pausesource", "resumesource", "resumesource"):
        call_command(command, "Tokyo")

    assert capsys.readouterr().out.splitlines() == [
        "Tokyo is paused now.", "Tokyo was paused already.", "Tokyo goes on.", "Tokyo was not paused.",
    ]  # fmt: skip
    assert actions() == ["source.paused", "source.resumed"]


def test_it_says_what_came_back_of_each_credential(db, capsys):
    with StandIn(agents=3) as standin:
        make_source(base_url=standin.base_url, key=standin.full_key)
        call_command("testsource", "Tokyo")
        standin.remove_key("all")
        with pytest.raises(CommandError, match="does not work with every credential"):
            call_command("testsource", "Tokyo")

    told = capsys.readouterr().out
    assert "reading: The remote answered with its list: 3 sessions." in told
    assert "disconnecting: The remote took the key" in told and "does not accept" in told
    assert standin.full_key not in told
