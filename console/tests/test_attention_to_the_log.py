"""What the overview says of sinks and of what awaits review, and to whom."""

from django.test import TestCase
from django.utils import timezone

from agents.tests.factory import make_source
from audit.actions import Action
from audit.actors import Actor
from audit.streams.models import Sink
from audit.tests.make import commit_events
from console.tests.factory import make_person, signed_in


class OverviewTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.auditor = make_person("audra", "Auditor")
        cls.viewer = make_person("vera", "Viewer")
        make_source("Tokyo")  # Without one the overview only says how to begin.

    def overview(self, person):
        return signed_in(person).get("/").content.decode()

    def test_a_sink_that_takes_nothing_is_told_to_those_who_read_the_log(self):
        now = timezone.now()
        Sink.objects.create(
            name="SIEM", kind="file", address="a.jsonl", created_at=now, failing_since=now, last_error="disk is full"
        )

        page = self.overview(self.auditor)
        self.assertIn("The sink SIEM takes no events.", page)
        self.assertIn("Disk is full. Nothing is lost", page)
        self.assertNotIn("SIEM", self.overview(self.viewer))

        Sink.objects.update(paused_at=now)
        self.assertNotIn("SIEM", self.overview(self.auditor))

    def test_forced_disconnections_that_await_review_are_counted(self):
        bob = Actor("person", "4711", "bob")
        self.assertNotIn("await", self.overview(self.auditor))
        commit_events(1, action=Action.OPERATION_REQUESTED, actor=bob)
        self.assertIn("1 forced disconnection awaits review.", self.overview(self.auditor))
        commit_events(120, action=Action.OPERATION_REQUESTED, actor=bob)

        self.assertIn("100 or more forced disconnections await review.", self.overview(self.auditor))
        self.assertNotIn("await", self.overview(self.viewer))
