"""The filters of the list of agent sessions, against the same question asked row by row."""

from datetime import timedelta

from agents.tests.factory import make_session, make_source, now
from agents.tests.pages import LOOK, SESSIONS, PageCase, listed


class TheFilters(PageCase):
    @classmethod
    def setUpTestData(cls):
        super().setUpTestData()
        cls.other = make_source("Osaka")
        cls.sessions = []
        for number in range(24):
            ended = number % 6 == 5
            cls.sessions.append(
                make_session(
                    [cls.source, cls.other][number % 2],
                    f"{['Alpha', 'beta', 'gamma%'][number % 3]}-{number}",
                    direction=["send", "receive"][number // 2 % 2],
                    connection_ids=[f"conn_{number % 4}", "shared"],
                    endpoint=f"relay{number % 5}.example",
                    version=["1.1.0", "1.2.0", "1.10.0", "2.0", "odd"][number % 5],
                    closing=number % 4 == 0 and not ended,
                    ended_at=now() if ended else None,
                    ended_by="us" if ended else "",
                    started_at=now().replace(microsecond=0) - timedelta(hours=number),
                )
            )

    def check(self, query, keep):
        """The page shows exactly those that `keep` says, found here one by one."""
        expected = {session.pk for session in self.sessions if keep(session)}
        self.assertTrue(expected, query)
        self.assertEqual(set(listed(self.client.get(SESSIONS, query))), expected, query)

    def test_each_narrows_as_it_says(self):
        def live(session):
            return session.ended_at is None

        self.check({"state": "connected"}, lambda s: live(s) and not s.closing)
        self.check({"state": "closing"}, lambda s: live(s) and s.closing)
        self.check({"state": "ended"}, lambda s: not live(s))
        self.check({"source": self.other.pk}, lambda s: live(s) and s.source == self.other)
        self.check({"direction": "send"}, lambda s: live(s) and s.direction == "send")
        self.check({"agent": "ALPHA"}, lambda s: live(s) and s.agent_id.startswith("Alpha"))
        self.check({"agent": "a%-"}, lambda s: live(s) and "gamma%-" in s.agent_id)
        self.check({"connection": "conn_1"}, lambda s: live(s) and "conn_1" in s.connection_ids)
        self.check({"endpoint": "relay3"}, lambda s: live(s) and s.endpoint == "relay3.example")
        for text in ("relay2", "conn_3", "beta-", self.sessions[3].session_id):
            self.check(
                {"q": text},
                lambda s, text=text: live(s) and text in f"{s.agent_id} {s.connections} {s.endpoint} {s.session_id}",
            )

    def test_versions_compare_as_versions(self):
        def live_with(*versions):
            return lambda s: s.ended_at is None and s.version in versions

        self.check({"version_is": "below", "version": "1.2.0"}, live_with("1.1.0"))
        self.check({"version_is": "from", "version": "1.2"}, live_with("1.2.0", "1.10.0", "2.0"))
        self.check({"version_is": "is", "version": "2"}, live_with("2.0"))
        self.check({"version": "1.10.0"}, live_with("1.1.0", "1.2.0"))

    def test_times_are_those_of_the_reader(self):
        self.viewer.time_zone = "Asia/Tokyo"
        self.viewer.save()
        moment = self.sessions[6].started_at  # The very moment is after, not before.
        typed = f"{moment + timedelta(hours=9):%Y-%m-%dT%H:%M:%S}"

        self.check({"since_after": typed}, lambda s: s.ended_at is None and s.started_at >= moment)
        self.check({"since_before": typed}, lambda s: s.ended_at is None and s.started_at < moment)

    def test_all_of_them_together_stay_in_the_address_of_headings_pages_and_csv(self):
        response = self.client.get(
            SESSIONS, {"q": "conn", "state": "connected", "version_is": "from", "version": "1.2.0"}
        )

        for link in ("?q=conn&amp;state=connected&amp;version_is=from&amp;version=1.2.0&amp;sort=version",):
            self.assertContains(response, link)
        self.assertContains(response, "/sessions/export.csv?q=conn&amp;state=connected")

    def test_nothing_found_says_so(self):
        self.assertContains(self.client.get(SESSIONS, {"q": "no such agent"}), "No session matches")

    def test_what_can_not_be_used_is_said_beside_its_field_and_kept(self):
        bad = {
            "version": ("abc", "“abc” is not a version such as 1.2.0."),
            "version_is": ("near", "A version is compared as below, from or is"),
            "since_after": ("yesterday", "“yesterday” is not a date and time"),
            "source": ("999999", "There is no source 999999 here."),
            "state": ("asleep", "can&#x27;t be in the state “asleep”"),
            "direction": ("sideways", "neither send nor receive"),
            "page": ("zzz", "not a number"),
            "q": ("x\0y", "Null characters are not allowed."),
            "agent": ("x" * 300, "at most 255 characters"),
        }
        for field, (value, message) in bad.items():
            with self.subTest(field):
                for headers in ({}, LOOK):
                    response = self.client.get(SESSIONS, {field: value, "endpoint": "kept.example"}, headers=headers)
                    self.assertContains(response, message)
                    self.assertEqual(listed(response), [])
                self.assertContains(
                    self.client.get(SESSIONS, {field: value, "endpoint": "kept.example"}), "kept.example"
                )

    def test_the_later_time_must_be_the_later_one(self):
        response = self.client.get(SESSIONS, {"since_after": "2026-01-02T00:00", "since_before": "2026-01-01T00:00"})

        self.assertContains(response, "This must be later than “Connected after”.")

    def test_hostile_text_in_a_filter_comes_back_escaped(self):
        response = self.client.get(SESSIONS, {"sort": "<script>", "version": '"><script>'})

        self.assertNotContains(response, "<script>&")
        self.assertNotContains(response, '"><script>')
