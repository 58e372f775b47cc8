"""The list of agent sessions: who sees it, what it shows, and what its buttons offer."""

from datetime import timedelta

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.models import AgentSession, Source
from agents.states import State
from agents.tests.factory import make_operation, make_session, make_source, now
from agents.tests.pages import SESSIONS, PageCase, listed
from console.tests.factory import make_person, signed_in


class WhoMaySeeSessions(PageCase):
    def test_it_asks_a_stranger_to_sign_in(self):
        session = make_session(self.source)

        for url in (SESSIONS, f"{SESSIONS}export.csv", session.get_absolute_url(), "/operations/", "/sources/", "/"):
            self.assertRedirects(Client().get(url), f"/accounts/login/?next={url}", fetch_redirect_response=False)

    def test_it_refuses_a_person_without_a_role(self):
        nobody = signed_in(make_person("nora"))

        for url in (SESSIONS, "/operations/", "/sources/", "/"):
            response = nobody.get(url)

            self.assertContains(response, "see agent sessions", status_code=403)

    def test_it_disables_the_button_for_a_viewer_and_says_why(self):
        make_session(self.source)

        response = self.client.get(SESSIONS)

        self.assertContains(response, "none of your roles opens that")
        self.assertNotContains(response, "data-dialog")

    def test_it_offers_the_button_to_an_operator(self):
        session = make_session(self.source)

        response = signed_in(self.operator).get(SESSIONS)

        self.assertContains(response, reverse("agents:disconnect", args=[session.pk]))


class TheList(PageCase):
    def test_it_says_what_to_do_where_there_is_no_source(self):
        # The one of the cast goes without its history.
        self.source.credentials.all().delete()
        self.source.webconnect.delete()
        self.source.delete()

        self.assertContains(self.client.get(SESSIONS), "No source yet")

    def test_it_waits_for_the_first_reading(self):
        Source.objects.update(read_at=None)

        self.assertContains(self.client.get(SESSIONS), "Waiting for the first reading")

    def test_it_says_that_no_agent_is_connected(self):
        self.assertContains(self.client.get(SESSIONS), "No agent is connected")

    def test_it_shows_live_sessions_by_agent_id(self):
        second, first = make_session(self.source, "b"), make_session(self.source, "a")
        make_session(self.source, "c", ended_at=now(), ended_by="itself")

        self.assertEqual(listed(self.client.get(SESSIONS)), [first.pk, second.pk])

    def test_it_sorts_by_every_column_both_ways_and_by_nothing_else(self):
        other = make_source("Osaka")
        made = [
            make_session(
                [self.source, other][number % 2],
                f"agent-{number * 7 % 5}",
                version=["1.10.0", "1.9.0", "", "2.0.0"][number % 4],
                direction=["send", "receive"][number % 2],
                closing=number % 3 == 0,
            )
            for number in range(8)
        ]
        keys = {
            "agent": lambda s: s.agent_id,
            "direction": lambda s: s.direction,
            "connection": lambda s: s.connections,
            "endpoint": lambda s: s.endpoint,
            "since": lambda s: s.started_at,
            "state": lambda s: s.closing,
            "source": lambda s: s.source.name,
        }
        for column, key in keys.items():
            for sign, reverse_ in (("", False), ("-", True)):
                found = listed(self.client.get(SESSIONS, {"sort": sign + column}))
                by_pk = {each.pk: each for each in made}

                values = [key(by_pk[pk]) for pk in found]
                self.assertEqual(values, sorted(values, reverse=reverse_), column)
        numbers = [by_pk[pk].version for pk in listed(self.client.get(SESSIONS, {"sort": "-version"}))]
        self.assertEqual(numbers, ["2.0.0"] * 2 + ["1.10.0"] * 2 + ["1.9.0"] * 2 + [""] * 2)
        self.assertContains(self.client.get(SESSIONS, {"sort": "received"}), "no column “received” to sort by")

    def test_it_pages_with_a_bound(self):
        made = [make_session(self.source, f"agent-{number:03}").pk for number in range(60)]

        self.assertEqual(listed(self.client.get(SESSIONS)), made[:50])
        self.assertEqual(listed(self.client.get(SESSIONS, {"page": 2})), made[50:])
        self.assertEqual(listed(self.client.get(SESSIONS, {"page": 999})), made[50:])
        self.assertEqual(listed(self.client.get(SESSIONS, {"size": 100})), made)
        self.assertContains(self.client.get(SESSIONS, {"size": 1_000_000}), "A page has 50, 100, 200 rows")

    def test_its_number_of_queries_does_not_grow_with_its_rows(self):
        operator = signed_in(self.operator)

        def queries():
            with CaptureQueriesContext(
                connection,
            ) as captured:
                response = operator.get(SESSIONS)
            return len(captured), len(listed(response))

        self._make_sessions_in_every_state(3)
        few, rows = queries()
        self.assertEqual(rows, 3)
        self._make_sessions_in_every_state(27)
        self.assertEqual(queries(), (few, 30))
        self.assertLessEqual(few, 14)

    def _make_sessions_in_every_state(self, count):
        for number in range(count):
            session = make_session(self.source, closing=number % 3 == 1, closing_since=now())
            if number % 3 == 0:
                make_operation(session, state=State.ACCEPTED)
            if number % 3 == 1:
                make_operation(session, state=State.STILL_CONNECTED)

    def test_it_does_not_load_what_it_does_not_show(self):
        make_session(self.source)

        with CaptureQueriesContext(connection) as captured:
            self.client.get(SESSIONS)

        self.assertFalse([query["sql"] for query in captured if '"received"' in query["sql"]])

    def test_text_of_a_remote_is_shown_harmlessly(self):
        make_session(
            self.source,
            "<script>alert(1)</script>",
            endpoint="a\u202eb",
            connection_ids=["x\u0007y"],
            direction='"><img src=x>',
            version="<b>",
        )

        for url in (SESSIONS, AgentSession.objects.get().get_absolute_url()):
            response = self.client.get(url)

            self.assertNotContains(response, "<script>alert")
            self.assertNotContains(response, "<img src=x>")
            self.assertNotContains(response, "\u202e")
            self.assertNotContains(response, "\u0007")
            self.assertContains(response, "a\\u202eb")
            self.assertContains(response, "&lt;script&gt;alert(1)&lt;/script&gt;")

    def test_ended_sessions_are_history_the_latest_first_without_a_button(self):
        make_session(self.source, "live")
        earlier = make_session(self.source, "b", ended_at=now() - timedelta(hours=1), ended_by="us")
        later = make_session(self.source, "c", ended_at=now(), ended_by="itself")

        response = signed_in(self.operator).get(SESSIONS, {"state": "ended"})

        self.assertEqual(listed(response), [later.pk, earlier.pk])
        self.assertContains(response, "disconnected by the console")
        self.assertNotContains(response, "aria-sort")
        self.assertNotContains(response, f"disconnect-{later.pk}")

    def test_a_session_without_a_start_shows_what_was_received(self):
        make_session(self.source, started_at=None, started_text="yesterday")

        self.assertContains(self.client.get(SESSIONS), "yesterday")


