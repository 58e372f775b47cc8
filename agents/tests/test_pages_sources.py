"""The pages of sources: how fresh each is, and what an Administrator may do."""

from datetime import timedelta
from unittest import mock

from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from agents import credentials
from agents.kinds import Finding
from agents.models import Contract, Credential, Reading, Source
from agents.tests.factory import make_session, make_source, now
from agents.tests.pages import PageCase
from agents.webconnect.models import WebConnectSource
from audit.actions import Action
from audit.models import Event
from console.tests.factory import signed_in

Purpose = Credential.Purpose
LIST, ADD = "/sources/", "/sources/add/"
FORM = {
    "name": "Osaka",
    "base_url": "http://127.0.0.1:9/api/v2/",
    "time_zone": "Asia/Tokyo",
    "contract": "",
    "requests_per_minute": "60",
    "polling_seconds": "10",
    "settle_seconds": "5",
    "confirm_seconds": "120",
    "reading": "the-reading-key",
    "disconnecting": "the-other-key",
}


class WhatIsShown(PageCase):
    def test_it_shows_each_state_in_words(self):
        soon, ago = now() + timedelta(minutes=5), now() - timedelta(hours=2)
        states = {
            "read <time": {},
            "not read yet": {"read_at": None},
            "reading for the first time": {"read_at": None, "reading_until": soon},
            "reading, last read": {"read_at": now() - timedelta(seconds=30), "reading_until": soon},
            "stale, last read": {"read_at": ago},
            "incomplete, read": {"incomplete": "Too long."},
            "unreachable since": {"unreadable_since": ago, "failure": "No route.", "reading_until": soon},
            "paused since": {"paused_at": ago, "unreadable_since": ago, "failure": "No route."},
        }
        plain = {"read_at": now(), "reading_until": None, "incomplete": "", "failure": ""}
        plain |= {"unreadable_since": None, "paused_at": None}
        for words, columns in states.items():
            Source.objects.update(**(plain | columns))
            for url in (LIST, self.source.get_absolute_url(), "/", "/sessions/"):
                with self.subTest(words, url=url):
                    self.assertContains(self.client.get(url), words)

    def test_a_short_reading_does_not_flicker(self):
        Source.objects.update(reading_until=now() + timedelta(minutes=1))

        self.assertNotContains(self.client.get(LIST), 'data-state="reading"')

    def test_a_refusal_and_a_rejected_credential_come_first(self):
        self.source.credentials.filter(purpose=Purpose.READING).update(rejected_at=now())
        self.assertContains(self.client.get(LIST), "credential rejected since")
        Contract.objects.update(blocked_until=now() + timedelta(minutes=5))
        self.assertContains(self.client.get(LIST), "refused by rate limit until")

    def test_it_says_what_to_do_about_trouble_and_shows_its_words_harmlessly(self):
        Source.objects.update(unreadable_since=now(), failure="<script>x\u202e")

        response = self.client.get(self.source.get_absolute_url())

        self.assertContains(response, "&lt;script&gt;x\\u202e The console goes on trying")
        self.assertNotContains(response, "<script>x")

    def test_it_shows_readings_sessions_and_credentials_but_no_secret(self):
        make_session(self.source)
        make_session(self.source, closing=True)
        for number in range(25):
            Reading.objects.create(
                source=self.source, begun_at=now(), ended_at=now(), outcome="complete", listed=number, note="<b>"
            )
        self.source.credentials.filter(purpose=Purpose.DISCONNECTING).update(rejected_at=now())

        response = signed_in(self.administrator).get(self.source.get_absolute_url())

        self.assertContains(response, '<tr id="reading-', count=20)
        self.assertContains(response, "rejected by the remote")
        self.assertContains(response, self.source.webconnect.base_url)
        for purpose in Purpose:
            self.assertNotContains(response, credentials.secret_of(self.source, purpose).value)
            self.assertNotContains(response, self.source.credentials.get(purpose=purpose).encrypted)

    def test_a_credential_that_is_not_there_is_said_to_be_missing(self):
        self.source.credentials.filter(purpose=Purpose.DISCONNECTING).delete()

        self.assertContains(self.client.get(self.source.get_absolute_url()), "missing")

    def test_a_viewer_sees_no_button_and_may_do_nothing(self):
        url = self.source.get_absolute_url()

        self.assertNotContains(self.client.get(url), f"{url}pause/")
        self.assertNotContains(self.client.get(LIST), ADD)
        for way in ("pause", "resume", "test", "edit"):
            self.assertEqual(self.client.post(f"{url}{way}/").status_code, 403)
        self.assertEqual(self.client.get(ADD).status_code, 403)

    def test_one_that_never_was_is_not_found(self):
        administrator = signed_in(self.administrator)

        for url in ("/sources/999999/", "/sources/999999/edit/", "/sources/zzz/", f"{ADD}?kind=zzz"):
            self.assertEqual(administrator.get(url).status_code, 404, url)
        for way in ("pause", "resume", "test"):
            self.assertEqual(administrator.post(f"/sources/999999/{way}/").status_code, 404)

    def test_the_number_of_queries_of_list_and_overview_does_not_grow(self):
        def queries(url):
            with CaptureQueriesContext(connection) as captured:
                self.client.get(url)
            return len(captured)

        make_session(self.source)
        few = [queries(url) for url in (LIST, "/", "/sessions/")]
        for _ in range(9):
            make_session(make_source())
        self.assertEqual([queries(url) for url in (LIST, "/", "/sessions/")], few)


