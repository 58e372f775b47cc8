"""The overview reminds of API keys about to end, but only those who may see keys."""

from datetime import UTC, datetime, timedelta

from django.test import TestCase

from agents.tests.factory import make_source
from apikeys.tests.factory import make_key
from console.tests.factory import make_person, signed_in


class AttentionTests(TestCase):
    def test_the_overview_shows_keys_about_to_end_to_those_who_may_see_keys(self):
        make_source("Tokyo")
        olga, kim = make_person("olga", "Operator"), make_person("kim", "Key manager")
        make_key("soon over", owner=olga, expires_at=datetime.now(UTC) + timedelta(days=3))
        make_key("of the console", expires_at=datetime.now(UTC) + timedelta(days=3))

        seen = signed_in(kim).get("/")

        self.assertContains(seen, "The API key soon over is about to end.")
        self.assertNotContains(seen, "of the console")
        self.assertNotContains(signed_in(olga).get("/"), "soon over")
        self.assertContains(signed_in(make_person("alice", "Administrator")).get("/"), "The API key of the console")
