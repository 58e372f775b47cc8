"""The first page: where everything stands, and what needs somebody's attention."""

from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from agents.models import Contract, Disconnection, Source
from agents.states import State
from agents.tests.factory import make_disconnection, make_operation, make_session, make_source
from agents.tests.pages import LOOK, PageCase
from console import heartbeats
from console.models import Heartbeat


class TheOverview(PageCase):
    def setUp(self):
        super().setUp()
        heartbeats.write(heartbeats.worker("celery@here"))

    def test_it_counts_sessions_by_source(self):
        other = make_source("Osaka")
        for source, closing in ((self.source, False), (self.source, True), (other, False)):
            make_session(source, closing=closing)
        make_session(other, ended_at=now(), ended_by="us")

        response = self.client.get("/")

        self.assertContains(response, "<dt>Connected</dt><dd>3</dd>")
        self.assertContains(response, "<dt>Closing</dt><dd>1</dd>")
        self.assertContains(response, f'?source={other.pk}">1</a>')

    def test_it_shows_the_disconnections_of_today_by_outcome(self):
        operation = make_operation(size=3)
        for state in (State.CONFIRMED, State.CONFIRMED, State.REFUSED):
            make_disconnection(make_session(self.source), operation, state=state)
        make_operation(make_session(self.source), state=State.FAILED, requested_at=now() - timedelta(days=1))

        response = self.client.get("/")

        self.assertContains(response, "<dt>Asked for</dt><dd>3</dd>")
        self.assertContains(response, "Disconnections today by outcome: 2 confirmed, 1 refused")
        self.assertContains(response, '<a href="/operations/?state=confirmed">2</a>')

    def test_today_begins_at_midnight_of_the_reader(self):
        # Kiritimati is 14 hours ahead of UTC, so its midnight never is that of UTC.
        self.viewer.time_zone = "Pacific/Kiritimati"
        self.viewer.save()
        ahead = now() + timedelta(hours=14)
        midnight = ahead.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(hours=14)
        make_operation(make_session(self.source), requested_at=midnight)
        make_operation(make_session(self.source), requested_at=midnight - timedelta(seconds=1))

        self.assertContains(self.client.get("/"), "<dt>Asked for</dt><dd>1</dd>")

    def test_nothing_needs_attention_where_all_is_well(self):
        make_operation(make_session(self.source), state=State.CONFIRMED)

        self.assertNotContains(self.client.get("/"), "Needs attention")

    def test_trouble_of_a_source_needs_attention(self):
        soon = now() + timedelta(minutes=5)
        for columns, words in (
            ({"paused_at": now()}, "Tokyo is paused."),
            ({"paused_at": None, "failure": "No route.", "unreadable_since": now()}, "Tokyo can&#x27;t be read."),
            ({"failure": "", "unreadable_since": None, "incomplete": "Too long."}, "can&#x27;t be read completely"),
            ({"incomplete": "", "read_at": now() - timedelta(hours=1)}, "Tokyo was not read for a while."),
        ):
            Source.objects.update(**columns)
            self.assertContains(self.client.get("/"), words)
        self.source.credentials.update(rejected_at=now())
        self.assertContains(self.client.get("/"), "Tokyo rejects the credential.")
        Contract.objects.update(blocked_until=soon)
        self.assertContains(self.client.get("/"), "Tokyo is refused by the rate limit.")

    def test_outcomes_that_leave_something_open_need_attention_for_a_day(self):
        for state in (State.STILL_CONNECTED, State.UNKNOWN, State.FAILED):
            make_operation(make_session(self.source, f"agent <{state}>"), state=state)

        response = self.client.get("/")

        self.assertContains(response, "agent &lt;still_connected&gt; is still connected.")
        self.assertContains(response, "agent &lt;unknown&gt; may still be connected")
        self.assertContains(response, "agent &lt;failed&gt; could not be disconnected.")
        Disconnection.objects.update(finished_at=now() - timedelta(days=2))
        self.assertNotContains(self.client.get("/"), "Needs attention")

    def test_one_that_was_seen_gone_later_does_not(self):
        make_operation(make_session(self.source), state=State.UNKNOWN)
        Disconnection.objects.update(seen_gone_at=now())

        self.assertNotContains(self.client.get("/"), "Needs attention")

    def test_a_worker_that_falls_silent_needs_attention_and_changes_the_page(self):
        etag = self.client.get("/")["ETag"]
        self.assertEqual(self.client.get("/", headers=LOOK | {"If-None-Match": etag}).status_code, 304)

        Heartbeat.objects.update(at=now() - timedelta(minutes=5))

        response = self.client.get("/", headers=LOOK | {"If-None-Match": etag})
        self.assertContains(response, "No worker is at work.")

    def test_an_unprotected_audit_log_needs_attention(self):
        with connection.cursor() as cursor:
            table = " ON audit_event" if connection.vendor == "postgresql" else ""
            cursor.execute(f"DROP TRIGGER audit_event_no_update{table}")

        self.assertContains(self.client.get("/"), "The audit log is unprotected.")

    def test_without_a_source_it_says_how_to_begin(self):
        self.source.credentials.all().delete()
        self.source.webconnect.delete()
        self.source.delete()

        self.assertContains(self.client.get("/"), "Let’s connect a source")

    def test_without_a_source_it_still_says_what_needs_attention(self):
        self.source.credentials.all().delete()
        self.source.webconnect.delete()
        self.source.delete()
        Heartbeat.objects.update(at=now() - timedelta(minutes=5))

        self.assertContains(self.client.get("/"), "No worker is at work.")

    def test_its_number_of_queries_does_not_grow(self):
        def queries():
            with CaptureQueriesContext(connection) as captured:
                self.client.get("/")
            return len(captured)

        make_operation(make_session(self.source), state=State.FAILED)
        few = queries()
        for state in list(State) * 2:
            make_operation(make_session(self.source), make_session(self.source), state=state)
        self.assertEqual(queries(), few)
