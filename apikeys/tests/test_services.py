"""What may be asked for a key, by whom, and what two at once get."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.test import TestCase

from apikeys import checking, services
from apikeys.actors import command_line_actor, person_actor
from apikeys.checking import BadKey, authenticate
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.rights import NotAllowed
from apikeys.services import KeyEnded, OverlapUnderWay, Terms
from apikeys.tests.factory import make_key
from audit.models import Event
from console.tests.factory import make_person

NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def terms(**overrides: object) -> Terms:
    values = {"name": "new", "owner": None, "scopes": frozenset({"agent:get"}), "expires_at": NOW + 30 * DAY}
    return Terms(**(values | overrides))


def wrong_fields(call) -> set[str]:
    with pytest.raises(ValidationError) as refused:
        call()
    return set(refused.value.message_dict)


class GivingTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")
        cls.kim = make_person("kim", "Key manager")
        cls.olga = make_person("olga", "Operator")
        cls.ann = make_person("ann", "Auditor", "Key manager")

    def issue(self, actor, **overrides):
        return services.issue_key(terms=terms(**overrides), actor=actor, at=NOW)

    def test_a_key_manager_gives_any_agent_scope_to_anybodys_key(self):
        _, token = self.issue(person_actor(self.kim), owner=self.olga, scopes=frozenset({"agent:disconnect"}))

        self.assertEqual(authenticate(token.text, address="", at=NOW).rights, {"agent:disconnect"})

    def test_other_scopes_are_given_only_by_those_who_have_the_right(self):
        def give(giver):
            return self.issue(person_actor(giver), owner=self.ann, scopes=frozenset({"audit:get"}))

        self.assertEqual(wrong_fields(lambda: give(self.kim)), {"scopes"})
        give(self.ann)

    def test_only_administrators_make_and_end_keys_of_the_console(self):
        kim = person_actor(self.kim)
        self.assertEqual(wrong_fields(lambda: self.issue(kim)), {"owner"})
        key, _ = self.issue(person_actor(self.alice))

        for act in [services.pause_key, services.revoke_key, services.end_overlap]:
            with pytest.raises(NotAllowed):
                act(key=key, actor=kim, at=NOW)
        services.revoke_key(key=key, actor=person_actor(self.alice), at=NOW)

    def test_nobody_without_the_right_does_anything(self):
        key, _ = make_key(owner=self.olga)
        olga = person_actor(self.olga)

        for act in [
            lambda: self.issue(olga, owner=self.olga),
            lambda: services.change_key(key=key, terms=terms(), actor=olga, at=NOW),
            lambda: services.rotate_key(key=key, overlap=DAY, actor=olga, at=NOW),
            lambda: services.end_overlap(key=key, actor=olga, at=NOW),
            lambda: services.pause_key(key=key, actor=olga, at=NOW),
            lambda: services.resume_key(key=key, actor=olga),
            lambda: services.revoke_key(key=key, actor=olga, at=NOW),
            lambda: services.visible_keys(olga),
        ]:
            with pytest.raises(NotAllowed):
                act()
        self.assertEqual(Event.objects.count(), 1)

    def test_nobody_deactivated_gets_a_key(self):
        gone = make_person("gone", is_active=False)

        self.assertEqual(wrong_fields(lambda: self.issue(command_line_actor(), owner=gone)), {"owner"})

    def test_an_end_can_be_moved_only_as_far_as_the_secret_may_last(self):
        key, _ = make_key("old", at=NOW - 300 * DAY, expires_at=NOW + DAY)
        actor = command_line_actor()

        later = terms(name="old", expires_at=NOW + 100 * DAY)
        self.assertEqual(
            wrong_fields(lambda: services.change_key(key=key, terms=later, actor=actor, at=NOW)), {"expires_at"}
        )
        services.rotate_key(key=key, overlap=DAY, expires_at=NOW + 100 * DAY, actor=actor, at=NOW)
        services.change_key(key=key, terms=terms(name="old", expires_at=NOW + 300 * DAY), actor=actor, at=NOW)

    def test_no_end_is_forgotten_by_any_way_to_a_secret(self):
        """Pitfall: a newer way to a key that the longest life does not cover."""
        key, _ = make_key(expires_at=NOW + DAY)
        far = NOW + 400 * DAY
        actor = command_line_actor()

        self.assertEqual(wrong_fields(lambda: self.issue(actor, expires_at=far)), {"expires_at"})
        self.assertEqual(
            wrong_fields(lambda: services.rotate_key(key=key, overlap=DAY, expires_at=far, actor=actor, at=NOW)),
            {"expires_at"},
        )
        after = NOW + 2 * DAY
        self.assertEqual(
            wrong_fields(lambda: services.rotate_key(key=key, overlap=DAY, actor=actor, at=after)), {"expires_at"}
        )


class KeysThatManageKeysTests(TestCase):
    """A key that leaked must not leave others behind that outlive it."""

    @classmethod
    def setUpTestData(cls):
        cls.ann = make_person("ann", "Key manager", "Operator")
        cls.giver, _ = make_key(
            "giver",
            "agent:get",
            "apikey:manage",
            owner=cls.ann,
            expires_at=NOW + 10 * DAY,
            addresses=("192.0.2.0/24",),
        )
        ApiKey.objects.filter(pk=cls.giver.pk).update(all_sources=False, sources=["Tokyo", "Osaka"])
        cls.actor = checking.live_key(cls.giver.pk).actor

    def issue(self, **overrides):
        values = {
            "owner": self.ann,
            "expires_at": NOW + 9 * DAY,
            "addresses": ("192.0.2.128/25",),
            "all_sources": False,
            "sources": frozenset({"Tokyo"}),
        }
        self.enterContext(pytest.MonkeyPatch.context()).setattr(
            "apikeys.scopes._source_names", [lambda: ["Tokyo", "Osaka", "Kyoto"]]
        )
        return services.issue_key(terms=terms(**(values | overrides)), actor=self.actor, at=NOW)

    def test_it_makes_keys_that_may_do_less(self):
        key, _ = self.issue()

        self.assertEqual(key.created_by_label, "giver")

    def test_it_makes_none_that_may_do_more(self):
        for overrides, field in [
            ({"scopes": frozenset({"agent:disconnect"})}, "scopes"),
            ({"owner": make_person("olga", "Operator")}, "owner"),
            ({"expires_at": NOW + 11 * DAY}, "expires_at"),
            ({"all_sources": True, "sources": frozenset()}, "sources"),
            ({"sources": frozenset({"Kyoto"})}, "sources"),
            ({"addresses": ()}, "addresses"),
            ({"addresses": ("192.0.0.0/16",)}, "addresses"),
            ({"addresses": ("2001:db8::/32",)}, "addresses"),
        ]:
            self.assertEqual(wrong_fields(lambda overrides=overrides: self.issue(**overrides)), {field}, overrides)

    def test_it_gets_no_new_secret_of_a_mightier_key(self):
        mighty, _ = make_key("mighty", "agent:get", owner=self.ann, expires_at=NOW + 99 * DAY)

        self.assertTrue(wrong_fields(lambda: services.rotate_key(key=mighty, overlap=DAY, actor=self.actor, at=NOW)))


class ConstraintTests(TestCase):
    def test_the_database_keeps_one_current_secret_of_a_key(self):
        key, _ = make_key()

        with pytest.raises(IntegrityError):
            ApiKeySecret.objects.create(key=key, public_part="x", digest="x", pepper_id="x", made_at=NOW)

    def test_the_database_keeps_names_of_live_keys_apart(self):
        make_key("one")
        two, _ = make_key("two")

        with pytest.raises(IntegrityError):
            ApiKey.objects.filter(pk=two.pk).update(name="one")

    def test_the_database_keeps_an_end_after_the_beginning(self):
        key, _ = make_key()

        with pytest.raises(IntegrityError):
            ApiKey.objects.filter(pk=key.pk).update(expires_at=key.created_at)


def outcome(call):
    try:
        call()
    except (OverlapUnderWay, KeyEnded, ValidationError) as refused:
        return type(refused).__name__
    return "done"


def test_of_two_who_rotate_at_once_one_wins(committed_db):
    key, _ = make_key()
    actor = command_line_actor()

    def rotate():
        services.rotate_key(key=key, overlap=DAY, actor=actor, at=datetime.now(UTC))

    done = committed_db.in_threads(*[lambda: outcome(rotate)] * 3)

    assert sorted(done) == ["OverlapUnderWay", "OverlapUnderWay", "done"]
    assert key.secrets.count() == 2


def test_of_two_who_give_one_name_at_once_one_wins(committed_db):
    def issue():
        services.issue_key(terms=terms(name="same"), actor=command_line_actor(), at=NOW)

    done = committed_db.in_threads(*[lambda: outcome(issue)] * 3)

    assert sorted(done) == ["ValidationError", "ValidationError", "done"]


def test_a_change_never_brings_a_revoked_key_back(committed_db):
    key, text = make_key("nightly")
    actor = command_line_actor()

    def revoke():
        services.revoke_key(key=key, actor=actor, at=NOW)

    def change():
        services.change_key(key=key, terms=terms(name="nightly", note="x"), actor=actor, at=NOW)

    committed_db.in_threads(lambda: outcome(revoke), lambda: outcome(change), lambda: outcome(change))

    with pytest.raises(BadKey) as refused:
        authenticate(text, address="", at=NOW)
    assert refused.value.reason == checking.Reason.REVOKED
