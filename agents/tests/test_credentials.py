"""The secrets that the console holds: encrypted at rest, shown nowhere, never mangled."""

import logging
import traceback

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import connection
from django.forms.models import modelform_factory

from agents import credentials
from agents.credentials import CredentialUnreadable, Secret
from agents.models import Credential, Source
from agents.readings import read_source
from agents.sources import clean_secret, reencrypt_credentials, replace_credential
from agents.tests.make import ALICE, KEY, Purpose, actions
from agents.webconnect.forms import WebConnectForm
from audit.models import Event

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))


@pytest.fixture
def ring(settings):
    """Sets the key ring, newest first."""

    def use(*keys):
        settings.CONSOLE_CREDENTIAL_KEYS = list(keys)

    use(OLD)
    return use


@pytest.fixture
def credential(ring, source):
    return Credential.objects.get(purpose="reading")


def raw():
    with connection.cursor() as cursor:
        cursor.execute("SELECT encrypted FROM agents_credential ORDER BY id")
        return [encrypted for (encrypted,) in cursor.fetchall()]


def everything_kept():
    """All that the database holds, as one text."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        kept = []
        for table in tables:
            cursor.execute(f'SELECT * FROM "{table}"')
            kept += map(repr, cursor.fetchall())
    return "\n".join(kept)


def test_it_is_encrypted_at_rest(credential):
    assert len(raw()) == 2 and not any(KEY in each for each in raw())
    assert raw()[0] != raw()[1], "the same key twice looks different"
    assert KEY not in everything_kept()
    assert credentials.decrypt(credential) == Secret(KEY)


def test_the_newest_key_encrypts_and_older_ones_still_decrypt(ring, credential):
    ring(NEW, OLD)

    assert credentials.decrypt(credential).value == KEY
    replace_credential(source=credential.source, purpose=Purpose.READING, secret=Secret("fresh"), actor=ALICE)

    ring(NEW)
    assert credentials.secret_of(credential.source, Purpose.READING) == Secret("fresh")
    with pytest.raises(CredentialUnreadable):
        credentials.secret_of(credential.source, Purpose.DISCONNECTING)


def test_a_lost_key_mangles_nothing_and_a_found_one_mends_it(ring, credential):
    before = raw()
    ring(OTHER)

    with pytest.raises(CredentialUnreadable, match="CONSOLE_CREDENTIAL_KEYS") as caught:
        credentials.decrypt(credential)
    done, unreadable = reencrypt_credentials(actor=ALICE)

    assert (done, len(unreadable), raw()) == (0, 2, before)
    assert KEY not in str(caught.value) and credential.encrypted not in str(caught.value)
    ring(OTHER, OLD)
    assert credentials.decrypt(credential).value == KEY


def test_reencrypting_lets_the_old_key_go(ring, credential):
    ring(NEW, OLD)

    assert reencrypt_credentials(actor=ALICE) == (2, [])

    ring(NEW)
    assert credentials.decrypt(Credential.objects.get(pk=credential.pk)).value == KEY
    assert actions() == ["credential.reencrypted"] * 2


def test_the_command_says_what_it_could_not_do(ring, credential, capsys):
    ring(NEW, OLD)
    replace_credential(source=credential.source, purpose=Purpose.READING, secret=Secret("fresh"), actor=ALICE)
    ring(NEW)

    with pytest.raises(CommandError, match="Left as they are.*Tokyo") as caught:
        call_command("reencryptcredentials")

    assert capsys.readouterr().out == "1 credential encrypted with the newest key.\n" and caught.value.returncode == 1


def test_reencrypting_never_undoes_a_replacement_made_meanwhile(ring, credential, monkeypatch):
    rotate = credentials.reencrypted

    def slowly(one):
        encrypted = rotate(one)
        if one.purpose == "reading":
            credentials.store(one.source, Purpose.READING, Secret("fresh"), at=one.replaced_at)
        return encrypted

    monkeypatch.setattr(credentials, "reencrypted", slowly)

    assert reencrypt_credentials(actor=ALICE)[0] == 1
    assert credentials.secret_of(credential.source, Purpose.READING) == Secret("fresh")


def test_replacing_ends_a_rejection_and_is_on_record_without_the_secret(credential):
    Credential.objects.update(rejected_at=credential.replaced_at)

    replace_credential(source=credential.source, purpose=Purpose.READING, secret=Secret("fresh-key"), actor=ALICE)

    fresh, other = Credential.objects.order_by("-purpose")
    assert fresh.purpose == "reading" and fresh.rejected_at is None and other.rejected_at
    event = Event.objects.get()
    assert (event.action, event.actor_label) == ("credential.replaced", "alice")
    assert "fresh-key" not in everything_kept()


def test_a_secret_never_shows_itself(credential, caplog):
    secret = credentials.decrypt(credential)

    assert KEY not in f"{secret} {secret!r} {[secret]} {credential} {credential!r}"
    try:
        raise RuntimeError(secret)
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    logging.getLogger("agents").error("the secret %s", secret)
    assert KEY not in shown + caplog.text


def test_no_form_shows_it(source):
    html = str(WebConnectForm(instance=source.webconnect)) + str(
        modelform_factory(Credential, fields="__all__")(instance=Credential.objects.first())
    )

    assert KEY not in html and not any(each in html for each in raw())


def test_an_unreadable_one_is_a_rejected_one_that_names_the_setting(ring, credential):
    ring(OTHER)

    reading = read_source(credential.source.pk)

    assert reading.outcome == "rejected" and "CONSOLE_CREDENTIAL_KEYS" in reading.note
    assert Source.objects.get().failure == reading.note


@pytest.mark.parametrize("wrong", ["", "  ", "a b", "schlüssel", "a\tb", "a\nb", "x" * 4097])
def test_what_cannot_be_a_key_is_refused_without_repeating_it(wrong):
    with pytest.raises(Exception, match="key") as caught:
        clean_secret(wrong)
    assert len(wrong.strip()) < 2 or wrong not in str(caught.value)


def test_white_space_around_a_key_is_none_of_it():
    assert clean_secret(" abc123\r\n").value == "abc123"
