"""The commands for API keys: what they print, and what they never do."""

import io
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.test import TestCase

from apikeys import checking
from apikeys.models import ApiKey
from apikeys.tests.factory import make_key
from audit.models import Event
from console.tests.factory import make_person


def run(*words: str, given: str = "") -> str:
    out = io.StringIO()
    with patch("sys.stdin", io.StringIO(given)):
        call_command(*words, stdout=out)
    return out.getvalue()


def refusal(*words: str, given: str = "") -> tuple[int, str]:
    with pytest.raises(CommandError) as refused:
        run(*words, given=given)
    return refused.value.returncode, str(refused.value)


class CommandTests(TestCase):
    def enter(self, text: str) -> checking.LiveKey:
        return checking.authenticate(text, address="", at=datetime.now(UTC))

    def test_it_prints_the_new_key_alone(self):
        out = run("createapikey", "nightly", "--scope", "agent:get", "--scope", "agent:disconnect")

        key = self.enter(out.removesuffix("\n"))
        self.assertEqual((key.owner_pk, key.scopes), (None, {"agent:get", "agent:disconnect"}))
        self.assertTrue(Event.objects.get().actor_label.startswith("command line ("))

    def test_a_key_can_belong_to_a_person_and_be_held_to_terms(self):
        olga = make_person("olga", "Operator")
        words = ["--scope", "agent:get", "--owner", "olga", "--expires", "7d", "--address", "192.0.2.0/24"]
        run("createapikey", "nightly", *words, "--requests-per-minute", "10")

        key = ApiKey.objects.get()
        self.assertEqual((key.owner, key.addresses, key.requests_per_minute), (olga, ["192.0.2.0/24"], 10))
        self.assertEqual(key.expires_at - key.created_at, timedelta(days=7))

    def test_it_says_what_is_wrong(self):
        make_key("taken")
        for words, message in [
            (["x"], "scopes: Give at least one scope"),
            (["x", "--scope", "agent:all"], "scopes: There is no scope agent:all."),
            (["taken", "--scope", "agent:get"], "name: There is a key with this name already."),
            (["x", "--scope", "agent:get", "--owner", "nobody"], "There is no person named nobody."),
            (["x", "--scope", "agent:get", "--expires", "soon"], "give a day like 2026-12-31"),
            (["x", "--scope", "agent:get", "--expires", "999d"], "expires at: A key can be good for 365 days"),
            (["x", "--scope", "agent:get", "--source", "Atlantis"], "sources: There is no source Atlantis."),
            (["x", "--scope", "agent:get", "--address", "home"], "addresses: “home” is no network"),
            (["a\nb", "--scope", "agent:get"], "name: The name holds control characters"),
        ]:
            with self.subTest(message):
                code, said = refusal("createapikey", *words)
                self.assertEqual(code, 2)
                self.assertIn(message, said)

    def test_it_lists_keys(self):
        make_key("b")
        make_key("a", owner=make_person("olga", "Operator"))

        lines = [line.split("\t") for line in run("listapikeys").splitlines()]

        self.assertEqual(
            [line[1:6] for line in lines],
            [
                ["active", "a", "olga", "agent:get", "never"],
                ["active", "b", "the console", "agent:get", "never"],
            ],
        )

    def test_it_revokes_by_name(self):
        make_key("nightly")

        self.assertEqual(run("revokeapikey", "nightly"), "nightly is revoked.\n")
        self.assertEqual(refusal("revokeapikey", "nightly"), (2, "There is no live API key named nightly."))
        self.assertIn("revoked\tnightly", run("listapikeys", "--all"))

    def test_it_says_what_a_key_is_without_printing_it(self):
        _, text = make_key("nightly")

        out = run("checkapikey", given=f" {text}\n")

        self.assertIn("Name: nightly\nOwner: the console itself\nScopes: Agent: Get\n", out)
        self.assertIn("State: active", out)
        self.assertNotIn(text[16:], out)
        self.assertIsNone(ApiKey.objects.get().last_used_at)

    def test_it_says_what_is_wrong_with_a_key(self):
        key, text = make_key("nightly")
        ApiKey.objects.filter(pk=key.pk).update(revoked_at=datetime.now(UTC))
        swapped = text[:20] + text[21] + text[20] + text[22:] if text[20] != text[21] else text[:-1] + "_"

        self.assertEqual(refusal("checkapikey", given="password\n")[0], 2)
        self.assertEqual(refusal("checkapikey", given=swapped)[0], 2)
        self.assertEqual(refusal("checkapikey", given=checking.tokens.new_token().text)[0], 3)
        self.assertEqual(refusal("checkapikey", given=text), (1, "It opens nothing."))
