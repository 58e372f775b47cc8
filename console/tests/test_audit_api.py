"""/api/console/v1/audit/…."""

from django.core.cache import cache
from django.test import TestCase

from apikeys import throttling
from apikeys.tests.factory import bearer, make_key
from audit.models import Event

EVENTS = "/api/console/v1/audit/events"
SUMMARY = "/api/console/v1/audit/summary"


class EventApiTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.key, cls.text = make_key("auditor", "audit:get")
        for number in range(4):
            make_key(f"key {number}")

    def setUp(self):
        cache.clear()
        throttling._portions.clear()

    def get(self, path=EVENTS, **query):
        return self.client.get(path, query, headers=bearer(self.text))

    def test_it_reads_them_newest_first_page_by_page(self):
        found, url = [], f"{EVENTS}?limit=3"
        while url:
            answer = self.get(url).json()
            found += [event["sequence"] for event in answer["items"]]
            url = answer["next"]

        self.assertEqual(found, list(Event.objects.order_by("-sequence").values_list("sequence", flat=True)))

    def test_it_goes_back_to_newer_ones(self):
        first = self.get(limit=2).json()
        second = self.get(first["next"]).json()

        self.assertIsNone(first["previous"])
        self.assertEqual(self.get(second["previous"]).json()["items"], first["items"])

    def test_it_searches_by_the_line_of_the_page(self):
        newest = Event.objects.latest("sequence")
        for line, count in [
            ("action:apikey.created", 5),
            ("action:apikey.revoked", 0),
            ("action:apikey.*", 5),
            (f'target:"{newest.target_label}"', 1),
            (f'-target:"{newest.target_label}"', 4),
            (f'actor:"{newest.actor_label}"', 5),
            ("after:2020-01-01T00:00Z before:2020-01-02T00:00Z", 0),
            ("operation:1b4e28ba-2fa1-41d2-883f-0016d3cca427", 0),
            ("", 5),
        ]:
            self.assertEqual(len(self.get(q=line).json()["items"]), count, line)
            self.assertEqual(self.get(SUMMARY, q=line).json()["count"], count, line)

    def test_it_sums_up(self):
        summary = self.get(SUMMARY, q="action:apikey.created -target:auditor").json()

        self.assertEqual((summary["q"], summary["exact"]), ("action:apikey.created -target:auditor", True))
        self.assertEqual(summary["names"]["outcome"], [{"name": "created", "count": 4}])
        self.assertEqual({each["name"] for each in summary["names"]["target"]}, {f"key {n}" for n in range(4)})
        self.assertEqual(sum(bar["count"] for bar in summary["times"]), 4)

    def test_one_is_shown_with_all_that_its_hash_was_made_of(self):
        event = Event.objects.latest("sequence")

        shown = self.get(f"{EVENTS}/{event.sequence}").json()

        self.assertEqual((shown["hash"], shown["previous_hash"]), (event.hash, event.previous_hash))
        self.assertEqual((shown["data"], shown["says"]), (event.details, "API key made"))
        self.assertEqual(self.get(f"{EVENTS}/999999").json()["code"], "C404001")

    def test_each_bad_parameter_is_told(self):
        for query in [
            {"q": "action:apikey.eaten"},
            {"q": "after:yesterday"},
            {"q": 'actor:"alice'},
            {"q": "after:2020-01-02T00:00Z before:2020-01-01T00:00Z"},
            {"cursor": "made up"},
            {"limit": "0"},
        ]:
            answer = self.get(**query)
            self.assertEqual((answer.status_code, answer.json()["code"]), (400, "C400003"), query)

    def test_it_needs_the_scope_and_only_reads(self):
        _, other = make_key("other")

        self.assertEqual(self.client.get(EVENTS, headers=bearer(other)).status_code, 403)
        self.assertEqual(self.client.post(EVENTS, headers=bearer(self.text)).status_code, 405)