class PausingAndTesting(PageCase):
    def setUp(self):
        self.client = signed_in(self.administrator)
        self.url = self.source.get_absolute_url()

    def post(self, way):
        return self.client.post(f"{self.url}{way}/", follow=True)

    def test_it_pauses_and_resumes(self):
        self.assertContains(self.post("pause"), "Tokyo is paused.")
        self.assertContains(self.post("pause"), "Tokyo was paused already.")
        self.assertIsNotNone(Source.objects.get().paused_at)
        self.assertContains(self.post("resume"), "Tokyo is resumed.")
        self.assertContains(self.post("resume"), "Tokyo was not paused.")
        self.assertIsNone(Source.objects.get().paused_at)

    def test_not_by_get(self):
        for way in ("pause", "resume", "test"):
            self.assertEqual(self.client.get(f"{self.url}{way}/").status_code, 405)

    def test_it_shows_what_a_test_with_each_credential_found(self):
        # Nothing listens at this source's address.
        response = self.post("test")

        self.assertContains(response, "Not everything works")
        self.assertContains(response, "The remote can&#x27;t be reached", count=2)
        self.assertContains(response, "by <bdi>ada</bdi>")

    def test_it_marks_each_finding_by_itself(self):
        findings = [Finding("reading", True, "A list came."), Finding("disconnecting", False, "Status 403.")]
        with mock.patch("agents.views.sources.sources.kind_of") as kind:
            kind.return_value.test.return_value = findings
            response = self.post("test")

        self.assertRegex(response.text, r'data-state="ok"><span class="title">Reading \(Agent: Get\)')
        self.assertRegex(response.text, r'data-state="bad"><span class="title">Disconnecting')

    def test_a_test_that_can_not_be_made_says_why(self):
        with mock.patch("agents.views.sources.sources.test_source", side_effect=ValidationError("No slot now.")):
            self.assertContains(self.post("test"), "No slot now.")


