"""The CSV of the list of agent sessions."""

import csv
import io
import json

from agents.tests.factory import make_session
from agents.tests.pages import SESSIONS, PageCase
from audit.actions import Action
from audit.models import Event


class TheCsv(PageCase):
    def rows(self, **query):
        response = self.client.get(f"{SESSIONS}export.csv", query)
        self.assertEqual(response.status_code, 200)
        self.response = response
        text = b"".join(response.streaming_content).decode()
        assert text.startswith("\ufeff")
        return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))

    def test_it_holds_all_rows_of_the_view_and_no_others(self):
        for number in range(60):
            make_session(self.source, f"agent-{number:02}", direction=["send", "receive"][number % 2])

        rows = self.rows(direction="send", sort="-agent")

        self.assertEqual([row["Agent ID"] for row in rows], [f"agent-{number:02}" for number in range(58, -1, -2)])
        self.assertEqual(rows[0]["Source"], "Tokyo")
        self.assertRegex(self.response["Content-Disposition"], r'filename="agent-sessions-\d{4}-\d\d-\d\d-\d{4}.csv"')

    def test_it_gives_a_spreadsheet_no_formula(self):
        hostile = ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", '=HYPERLINK("http://x")']
        for text in hostile:
            make_session(self.source, text, endpoint=text, version=text, connection_ids=[text])

        for row in self.rows():
            for column in ("Agent ID", "Endpoint", "Version", "Connections"):
                self.assertTrue(row[column].startswith("'"), row)

    def test_it_makes_characters_that_hide_visible(self):
        make_session(self.source, "a\u202eb\nc")

        self.assertEqual(self.rows()[0]["Agent ID"], "a\\u202eb\\u000ac")

    def test_times_are_those_of_the_reader_and_name_their_zone(self):
        self.viewer.time_zone = "Asia/Tokyo"
        self.viewer.save()
        session = make_session(self.source)

        self.assertTrue(self.rows()[0]["Connected since"].endswith("+09:00"))
        self.assertNotEqual(self.rows()[0]["Connected since"][:16], f"{session.started_at:%Y-%m-%d %H:%M}")

    def test_it_is_on_record(self):
        make_session(self.source)

        self.rows(state="connected")

        event = Event.objects.get(action=Action.SESSIONS_EXPORTED)
        self.assertEqual(event.actor_label, "vera")
        self.assertEqual(json.loads(event.data), {"filter": {"state": "connected"}, "rows": 1})

    def test_filters_that_can_not_be_used_lead_back_to_the_page(self):
        response = self.client.get(f"{SESSIONS}export.csv?version=abc")

        self.assertRedirects(response, f"{SESSIONS}?version=abc")
