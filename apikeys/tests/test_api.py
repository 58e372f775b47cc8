"""/api/console/v1/api-keys, as far as a key may manage keys."""

import json
from datetime import UTC, datetime, timedelta

from django.core.cache import cache
from django.test import TestCase

from apikeys import throttling
from apikeys.models import ApiKey, IdempotentRequest
from apikeys.rights import Right
from apikeys.tests.factory import bearer, make_key
from audit.models import Event
from console.tests.factory import make_person

KEYS = "/api/console/v1/api-keys"


class KeyApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.kate = make_person("kate", "Key manager")
        cls.key, cls.text = make_key("manager", Right.APIKEY_GET, Right.APIKEY_MANAGE, "agent:get", owner=cls.kate)

    def setUp(self):
        cache.clear()
        throttling._portions.clear()

    def get(self, path=""):
        return self.client.get(KEYS + path, headers=bearer(self.text))

    def post(self, path="", body=None, **headers):
        headers = bearer(self.text) | headers
        return self.client.post(KEYS + path, json.dumps(body or {}), content_type="application/json", headers=headers)

    def make(self, **overrides):
        soon = datetime.now(UTC) + timedelta(days=9)
        return self.post(body={"name": "made", "scopes": ["agent:get"], "expires_at": soon.isoformat()} | overrides)

    def assertProblem(self, response, status, code, words=""):
        self.assertEqual((response.status_code, response.json().get("code")), (status, code), response.content)
        self.assertIn(words, response.json()["message"])

    def test_it_makes_a_key_that_works_and_shows_its_secret_once(self):
        response = self.make()

        self.assertEqual(response.status_code, 201)
        secret = response.json()["secret"]
        works = self.client.get("/api/v2/agent/status", headers=bearer(secret))
        self.assertEqual(works.status_code, 200)
        read = self.client.get(response["Location"], headers=bearer(self.text))
        self.assertEqual(
            {**read.json(), "secret": secret, "last_used_at": None, "last_used_address": ""}, response.json()
        )
        self.assertNotIn(secret, read.text)
        self.assertEqual(Event.objects.filter(action="apikey.created").latest("sequence").actor_label, "manager")

    def test_an_answer_with_a_secret_is_replayed_without_it(self):
        body = {"name": "two", "scopes": ["agent:get"], "expires_at": "2027-01-01T00:00:00Z"}
        first, second = (self.post(body=body, **{"Idempotency-Key": "k2"}) for _ in range(2))
        self.assertEqual(first.status_code, 201)
        self.assertProblem(second, 409, "C409002", "API key two")
        kept = " ".join(str(value) for row in IdempotentRequest.objects.all() for value in vars(row).values())
        self.assertNotIn(first.json()["secret"], kept)

    def test_it_can_give_no_more_than_it_has(self):
        self.assertProblem(self.make(scopes=["agent:disconnect"]), 400, "C400002", "scopes")
        self.assertProblem(self.make(expires_at="2050-01-01T00:00:00Z"), 400, "C400002", "expires_at")
        self.assertProblem(self.make(scopes=[]), 400, "C400002", "scopes")
        self.assertProblem(self.make(scopes=["no:such"]), 400, "C400002", "There is no scope no:such")
        self.assertProblem(self.make(name="manager"), 400, "C400002", "name")
        self.assertProblem(self.make(addresses=["nowhere"]), 400, "C400002", "addresses")
        self.assertProblem(self.make(sources=["Atlantis"]), 400, "C400002", "sources")

    def test_it_lists_pauses_resumes_rotates_and_revokes(self):
        made = self.make().json()
        path = f"/{made['id']}"

        self.assertEqual([row["name"] for row in self.get().json()["items"]], ["manager", "made"])
        self.assertEqual(self.post(f"{path}/pause").json()["state"], "paused")
        self.assertEqual(self.post(f"{path}/resume").json()["state"], "expiring")
        rotated = self.post(f"{path}/rotate", {"overlap_seconds": 3600})
        self.assertNotEqual(rotated.json()["secret"], made["secret"])
        self.assertProblem(self.post(f"{path}/rotate", {"overlap_seconds": 0}), 409, "C409005")
        self.assertProblem(self.post(f"{path}/rotate", {"overlap_seconds": -1}), 400, "C400002")
        self.assertEqual(self.post(f"{path}/end-overlap").status_code, 200)
        self.assertEqual(self.client.get("/api/v2/agent/status", headers=bearer(made["secret"])).status_code, 401)
        self.assertEqual(self.post(f"{path}/revoke").json()["state"], "revoked")
        self.assertProblem(self.post(f"{path}/revoke"), 409, "C409004")
        self.assertNotIn("secret", self.get(path).json())

    def test_the_consoles_own_keys_are_not_there(self):
        own, _ = make_key("own", "agent:get")

        self.assertProblem(self.get(f"/{own.pk}"), 404, "C404001")
        self.assertProblem(self.post(f"/{own.pk}/revoke"), 404, "C404001")
        self.assertIsNone(ApiKey.objects.get(pk=own.pk).revoked_at)

    def test_it_names_all_scopes(self):
        names = [row["name"] for row in self.client.get("/api/console/v1/scopes", headers=bearer(self.text)).json()]

        self.assertIn("agent:disconnect", names)
