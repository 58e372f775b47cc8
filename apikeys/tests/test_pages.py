"""The pages of API keys: who sees what, what is shown once, and what each button does."""

import html
import re
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from django.test import Client, TestCase
from django.utils import timezone

from apikeys import checking, scopes
from apikeys.models import ApiKey, ApiKeyUse
from apikeys.tests.factory import make_key
from apikeys.tokens import PATTERN
from audit.models import Event
from console.tests.factory import make_person, signed_in

NOW = datetime.now(UTC)


def text_in(response) -> str:
    return re.search(PATTERN, response.content.decode())[0]


class KeyPagesTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.alice = make_person("alice", "Administrator")
        cls.kim = make_person("kim", "Key manager")
        cls.olga = make_person("olga", "Operator")
        cls.key, cls.text = make_key("nightly", "agent:get", owner=cls.olga, note="the nightly job")
        cls.own, _ = make_key("own", "agent:get")
        cls.page = f"/api-keys/{cls.key.pk}/"
        # Names from no app in particular: apikeys knows none of those that register them.
        names = patch.object(scopes, "_source_names", [lambda: ["Tokyo"]])
        cls.enterClassContext(names)

    def setUp(self):
        self.client = signed_in(self.kim)

    def form(self, **overrides):
        return {
            "name": "new key",
            "owner": str(self.olga.pk),
            "scopes": ["agent:get", "agent:disconnect"],
            "reach": "all",
            "requests_per_minute": "600",
            "expires": str(timezone.localdate() + timedelta(days=30)),
        } | overrides

    def key_now(self) -> ApiKey:
        return ApiKey.objects.get(pk=self.key.pk)

    def test_it_lists_keys_with_what_one_wants_to_know(self):
        response = self.client.get("/api-keys/")

        for words in ["nightly", "Active", "Agent: Get", "olga", "never"]:
            self.assertContains(response, words)

    def test_only_administrators_see_the_consoles_own_keys(self):
        self.assertNotContains(self.client.get("/api-keys/"), f'id="key-{self.own.pk}"')
        self.assertEqual(self.client.get(f"/api-keys/{self.own.pk}/").status_code, 404)
        alice = signed_in(self.alice)
        self.assertContains(alice.get("/api-keys/"), f'id="key-{self.own.pk}"')
        self.assertContains(alice.get(f"/api-keys/{self.own.pk}/"), "the console itself")

    def test_it_lists_any_number_with_the_same_queries(self):
        for _ in range(10):
            make_key(owner=self.olga)

        with self.assertNumQueries(5):  # session, who asks, groups, count, keys
            self.client.get("/api-keys/")

    def test_it_filters(self):
        paused, _ = make_key("resting", owner=self.olga)
        ApiKey.objects.filter(pk=paused.pk).update(paused_at=NOW)
        soon, _ = make_key("ending", owner=self.olga, expires_at=NOW + timedelta(days=20))
        idle, _ = make_key("idle", owner=self.olga, at=NOW - timedelta(days=91))
        over, _ = make_key("over", owner=self.olga, at=NOW - timedelta(days=9), expires_at=NOW - timedelta(days=1))
        gone, _ = make_key("gone", owner=self.olga)
        ApiKey.objects.filter(pk=gone.pk).update(revoked_at=NOW)

        def shown(query: str) -> set[str]:
            content = self.client.get(f"/api-keys/?{query}").content.decode()
            return set(re.findall(r"<bdi>(\w+)</bdi></a></th>", content))

        self.assertEqual(shown(""), {"nightly", "resting", "ending", "idle", "over"})
        self.assertEqual(shown("show=paused"), {"resting"})
        self.assertEqual(shown("show=expiring"), {"ending", "idle"})
        self.assertEqual(shown("show=unused"), {"idle"})
        self.assertEqual(shown("show=expired"), {"over"})
        self.assertEqual(shown("show=revoked"), {"gone"})
        self.assertEqual(shown("show=active"), {"nightly", "ending", "idle"})
        self.assertEqual(shown("q=nightly+job"), {"nightly"})
        self.assertEqual(shown("q=nothing"), set())
        self.assertContains(self.client.get("/api-keys/?show=odd"), "be filtered by “odd”", status_code=422)

    def test_it_makes_a_key_and_shows_it_once(self):
        response = self.client.post("/api-keys/add/", self.form())

        text = text_in(response)
        self.assertIn("no-store", response["Cache-Control"])
        key = checking.authenticate(text, address="192.0.2.1", at=NOW)
        self.assertEqual((key.name, key.rights), ("new key", {"agent:get", "agent:disconnect"}))
        self.assertNotContains(self.client.get(f"/api-keys/{key.pk}/"), text)
        self.assertNotIn(text, str(dict(self.client.session)))
        event = Event.objects.latest("sequence")
        self.assertEqual((event.action, event.actor_label, event.target_label), ("apikey.created", "kim", "new key"))
        self.assertNotIn(text[16:], "".join(Event.objects.values_list("data", flat=True)))

    def test_the_matrix_offers_what_this_person_may_give(self):
        content = self.client.get("/api-keys/add/").content.decode()

        for label in ["Agent: Get", "Agent: Disconnect", "Audit log: Get", "API keys: Manage"]:
            self.assertIn(f"{label}</label>", content)
        box = re.search(r'<input[^>]*value="audit:get"[^>]*>', content)[0]
        self.assertIn("disabled", box)
        self.assertIn("Only somebody who may read and export the audit log can give this.", content)
        self.assertNotIn("disabled", re.search(r'<input[^>]*value="agent:disconnect"[^>]*>', content)[0])

    def test_it_says_what_is_wrong_and_keeps_what_was_typed(self):
        today = timezone.localdate()
        for wrong, message in [
            ({"name": ""}, "This field is required."),
            ({"name": "nightly"}, "There is a key with this name already."),
            ({"scopes": []}, "Give at least one scope"),
            ({"scopes": ["audit:get"]}, "can be given only by somebody who may read and export the audit log"),
            ({"scopes": ["all:all"]}, "Select a valid choice."),
            ({"owner": "console"}, "Select a valid choice."),
            ({"owner": "99999"}, "Select a valid choice."),
            ({"reach": "some"}, "Choose the sources"),
            ({"reach": "some", "sources": ["Atlantis"]}, "Select a valid choice."),
            ({"addresses": "192.0.2.0/24\nhome"}, "“home” is no network"),
            ({"requests_per_minute": "0"}, "greater than or equal to 1"),
            ({"expires": str(today - timedelta(days=1))}, "The end lies in the past."),
            ({"expires": str(today + timedelta(days=367))}, "365 days at the most"),
            ({"expires": "soon"}, "Enter a valid date."),
        ]:
            with self.subTest(message):
                response = self.client.post("/api-keys/add/", self.form(note="kept", **wrong))
                self.assertIn(message, html.unescape(response.content.decode()))
                self.assertContains(response, "kept", status_code=422)
        self.assertEqual(ApiKey.objects.count(), 2)

    def test_it_changes_a_key(self):
        terms = self.form(name="nightly", reach="some", sources=["Tokyo"], addresses="192.0.2.7", scopes=["agent:get"])

        self.assertRedirects(self.client.post(f"{self.page}edit/", terms), self.page)

        key = checking.authenticate(self.text, address="192.0.2.7", at=NOW)
        self.assertEqual((key.may_touch("Tokyo"), key.may_touch("Osaka")), (True, False))
        self.assertEqual(self.key_now().addresses, ["192.0.2.7/32"])
        event = Event.objects.latest("sequence")
        self.assertEqual(event.action, "apikey.changed")
        self.assertEqual(event.details["changed"]["sources"], ["all", ["Tokyo"]])

    def test_the_form_of_a_key_changes_nothing_by_itself(self):
        content = self.client.get(f"{self.page}edit/").content.decode()
        self.assertIn("the nightly job", content)
        given = self.form(name="nightly", note="the nightly job", scopes=["agent:get"])
        given["expires"] = str(timezone.localdate(self.key.expires_at))

        self.client.post(f"{self.page}edit/", given)

        self.assertEqual(Event.objects.latest("sequence").action, "apikey.created")

    def test_a_scope_that_one_may_not_give_puts_the_key_out_of_hand(self):
        ApiKey.objects.filter(pk=self.key.pk).update(scopes=["agent:get", "audit:get"])
        given = self.form(name="renamed", note="the nightly job", scopes=["agent:get"])
        given["expires"] = str(timezone.localdate(self.key.expires_at))

        wider = self.client.post(f"{self.page}edit/", given | {"addresses": "192.0.2.0/24"})
        self.assertContains(wider, "Audit log: Get can be given only by", status_code=422)
        rotated = self.client.post(f"{self.page}rotate/", {"overlap": "0", "expires": given["expires"]})
        self.assertContains(rotated, "Audit log: Get can be given only by", status_code=422)
        self.assertRedirects(self.client.post(f"{self.page}edit/", given), self.page)
        self.assertEqual((self.key_now().name, self.key_now().scopes), ("renamed", ["agent:get", "audit:get"]))
        self.assertRedirects(self.client.post(f"{self.page}pause/"), self.page)

    def test_it_pauses_and_resumes(self):
        self.client.post(f"{self.page}pause/")
        self.assertContains(self.client.get(self.page), "Paused")
        with self.assertRaises(checking.BadKey):
            checking.authenticate(self.text, address="", at=NOW)
        self.client.post(f"{self.page}resume/")

        self.assertTrue(checking.authenticate(self.text, address="", at=NOW))
        actions = list(Event.objects.order_by("-sequence").values_list("action", flat=True)[:2])
        self.assertEqual(actions, ["apikey.resumed", "apikey.paused"])

    def test_it_rotates_with_an_overlap_that_can_be_ended(self):
        day = str(timezone.localdate() + timedelta(days=200))
        response = self.client.post(f"{self.page}rotate/", {"overlap": "24", "expires": day})
        text = text_in(response)
        checking.authenticate(self.text, address="198.51.100.9", at=NOW)
        self.assertTrue(checking.authenticate(text, address="", at=NOW))

        page = self.client.get(self.page)
        self.assertContains(page, "The old secret is still good")
        self.assertContains(page, "198.51.100.9")
        self.assertEqual(timezone.localdate(self.key_now().expires_at), timezone.localdate() + timedelta(days=200))
        again = self.client.post(f"{self.page}rotate/", {"overlap": "0", "expires": day}, follow=True)
        self.assertContains(again, "end that overlap first")

        self.client.post(f"{self.page}end-overlap/")
        with self.assertRaises(checking.BadKey) as refused:
            checking.authenticate(self.text, address="", at=datetime.now(UTC))
        self.assertEqual(refused.exception.reason, checking.Reason.REPLACED)
        self.assertTrue(checking.authenticate(text, address="", at=NOW))

    def test_it_revokes_for_good_when_the_name_is_typed(self):
        wrong = self.client.post(f"{self.page}revoke/", {"name": "nightl"})
        self.assertContains(wrong, "That is not the name of this key", status_code=422)

        response = self.client.post(f"{self.page}revoke/", {"name": "nightly"}, follow=True)

        self.assertContains(response, "nightly is revoked")
        self.assertNotContains(response, "Rotate</a>")
        for act in ["pause", "resume", "end-overlap"]:
            self.assertContains(self.client.post(f"{self.page}{act}/", follow=True), "which is final")
        make_key("nightly")  # the name is free again

    def test_it_shows_use_by_day_and_endpoint(self):
        today = datetime.now(UTC).date()
        for days, requests in [(0, 40), (3, 2), (40, 999)]:
            day = today - timedelta(days=days)
            ApiKeyUse.objects.create(key=self.key, day=day, endpoint="GET /api/v2/x", requests=requests, refused=1)

        response = self.client.get(self.page)

        self.assertContains(response, "Requests by day, 40 on the busiest")
        self.assertContains(response, '<td data-label="Requests" class="num">42</td>')
        self.assertContains(response, 'height="60"')
        self.assertNotContains(response, "999")

    def test_it_says_which_scopes_the_owner_has_no_right_to(self):
        ApiKey.objects.filter(pk=self.key.pk).update(scopes=["agent:get", "audit:get"])

        self.assertContains(self.client.get(self.page), "Not the owner’s right", count=1)

    def acts(self):
        return [f"{self.page}{act}/" for act in ["edit", "rotate", "revoke", "pause", "resume", "end-overlap"]]

    def test_an_auditor_sees_but_changes_nothing(self):
        auditor = signed_in(make_person("ann", "Auditor"))

        self.assertContains(auditor.get("/api-keys/"), "nightly")
        self.assertNotContains(auditor.get(self.page), "Revoke")
        for path in ["/api-keys/add/", *self.acts()]:
            self.assertEqual(auditor.post(path).status_code, 403, path)

    def test_others_see_nothing(self):
        for browser, status in [(signed_in(self.olga), 403), (Client(), 302)]:
            for path in ["/api-keys/", self.page, "/api-keys/add/"]:
                self.assertEqual(browser.get(path).status_code, status, path)
            for path in ["/api-keys/add/", *self.acts()]:
                self.assertEqual(browser.post(path).status_code, status, path)

    def test_sensitive_acts_ask_for_the_password_first(self):
        kim = signed_in(self.kim, confirmed=False)
        for path in ["/api-keys/add/", *(path for path in self.acts() if not path.endswith(("pause/", "overlap/")))]:
            response = kim.post(path, self.form(overlap="0"))
            self.assertIn("/accounts/reauthenticate/", response["Location"], path)
        self.assertEqual(kim.post(f"{self.page}pause/")["Location"], self.page)