class TheButton(PageCase):
    def setUp(self):
        self.client = signed_in(self.operator)

    def test_it_names_what_is_under_way_and_links_it(self):
        operation = make_operation(make_session(self.source), state=State.SENDING)

        response = self.client.get(SESSIONS)

        self.assertContains(response, "already being disconnected by alice")
        self.assertContains(response, operation.get_absolute_url())

    def test_it_says_why_the_state_of_agent_or_source_does_not_allow_it(self):
        soon = now() + timedelta(minutes=5)
        reasons = {
            "below version 1.2.0": {"version": "1.1.9"},
            "supportingDisconnectApi is false": {"supports_disconnection": False},
            "will be closed already": {"closing": True, "closing_since": now()},
        }
        for words, columns in reasons.items():
            AgentSession.objects.all().delete()
            make_session(self.source, **columns)
            self.assertContains(self.client.get(SESSIONS), words)
        AgentSession.objects.all().delete()
        make_session(self.source)
        self.source.contract.__class__.objects.update(blocked_until=soon)
        self.assertContains(self.client.get(SESSIONS), f"refuses every request until {soon:%H:%M} UTC")
        Source.objects.update(paused_at=now())
        self.assertContains(self.client.get(SESSIONS), "The source Tokyo is paused.")

    def test_it_reads_send_again_for_a_leftover_entry(self):
        long_closing = make_session(self.source, "a", closing=True, closing_since=now() - timedelta(minutes=5))
        still_there = make_session(self.source, "b", closing=True, closing_since=now())
        make_operation(still_there, state=State.STILL_CONNECTED)

        response = self.client.get(SESSIONS)

        self.assertContains(response, ">Send again<", count=2)
        self.assertContains(response, f'id="disconnect-{long_closing.pk}" href=')

    def test_a_stale_list_does_not_disable_it(self):
        make_session(self.source)
        Source.objects.update(read_at=now() - timedelta(hours=1))

        response = self.client.get(SESSIONS)

        self.assertContains(response, "stale, last read")
        self.assertContains(response, "data-dialog")
