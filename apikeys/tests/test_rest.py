"""Keys at the door of REST views: 401, 403, 405 and 429, and what is on record of each."""

import json
import logging
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from django.core.cache import cache
from django.test import TestCase, override_settings
from rest_framework.test import APIClient

from apikeys import refusals, services, throttling, use
from apikeys.actors import command_line_actor
from apikeys.models import ApiKey, ApiKeyUse
from apikeys.tasks import look_after_keys
from apikeys.tests.factory import bearer, make_key
from apikeys.tokens import new_token
from audit.models import Event
from console.tests.factory import make_person

NOW = datetime.now(UTC)
NOT_ALLOWED = ("apikey.not_allowed", "nightly", "API key")


@override_settings(ROOT_URLCONF="apikeys.tests.site")
class RestTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Operator")
        cls.key, cls.text = make_key("nightly", "agent:get", owner=cls.alice)

    def setUp(self):
        cache.clear()
        throttling._portions.clear()
        use._requests.clear()
        use._refused.clear()
        self.client = APIClient()
        self.before = Event.objects.count()
        # No window of counting may end in the middle of a test.
        for fixed in [patch.object(refusals, "WINDOW", 10**10), patch("django.utils.timezone.now", lambda: NOW)]:
            fixed.start()
            self.addCleanup(fixed.stop)

    def get(self, text: str, path: str = "/thing/x/", **headers: str):
        return self.client.get(path, headers={**bearer(text), **headers})

    def events(self) -> list[Event]:
        return list(Event.objects.order_by("sequence")[self.before :])

    def test_it_lets_a_key_in_as_the_actor_of_the_request(self):
        response = self.get(self.text)

        self.assertEqual((response.status_code, response.json()), (200, {"actor": "nightly"}))

    def test_the_scheme_is_read_in_any_case(self):
        self.assertEqual(self.get("", Authorization=f"bearer  {self.text} ").status_code, 200)

    def test_without_a_key_it_says_how_to_send_one(self):
        for headers in [{}, {"Authorization": "Basic YTpi"}]:
            response = self.client.get("/thing/x/", headers=headers)
            self.assertEqual(response.status_code, 401)
            self.assertEqual(response["WWW-Authenticate"], 'Bearer realm="Agent Console"')
        self.assertEqual(self.events(), [])

    def test_all_bad_keys_look_alike_from_outside_and_the_audit_knows_which(self):
        actor = command_line_actor()
        expired, at = make_key("expired", at=NOW - timedelta(days=300), expires_at=NOW - timedelta(days=1))[1], NOW
        paused, revoked = make_key("paused"), make_key("revoked")
        services.pause_key(key=paused[0], actor=actor, at=at)
        services.revoke_key(key=revoked[0], actor=actor, at=at)
        elsewhere = make_key("elsewhere", addresses=("192.0.2.0/24",))[1]
        unknown = new_token().text
        self.before = Event.objects.count()

        answers = [self.get(t) for t in ["nonsense", unknown, expired, paused[1], revoked[1], elsewhere]]

        self.assertEqual(len({(answer["WWW-Authenticate"], answer.content) for answer in answers}), 1)
        self.assertEqual({answer.status_code for answer in answers}, {401})
        self.assertIn('error="invalid_token"', answers[0]["WWW-Authenticate"])
        events = self.events()
        facts = {(event.action, event.actor_label, event.address) for event in events}
        self.assertEqual(facts, {("apikey.refused", "anonymous", "127.0.0.1")})
        self.assertEqual(
            [(event.target_label, json.loads(event.data)["reason"]) for event in events],
            [
                ("no known key", "not of the form of an API key"),
                (f"ac_{unknown[3:15]}_…", "unknown"),
                ("expired", "expired"),
                ("paused", "paused"),
                ("revoked", "revoked"),
                ("elsewhere", "not allowed from this address"),
            ],
        )

    def test_a_key_without_the_scope_gets_a_403_that_names_it_and_is_on_record(self):
        response = self.client.post("/thing/x/", headers=bearer(self.text))

        self.assertContains(response, "lacks the scope agent:disconnect (Agent: Disconnect)", status_code=403)
        [event] = self.events()
        self.assertEqual((event.action, event.actor_label, event.actor_kind), NOT_ALLOWED)
        self.assertEqual(event.authentication, "API key")
        self.assertEqual(json.loads(event.data)["endpoint"], "POST /thing/<str:name>/")

    def test_a_key_is_told_when_its_owner_lost_the_right(self):
        self.alice.groups.clear()

        response = self.get(self.text)

        self.assertContains(response, "owner of this API key no longer has the right", status_code=403)
        self.assertEqual(json.loads(self.events()[0].data)["reason"], "the owner lost the right")

    def test_a_view_without_a_scope_is_refused_to_every_key(self):
        _, text = make_key("all", *(scope for scope in ["agent:get", "agent:disconnect", "audit:get"]))

        logging.disable(logging.CRITICAL)
        self.addCleanup(logging.disable, logging.NOTSET)
        self.assertEqual(self.get(text, "/undeclared/").status_code, 403)

    def test_a_method_that_is_not_there_is_a_405(self):
        self.assertEqual(self.client.delete("/thing/x/", headers=bearer(self.text)).status_code, 405)
        self.assertEqual(self.client.delete("/thing/x/").status_code, 401)

    def test_head_and_options_need_what_the_view_needs(self):
        _, stranger = make_key("stranger", "audit:get")

        for method in [self.client.head, self.client.options]:
            self.assertEqual(method("/thing/x/", headers=bearer(self.text)).status_code, 200)
            self.assertEqual(method("/thing/x/", headers=bearer(stranger)).status_code, 403)

    def test_too_many_bad_keys_of_an_address_have_to_wait_and_do_not_flood_the_log(self):
        for _ in range(refusals.MOST_OF_ADDRESS):
            self.assertEqual(self.get("nonsense").status_code, 401)
        answers = [self.get("nonsense") for _ in range(3)]

        self.assertEqual({answer.status_code for answer in answers}, {429})
        self.assertTrue(0 < int(answers[0]["Retry-After"]) <= refusals.WINDOW)
        actions = [event.action for event in self.events()]
        self.assertEqual(actions, ["apikey.refused"] * refusals.MOST_OF_ADDRESS + ["apikey.throttled"])
        self.assertEqual(self.get(self.text).status_code, 200)
        self.assertEqual(self.client.get("/thing/x/", REMOTE_ADDR="192.0.2.9", headers=bearer("no")).status_code, 401)

    def test_addresses_of_one_ipv6_network_count_together(self):
        with patch.object(refusals, "MOST_OF_ADDRESS", 2):
            answers = [
                self.client.get("/thing/x/", REMOTE_ADDR=f"2001:db8::{n}", headers=bearer("no")).status_code
                for n in range(1, 5)
            ]

        self.assertEqual(answers, [401, 401, 429, 429])

    def test_many_addresses_do_not_flood_the_log_either(self):
        with patch.object(refusals, "MOST_OF_ALL", 3):
            for n in range(1, 10):
                self.client.get("/thing/x/", REMOTE_ADDR=f"192.0.2.{n}", headers=bearer("no"))

        self.assertEqual([e.action for e in self.events()], ["apikey.refused"] * 3 + ["apikey.throttled"])

    def test_a_key_without_the_right_does_not_flood_the_log(self):
        with patch.object(refusals, "MOST_OF_KEY", 2):
            answers = [self.client.post("/thing/x/", headers=bearer(self.text)).status_code for _ in range(5)]

        self.assertEqual((answers, len(self.events())), ([403] * 5, 2))

    def test_a_key_gets_no_more_than_its_requests_a_minute(self):
        ApiKey.objects.update(requests_per_minute=3)

        answers = [self.get(self.text) for _ in range(5)]

        self.assertEqual([answer.status_code for answer in answers], [200, 200, 200, 429, 429])
        self.assertEqual([answer["X-RateLimit-Remaining"] for answer in answers[:3]], ["2", "1", "0"])
        self.assertTrue(0 < int(answers[3]["Retry-After"]) <= 60)

    def test_it_counts_use_by_day_and_endpoint(self):
        for path in ["/thing/x/", "/thing/y/"]:
            self.get(self.text, path)
        self.client.post("/thing/x/", headers=bearer(self.text))
        use.write()
        self.get(self.text)
        use.write()

        rows = ApiKeyUse.objects.order_by("endpoint").values_list("key", "endpoint", "requests", "refused")
        self.assertEqual(
            list(rows),
            [(self.key.pk, "GET /thing/<str:name>/", 3, 0), (self.key.pk, "POST /thing/<str:name>/", 1, 1)],
        )


class KeptFiguresTests(TestCase):
    def test_figures_are_kept_for_a_year_and_a_little(self):
        key, _ = make_key()
        for days in [0, 400, 401]:
            ApiKeyUse.objects.create(key=key, day=NOW.date() - timedelta(days=days), endpoint="x")

        look_after_keys()

        self.assertEqual(ApiKeyUse.objects.count(), 2)


class ThrottlingTests(TestCase):
    def test_processes_share_the_minute(self):
        from apikeys.checking import live_key

        key, _ = make_key("busy", requests_per_minute=100)
        live, allowed = live_key(key.pk), 0
        other: dict = {}
        for turn in range(300):  # two processes, by turns
            with patch.object(throttling, "_portions", other if turn % 2 else throttling._portions):
                allowed += throttling.take(live, NOW)[0]

        self.assertEqual(allowed, 100)
        self.assertTrue(throttling.take(live, NOW + timedelta(minutes=1))[0])

    def test_most_requests_need_no_query(self):
        from apikeys.checking import live_key

        throttling._portions.clear()
        key, _ = make_key("busy", requests_per_minute=100)
        live = live_key(key.pk)

        with self.assertNumQueries(2 * 4):
            for _ in range(20):
                throttling.take(live, NOW)
