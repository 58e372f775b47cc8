"""The page of one agent session."""

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from agents.states import State
from agents.templatetags.breakable import breakable
from agents.tests.factory import make_disconnection, make_operation, make_session, make_source, now
from agents.tests.pages import PageCase
from audit.actions import Action
from audit.models import Event
from console.tests.factory import signed_in


class OneSession(PageCase):
    def test_it_shows_what_is_known(self):
        session = make_session(self.source, "the agent", started_text="2026-11-21 10:00:00.000")
        operation = make_operation(session, state=State.CONFIRMED, reason="an old certificate")
        earlier = make_session(self.source, "the agent", ended_at=now(), ended_by="itself")
        make_session(make_source("Kyoto"), "the agent", session_id="of-another-source")

        response = self.client.get(session.get_absolute_url())

        for words in (
            session.session_id,
            breakable(session.endpoint),
            "2026-11-21 10:00:00.000",
            "an old certificate",
            "by itself",
        ):
            self.assertContains(response, words)
        self.assertContains(response, operation.get_absolute_url())
        self.assertContains(response, f'id="earlier-{earlier.pk}"')
        self.assertContains(response, '<tr id="earlier-', count=1)

    def test_it_shows_events_only_to_whom_may_read_the_audit_log(self):
        session = make_session(self.source)
        self.client = signed_in(self.operator)
        self.client.post(
            f"/sessions/{session.pk}/disconnect/",
            {"reason": "upkeep", "token": "5f0c4b64-6a0f-4d54-9b7e-0e6f2a3c1d11"},
        )

        self.assertNotContains(self.client.get(session.get_absolute_url()), 'id="events-head"')
        response = signed_in(self.auditor).get(session.get_absolute_url())
        event = Event.objects.get(action=Action.DISCONNECTION_QUEUED)
        self.assertContains(response, reverse("audit:event", args=[event.sequence]))

    def test_an_ended_session_offers_no_button(self):
        session = make_session(self.source, ended_at=now(), ended_by="us")

        response = signed_in(self.operator).get(session.get_absolute_url())

        self.assertContains(response, "disconnected by the console")
        self.assertNotContains(response, f'id="disconnect-{session.pk}"')

    def test_one_that_never_was_is_not_found(self):
        for url in ("/sessions/999999/", "/sessions/999999/disconnect/", f"/sessions/{2**63}/"):
            self.assertEqual(signed_in(self.operator).get(url).status_code, 404, url)

    def test_its_number_of_queries_does_not_grow(self):
        session = make_session(self.source, "the agent")

        def queries():
            with CaptureQueriesContext(connection) as captured:
                self.client.get(session.get_absolute_url())
            return len(captured)

        make_operation(session, state=State.CANCELLED)
        few = queries()
        for _ in range(9):
            make_operation(session, state=State.CANCELLED)
            make_session(self.source, "the agent", ended_at=now(), ended_by="us")
        make_disconnection(session, state=State.ACCEPTED)
        self.assertEqual(queries(), few)
