"""Pages that follow along: what changes their token, and that nothing heavy is loaded where nothing changed."""

from datetime import timedelta

from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import Contract, Source
from agents.states import State
from agents.tests.factory import make_operation, make_session, now
from agents.tests.pages import LOOK, SESSIONS, PageCase
from audit.tests.make import commit_events
from console.tests.factory import make_person, signed_in


class FollowingAlong(PageCase):
    def setUp(self):
        super().setUp()
        self.session = make_session(self.source)
        self.operation = make_operation(self.session, state=State.CONFIRMED)
        self.pages = [
            "/",
            SESSIONS,
            self.session.get_absolute_url(),
            "/operations/",
            self.operation.get_absolute_url(),
            "/sources/",
            self.source.get_absolute_url(),
        ]

    def look(self, url=SESSIONS, etag="", client=None):
        headers = LOOK | ({"If-None-Match": etag} if etag else {})
        return (client or self.client).get(url, headers=headers)

    def etag(self, url=SESSIONS, client=None):
        return self.look(url, client=client)["ETag"]

    def assert_changes(self, change, *, url=SESSIONS):
        before = self.etag(url)
        self.assertEqual(self.look(url, before).status_code, 304)
        change()
        self.assertEqual(self.look(url, before).status_code, 200)

    def test_a_look_brings_the_changing_part_with_the_token_of_the_answer(self):
        for url in self.pages:
            with self.subTest(url):
                response = self.look(url)

                self.assertTrue(response.text.strip().startswith('<div class="live" id="live"'), response.text[:80])
                self.assertContains(response, f'data-live-etag="{response["ETag"].replace(chr(34), "&quot;")}"')
                self.assertEqual(response["Cache-Control"], "no-store")

    def test_the_page_and_a_look_have_the_same_token(self):
        for url in self.pages:
            self.assertEqual(self.client.get(url)["ETag"], self.etag(url), url)

    def test_where_nothing_changed_nothing_is_loaded(self):
        for url in self.pages:
            with self.subTest(url):
                etag = self.etag(url)

                with CaptureQueriesContext(connection) as captured:
                    response = self.look(url, etag)

                self.assertEqual((response.status_code, response.content), (304, b""))
                self.assertEqual(response["ETag"], etag)
                tables = "agents_agentsession", "agents_disconnection", "agents_operation", "agents_reading"
                heavy = [query["sql"] for query in captured if any(f'"{table}"' in query["sql"] for table in tables)]
                self.assertEqual(heavy, [])

    def test_an_event_changes_it(self):
        self.assert_changes(lambda: commit_events(1))

    def test_a_reading_changes_it(self):
        self.assert_changes(lambda: Source.objects.update(read_at=now()))

    def test_one_that_failed_again_changes_it(self):
        Source.objects.update(failures=1, failure="no route", unreadable_since=now())
        self.assert_changes(lambda: Source.objects.update(failures=2))

    def test_a_reading_of_a_paused_source_that_was_under_way_changes_it(self):
        Source.objects.update(paused_at=now())
        self.assert_changes(lambda: Source.objects.update(read_at=now()))

    def test_the_end_of_a_refusal_changes_it(self):
        Contract.objects.update(blocked_until=now() + timedelta(minutes=1))
        self.assert_changes(lambda: Contract.objects.update(blocked_until=now() - timedelta(seconds=1)))

    def test_growing_stale_changes_it_though_nothing_was_written(self):
        Source.objects.update(read_at=now() - timedelta(seconds=59))
        with self.settings(CONSOLE_STALE=timedelta(seconds=600)):
            before = self.etag()
        with self.settings(CONSOLE_STALE=timedelta(seconds=30)):
            self.assertEqual(self.look(etag=before).status_code, 200)

    def test_a_right_that_was_lost_changes_it(self):
        operator = signed_in(self.operator)
        before = self.etag(client=operator)

        self.operator.groups.set([Group.objects.get_or_create(name="Viewer")[0]])

        self.assertEqual(self.look(etag=before, client=operator).status_code, 200)

    def test_it_is_another_one_for_another_person_and_address(self):
        tokens = {
            self.etag(),
            self.etag(f"{SESSIONS}?q=x"),
            self.etag(self.session.get_absolute_url()),
            self.etag(client=signed_in(make_person("victor", "Viewer"))),
        }

        self.assertEqual(len(tokens), 4)

    def test_it_looks_each_second_while_something_is_in_motion(self):
        self.assertContains(self.look(), 'data-live-seconds="2.0"')

        moving = make_operation(self.session, state=State.ACCEPTED)

        for url in ("/", SESSIONS, self.session.get_absolute_url(), "/operations/", moving.get_absolute_url()):
            self.assertContains(self.look(url), 'data-live-seconds="1"')

    def test_a_look_does_not_use_up_the_messages_of_the_page(self):
        client = signed_in(self.operator)
        client.post(f"/operations/{self.operation.pk}/cancel/")

        self.look(self.operation.get_absolute_url(), client=client)

        self.assertContains(client.get(self.operation.get_absolute_url()), "nothing left to cancel")

    def test_it_never_extends_the_sign_in(self):
        before = Session.objects.get(pk=self.client.session.session_key).expire_date

        response = self.look()
        self.look(etag=response["ETag"])

        self.assertNotIn("console-session", response.cookies)
        self.assertEqual(Session.objects.get(pk=self.client.session.session_key).expire_date, before)

    def test_somebody_signed_out_is_told_so_in_the_way_that_live_js_knows(self):
        for url in self.pages:
            response = self.look(url, client=Client())

            self.assertEqual(response.status_code, 401)
            self.assertNotIn("HX-Redirect", response)

    def test_somebody_deactivated_is_told_the_same_whatever_token_they_send(self):
        etag = self.etag()
        type(self.viewer).objects.filter(pk=self.viewer.pk).update(is_active=False)

        self.assertEqual(self.look(etag=etag).status_code, 401)