class AddingAndEditing(PageCase):
    def setUp(self):
        self.client = signed_in(self.administrator)
        self.edit = f"{self.source.get_absolute_url()}edit/"

    def kept(self, **changes):
        """The form as the page of this source offers it, with `changes`."""
        own = WebConnectSource.objects.get(source=self.source)
        unchanged = {"name": "Tokyo", "base_url": own.base_url, "time_zone": "UTC", "contract": "Tokyo"}
        return FORM | unchanged | {"requests_per_minute": "100", "reading": "", "disconnecting": ""} | changes

    def test_it_adds_a_source_with_its_keys(self):
        response = self.client.post(ADD, FORM)

        source = Source.objects.get(name="Osaka")
        self.assertRedirects(response, source.get_absolute_url())
        self.assertEqual(source.webconnect.base_url, "http://127.0.0.1:9/api/v2")
        self.assertEqual((source.contract.name, source.contract.requests_per_minute), ("Osaka", 60))
        self.assertEqual(credentials.secret_of(source, Purpose.READING).value, "the-reading-key")
        self.assertEqual(credentials.secret_of(source, Purpose.DISCONNECTING).value, "the-other-key")
        self.assertEqual(Event.objects.get(action=Action.SOURCE_ADDED).actor_label, "ada")

    def test_one_key_may_serve_as_both(self):
        self.client.post(ADD, FORM | {"disconnecting": ""})

        source = Source.objects.get(name="Osaka")
        self.assertEqual(credentials.secret_of(source, Purpose.DISCONNECTING).value, "the-reading-key")

    def test_what_can_not_be_used_is_said_beside_its_field_and_all_but_keys_is_kept(self):
        for changes, message in (
            ({"name": ""}, "This field is required."),
            ({"name": "Tokyo"}, "already exists"),
            ({"name": "a\u202eb"}, "no control or invisible characters"),
            ({"base_url": "http://remote.example"}, "Plain http would show the API key"),
            ({"base_url": "javascript:alert(1)"}, "Give a URL that begins with https://"),
            ({"time_zone": "Mars"}, "Give a time zone&#x27;s name"),
            ({"time_zone": "../../etc/passwd"}, "Give a time zone&#x27;s name"),
            ({"proxy": "socks"}, "Give the proxy as http://host:port."),
            ({"ca_bundle": "/no/such/file"}, "There is no such file"),
            ({"requests_per_minute": "-1"}, "greater than or equal to 0"),
            ({"requests_per_minute": "1e9"}, "Enter a whole number."),
            ({"polling_seconds": "0"}, "greater than or equal to 0.1"),
            ({"polling_seconds": "NaN"}, "Enter a number."),
            ({"settle_seconds": "inf"}, "Enter a number."),
            ({"confirm_seconds": "99999"}, "less than or equal to 3600"),
            ({"contract": "x" * 61}, "at most 60 characters"),
            ({"reading": ""}, "This field is required."),
            ({"reading": "two words"}, "copy it again"),
            ({"disconnecting": "x" * 5000}, "more than 4096 characters"),
        ):
            with self.subTest(changes):
                response = self.client.post(ADD, FORM | {"proxy": "http://kept.example:3128"} | changes)

                self.assertContains(response, message, status_code=422)
                self.assertContains(response, changes.get("proxy", "kept.example:3128"), status_code=422)
                self.assertNotContains(response, "the-reading-key", status_code=422)
                self.assertNotContains(response, "the-other-key", status_code=422)
        self.assertEqual(Source.objects.count(), 1)

    def test_what_the_service_refuses_is_said_beside_its_field(self):
        own = WebConnectSource.objects.get(source=self.source)
        same = {"base_url": own.base_url, "reading": credentials.secret_of(self.source, Purpose.READING).value}

        response = self.client.post(ADD, FORM | same)

        self.assertContains(response, "Tokyo uses the same base URL and key", status_code=422)
        self.assertFalse(Source.objects.filter(name="Osaka").exists())

    def test_editing_keeps_the_keys_that_are_not_typed(self):
        response = self.client.post(self.edit, self.kept(name="Tokyo East", disconnecting="brand-new"))

        self.assertRedirects(response, self.source.get_absolute_url())
        source = Source.objects.get()
        self.assertEqual(source.name, "Tokyo East")
        self.assertEqual(credentials.secret_of(source, Purpose.READING).value, "key-of-Tokyo-for-reading")
        self.assertEqual(credentials.secret_of(source, Purpose.DISCONNECTING).value, "brand-new")

    def test_the_form_shows_what_is_kept_and_never_a_key(self):
        response = self.client.get(self.edit)

        self.assertContains(response, 'value="http://127.0.0.1:9/api/v2"')
        self.assertContains(response, "the one that is kept stays")
        self.assertContains(response, 'autocomplete="off"')
        self.assertNotContains(response, "key-of-Tokyo")

    def test_a_failed_edit_keeps_the_name_of_the_page(self):
        response = self.client.post(self.edit, self.kept(name="x" * 61))

        self.assertContains(response, "<h1>Edit Tokyo</h1>", status_code=422)

    def test_it_opens_only_to_somebody_who_gave_their_password_lately(self):
        client = signed_in(self.administrator, confirmed=False)

        for url in (ADD, self.edit):
            self.assertRedirects(
                client.get(url), f"/accounts/reauthenticate/?next={url}", fetch_redirect_response=False
            )

    def test_a_form_that_was_open_for_long_saves_nothing_and_puts_no_key_into_the_session(self):
        client = signed_in(self.administrator, confirmed=False)

        response = client.post(ADD, FORM)

        self.assertContains(response, "Confirm it in another tab", status_code=422)
        self.assertContains(response, 'value="Osaka"', status_code=422)
        self.assertNotIn("the-reading-key", str(dict(client.session)))
        self.assertFalse(Source.objects.filter(name="Osaka").exists())
