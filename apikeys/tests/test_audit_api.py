"""/api/console/v1/audit: exports and reviews by API keys."""

import json
import tempfile
from pathlib import Path

from django.core.cache import cache
from django.test import TestCase

from apikeys import throttling
from apikeys.tests.factory import bearer, make_key
from audit.actions import Action
from audit.actors import Actor
from audit.exports import making
from audit.exports.models import Export
from audit.models import Event
from audit.reviews.models import Review
from audit.tests.make import commit_events
from console.tests.factory import make_person, signed_in

EXPORTS, REVIEWS = "/api/console/v1/audit/exports", "/api/console/v1/audit/reviews"
UNREVIEWED = "/api/console/v1/audit/unreviewed"
BOB = Actor("person", "4711", "bob")


class ApiCase(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.audra = make_person("audra", "Auditor")
        cls.key, cls.text = make_key("collector", "audit:get", "audit:review", owner=cls.audra)
        cls.other, cls.other_text = make_key("other", "audit:get")

    def setUp(self):
        cache.clear()
        throttling._portions.clear()

    def get(self, path, text=None, **query):
        return self.client.get(path, query, headers=bearer(text or self.text))

    def post(self, path, body=None, text=None, **headers):
        return self.client.post(
            path, json.dumps(body or {}), "application/json", headers={**bearer(text or self.text), **headers}
        )


class ExportTests(ApiCase):
    def setUp(self):
        super().setUp()
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(self.settings(CONSOLE_AUDIT_EXPORT_DIR=folder))

    def test_an_export_is_made_followed_and_fetched(self):
        commit_events(2, actor=BOB)
        asked = self.post(EXPORTS, {"query": "actor:bob", "format": "csv"})
        self.assertEqual(asked.status_code, 202)
        self.assertEqual(asked.json()["state"], "queued")
        url = asked.headers["Location"]
        self.assertEqual(self.get(f"{url}/file").json()["code"], "C409201")

        making.make(Export.objects.get().pk)

        shown = self.get(url).json()
        self.assertEqual((shown["state"], shown["count"]), ("ready", 2))
        file = self.get(f"{url}/file")
        self.assertEqual(b"".join(file.streaming_content).count(b"bob"), 2)
        self.assertEqual(Event.objects.latest("sequence").actor_label, "collector")
        ended = self.post(f"{url}/end").json()
        self.assertEqual(ended["state"], "expired")

    def test_the_same_request_again_makes_no_second_one(self):
        first = self.post(EXPORTS, **{"Idempotency-Key": "one"})
        again = self.post(EXPORTS, **{"Idempotency-Key": "one"})

        self.assertEqual(first.json()["id"], again.json()["id"])
        self.assertEqual(Export.objects.count(), 1)

    def test_another_keys_exports_are_not_there(self):
        url = self.post(EXPORTS).headers["Location"]

        self.assertEqual(self.get(EXPORTS, self.other_text).json()["items"], [])
        for path in (url, f"{url}/file"):
            self.assertEqual(self.get(path, self.other_text).status_code, 404)
        self.assertEqual(self.post(f"{url}/end", text=self.other_text).status_code, 404)

    def test_bad_input_is_told(self):
        for body in ({"query": "colour:red"}, {"format": "exe"}, {"query": "x" * 3_000}):
            self.assertEqual(self.post(EXPORTS, body).json()["code"], "C400002", body)

    def test_a_key_without_the_scope_is_refused(self):
        _, text = make_key("viewer", "agent:get")

        self.assertEqual(self.get(EXPORTS, text).json()["code"], "C403001")
        self.assertEqual(self.post(EXPORTS, text=text).json()["code"], "C403001")


class ReviewTests(ApiCase):
    def test_what_is_unreviewed_is_listed_and_marked(self):
        commit_events(3, action=Action.PERSON_ADDED, actor=BOB)
        waiting = self.get(UNREVIEWED, show="people").json()
        numbers = [item["sequence"] for item in waiting["items"]]
        self.assertEqual(len(numbers), 3)

        marked = self.post(REVIEWS, {"events": numbers[:2], "note": "agreed"})

        self.assertEqual((marked.status_code, [each["note"] for each in marked.json()]), (201, ["agreed"] * 2))
        left = self.get(UNREVIEWED, show="people").json()["items"]
        self.assertEqual([item["sequence"] for item in left], numbers[2:])
        self.assertEqual([each["event"] for each in self.get(REVIEWS, event=numbers[0]).json()["items"]], numbers[:1])

    def test_a_key_reviews_nothing_that_its_owner_has_done(self):
        for actor in [
            Actor("person", str(self.audra.pk), "audra"),
            Actor("API key", str(self.key.pk), "collector"),
            Actor("API key", str(make_key("another of hers", "audit:get", owner=self.audra)[0].pk), "another"),
        ]:
            commit_events(1, action=Action.PERSON_ADDED, actor=actor)
            number = Event.objects.latest("sequence").sequence
            answer = self.post(REVIEWS, {"events": [number]})
            self.assertEqual((answer.status_code, answer.json()["code"]), (409, "C409202"), actor)
        self.assertFalse(Review.objects.exists())

    def test_a_person_reviews_nothing_that_their_key_has_done(self):
        commit_events(1, action=Action.PERSON_ADDED, actor=Actor("API key", str(self.key.pk), "collector"))
        number = Event.objects.latest("sequence").sequence

        answer = signed_in(self.audra).post("/audit/review/", {"item": f"event:{number}"})

        self.assertIn("somebody else must review it", answer.content.decode())

    def test_reading_is_not_reviewing(self):
        self.assertEqual(self.post(REVIEWS, {"events": [1]}, self.other_text).json()["code"], "C403001")

    def test_bad_input_is_told(self):
        for body in ({}, {"events": [0]}, {"operations": ["x"]}, {"events": [10**9]}, {"events": list(range(1, 300))}):
            self.assertEqual(self.post(REVIEWS, body).json()["code"], "C400002", body)
        self.assertEqual(self.get(UNREVIEWED, show="weather").json()["code"], "C400003")
        self.assertEqual(self.get(REVIEWS, event="x").json()["code"], "C400003")
