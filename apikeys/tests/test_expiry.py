"""Warnings before a key ends: when, to whom, and each once."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from django.core import mail
from django.test import TestCase

from apikeys import expiry, services
from apikeys.actors import command_line_actor
from apikeys.models import ApiKey
from apikeys.tests.factory import make_key
from audit.models import Event
from console.tests.factory import make_person

END = datetime(2027, 6, 1, 12, 0, tzinfo=UTC)


class ExpiryTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator", email="alice@x.example")
        cls.olga = make_person("olga", "Operator", email="olga@x.example")
        cls.key, _ = make_key("nightly", owner=cls.olga, at=END - timedelta(days=100), expires_at=END)

    def warn_before(self, **time_left: float) -> int:
        return expiry.warn(END - timedelta(**time_left))

    def warnings(self) -> list[int]:
        events = Event.objects.filter(action="apikey.expiring").order_by("sequence")
        return [event.details["days"] for event in events]

    def test_it_warns_at_30_7_and_1_days_and_each_once(self):
        for days in [40, 31, 30, 29.9, 8, 7, 6.5, 1, 0.5, 0.1, -1]:
            self.warn_before(days=days)

        self.assertEqual(self.warnings(), [30, 7, 1])
        self.assertEqual([message.to for message in mail.outbox], [["olga@x.example"]] * 3)
        self.assertEqual(mail.outbox[0].subject, "API key nightly ends 2027-06-01")
        self.assertIn(f"/api-keys/{self.key.pk}/", mail.outbox[0].body)

    def test_it_skips_warnings_whose_time_has_passed(self):
        self.warn_before(days=3)
        self.warn_before(days=2)

        self.assertEqual(self.warnings(), [7])

    def test_it_warns_anew_of_another_end(self):
        self.warn_before(days=20)
        day = END - timedelta(days=20)
        services.rotate_key(
            key=self.key,
            overlap=timedelta(0),
            expires_at=END + timedelta(days=30),
            actor=command_line_actor(),
            at=day,
        )
        self.warn_before(days=19)
        self.assertEqual(self.warnings(), [30])
        self.warn_before(days=0)

        self.assertEqual(self.warnings(), [30, 30])

    def test_administrators_are_told_of_the_consoles_keys_and_of_those_whose_owner_has_no_address(self):
        ApiKey.objects.update(owner=None)
        self.warn_before(days=20)
        make_person("bob", "Operator")
        ApiKey.objects.update(owner=make_person("ben", "Operator"))
        self.warn_before(days=5)

        self.assertEqual([message.to for message in mail.outbox], [["alice@x.example"]] * 2)

    def test_a_mail_that_could_not_be_sent_is_tried_again_without_a_second_event(self):
        with patch("apikeys.expiry.send_mail", side_effect=ConnectionRefusedError("no server")):
            self.warn_before(days=20)
        self.assertEqual(mail.outbox, [])
        self.warn_before(days=19.9)
        self.warn_before(days=19.8)

        self.assertEqual((len(mail.outbox), self.warnings()), (1, [30]))

    def test_nobody_is_warned_of_a_revoked_key(self):
        services.revoke_key(key=self.key, actor=command_line_actor(), at=END - timedelta(days=40))

        self.assertEqual((self.warn_before(days=20), mail.outbox), (0, []))
