"""The one way in: who is let in, what it is then allowed, and what each of the others is told."""

import hmac
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test import TestCase, override_settings
from django.test.utils import CaptureQueriesContext

from apikeys import checking, services
from apikeys.actors import command_line_actor
from apikeys.checking import BadKey, Reason, authenticate, live_key, rights_of_key_now
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.rights import Right
from apikeys.tests.factory import make_key
from apikeys.tokens import new_token
from console.tests.factory import make_person

User = get_user_model()
AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLACE = "192.0.2.7"


def enter(text: str, *, address: str = PLACE, at: datetime = AT):
    return authenticate(text, address=address, at=at)


class AuthenticatingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Operator")
        cls.key, cls.text = make_key("nightly", "agent:get", "agent:disconnect", owner=cls.alice, at=AT)

    def reason_of(self, text: str, **how: object) -> Reason:
        with pytest.raises(BadKey) as refused:
            enter(text, **how)
        return refused.value.reason

    def test_it_lets_a_key_in_with_its_scopes(self):
        key = enter(self.text)

        self.assertEqual((key.pk, key.name, key.owner_pk), (self.key.pk, "nightly", self.alice.pk))
        self.assertEqual(key.rights, {"agent:get", "agent:disconnect"})
        self.assertEqual((key.actor.kind, key.actor.id, key.actor.label), ("API key", str(self.key.pk), "nightly"))

    def test_it_tells_each_bad_text_without_a_query(self):
        wrong = self.text[:-1] + ("0" if self.text[-1] != "0" else "1")
        with self.assertNumQueries(0):
            for text in ["", "ac_", "secret", self.text + "0", self.text[3:], self.text.upper() + "é", "ac_x_y"]:
                self.assertEqual(self.reason_of(text), Reason.MALFORMED, text)
            self.assertEqual(self.reason_of(wrong), Reason.MISTYPED)

    def test_it_refuses_an_unknown_key_and_a_wrong_secret(self):
        self.assertEqual(self.reason_of(new_token().text), Reason.UNKNOWN)
        with patch("apikeys.tokens.secrets.choice", side_effect=[*self.text[3:15], *"A" * 28]):
            forged = new_token()
        self.assertEqual(self.reason_of(forged.text), Reason.WRONG_SECRET)

    def test_an_unknown_key_and_a_wrong_secret_cost_the_same(self):
        with patch("apikeys.tokens.secrets.choice", side_effect=[*self.text[3:15], *"A" * 28]):
            forged = new_token()

        def work(text: str) -> tuple[list[int], list[tuple[int, int]], int]:
            with (
                CaptureQueriesContext(
                    connection,
                ) as queries,
                patch("apikeys.digests.hmac.digest", wraps=hmac.digest) as digest,
                patch("apikeys.digests.hmac.compare_digest", wraps=hmac.compare_digest) as compare,
                pytest.raises(BadKey),
            ):
                enter(text)
            hashed = [len(call.args[1]) for call in digest.call_args_list]
            return hashed, [(len(call.args[0]), len(call.args[1])) for call in compare.call_args_list], len(queries)

        self.assertEqual(work(new_token().text), work(forged.text))
        self.assertEqual(work(forged.text), ([50], [(64, 64)], 1))

    def test_it_refuses_a_key_that_has_ended_or_rests(self):
        at = AT + timedelta(days=100)
        self.assertTrue(enter(self.text, at=at - timedelta(seconds=1)))
        self.assertEqual(self.reason_of(self.text, at=at), Reason.EXPIRED)
        services.pause_key(key=self.key, actor=command_line_actor(), at=AT)
        self.assertEqual(self.reason_of(self.text), Reason.PAUSED)
        services.resume_key(key=self.key, actor=command_line_actor())
        self.assertTrue(enter(self.text))
        services.revoke_key(key=self.key, actor=command_line_actor(), at=AT)
        self.assertEqual(self.reason_of(self.text), Reason.REVOKED)

    def test_it_refuses_a_key_at_once_when_its_owner_is_deactivated(self):
        User.objects.filter(pk=self.alice.pk).update(is_active=False)

        self.assertEqual(self.reason_of(self.text), Reason.OWNER_DEACTIVATED)
        self.assertEqual(rights_of_key_now(self.key.pk), frozenset())

    def test_it_takes_from_a_key_what_its_owner_lost(self):
        self.alice.groups.clear()
        self.assertEqual(enter(self.text).rights, frozenset())

        make_group_of(self.alice, "Viewer")
        self.assertEqual(enter(self.text).rights, {"agent:get"})

    def test_it_takes_an_owners_roles_together_and_gives_no_more_than_the_scopes(self):
        make_group_of(self.alice, "Auditor")
        self.assertEqual(enter(self.text).rights, {"agent:get", "agent:disconnect"})
        User.objects.filter(pk=self.alice.pk).update(is_superuser=True)
        self.assertEqual(enter(self.text).rights, {"agent:get", "agent:disconnect"})

    def test_the_consoles_own_key_needs_no_person(self):
        _, text = make_key("console's", "audit:get", at=AT)

        self.assertEqual(enter(text).rights, {Right.AUDIT_GET})

    def test_it_lets_a_key_in_only_from_its_addresses(self):
        _, text = make_key("at home", at=AT, addresses=("192.0.2.0/28", "2001:db8::/32"))

        for address in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"]:
            self.assertTrue(enter(text, address=address))
        for address in ["192.0.2.16", "2001:db9::1", "::ffff:198.51.100.1", "", "unknown"]:
            self.assertEqual(self.reason_of(text, address=address), Reason.ADDRESS, address)

    def test_it_says_which_sources_a_key_may_touch(self):
        self.assertTrue(enter(self.text).may_touch("anything"))
        ApiKey.objects.update(all_sources=False, sources=["Tokyo"])

        key = enter(self.text)
        self.assertEqual((key.may_touch("Tokyo"), key.may_touch("Osaka")), (True, False))
        self.assertEqual(live_key(self.key.pk, at=AT), key)

    def test_it_needs_one_query_where_the_use_was_noted_already(self):
        make_group_of(self.alice, "Auditor")
        enter(self.text)

        with self.assertNumQueries(1):
            enter(self.text, at=AT + timedelta(seconds=59))

    def test_it_notes_when_and_from_where_a_key_was_used_once_a_minute(self):
        enter(self.text)
        enter(self.text, address="192.0.2.8", at=AT + timedelta(seconds=59))
        self.key.refresh_from_db()
        self.assertEqual((self.key.last_used_at, self.key.last_used_address), (AT, PLACE))

        enter(self.text, address="192.0.2.8", at=AT + timedelta(seconds=60))
        self.key.refresh_from_db()
        self.assertEqual(self.key.last_used_address, "192.0.2.8")
        self.assertEqual(self.key.secrets.get().last_used_address, "192.0.2.8")

    def test_it_notes_no_use_of_a_key_that_is_refused(self):
        self.reason_of(self.text, at=AT + timedelta(days=200))

        self.key.refresh_from_db()
        self.assertIsNone(self.key.last_used_at)

    def test_it_digests_anew_with_the_newest_pepper(self):
        [old] = checking.digests.settings.CONSOLE_API_KEY_PEPPERS
        before = ApiKeySecret.objects.get().pepper_id

        with override_settings(CONSOLE_API_KEY_PEPPERS=["n" * 40, old]):
            self.assertTrue(enter(self.text))
        self.assertNotEqual(ApiKeySecret.objects.get().pepper_id, before)
        with override_settings(CONSOLE_API_KEY_PEPPERS=["n" * 40]):
            self.assertTrue(enter(self.text))
        self.assertEqual(self.reason_of(self.text), Reason.NO_PEPPER)

    def test_no_secret_is_in_the_database_or_shows_itself(self):
        secret = ApiKeySecret.objects.get()

        kept = " ".join(str(value) for value in [*vars(secret).values(), *vars(self.key).values()])
        self.assertNotIn(self.text[16:], kept)
        self.assertNotIn(self.text[16:], f"{new_token()!r}{secret}{self.key}{enter(self.text)!r}")


def make_group_of(person, role: str) -> None:
    person.groups.add(Group.objects.get(name=role))
