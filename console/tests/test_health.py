from collections.abc import Iterator
from datetime import timedelta
from unittest import mock

import pytest
from django.db import OperationalError
from django.test import TestCase
from django.utils import timezone

from audit.streams.models import Sink
from console import heartbeats
from console.models import Heartbeat
from console.tests.factory import make_person, signed_in


@pytest.fixture(autouse=True)
def broker_trouble() -> Iterator[mock.Mock]:
    """Redis is asked by the tests on real processes; here it answers, or not, as a test wants."""
    with mock.patch("console.broker.trouble", return_value=None) as trouble:
        yield trouble


class LiveTests(TestCase):
    def test_it_answers_without_the_database(self) -> None:
        with self.assertNumQueries(0):
            answer = self.client.get("/livez")

        self.assertEqual((answer.status_code, answer.content), (200, b"ok\n"))
        self.assertIn("no-cache", answer["Cache-Control"])


class ReadyTests(TestCase):
    def setUp(self) -> None:
        heartbeats.write("worker one@host")

    def wrong(self, status: int = 503) -> dict[str, str]:
        answer = self.client.get("/readyz")
        self.assertEqual(answer.status_code, status)
        return answer.json()["wrong"]

    def test_it_is_ready(self) -> None:
        self.assertEqual(self.wrong(status=200), {})

    def test_it_is_not_without_redis(self) -> None:
        with mock.patch("console.broker.trouble", return_value="Connection refused"):
            self.assertEqual(self.wrong(), {"redis": "Redis does not answer."})

    def test_it_is_not_while_no_worker_works(self) -> None:
        Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=1))
        heartbeats.write(heartbeats.BEAT)

        self.assertEqual(self.wrong(), {"worker": "No worker has shown a sign of life lately."})

    def test_it_is_not_with_migrations_waiting(self) -> None:
        with mock.patch("console.health.MigrationExecutor.migration_plan", return_value=[("one", False)]):
            self.assertEqual(self.wrong(), {"migrations": "1 migrations are not applied."})

    def test_it_is_not_without_the_guard_of_the_audit_log(self) -> None:
        with mock.patch("console.health.triggers_missing", return_value=["audit_event_no_update"]):
            self.assertEqual(self.wrong(), {"audit": "The audit log's triggers are missing."})

    def test_it_is_not_without_the_database_and_tells_no_address(self) -> None:
        refused = OperationalError("connection to db.example.org failed")
        with mock.patch("console.health.MigrationExecutor", side_effect=refused):
            self.assertEqual(self.wrong(), {"database": "The database does not answer."})


class PageTests(TestCase):
    def setUp(self) -> None:
        heartbeats.write("worker one@host")
        self.client = signed_in(make_person("vera", "Viewer"))

    def test_it_shows_each_part_with_its_name(self) -> None:
        page = self.client.get("/health/")

        self.assertContains(page, "The console can do its work.")
        self.assertContains(page, "one@host")

    def test_the_name_of_a_part_is_shown_harmlessly(self) -> None:
        Sink.objects.create(name="siem\u202epu", kind="file", address="a.jsonl", created_at=timezone.now())

        self.assertContains(self.client.get("/health/"), "Sink siem\\u202epu")

    def test_it_says_what_keeps_the_console_from_its_work(self) -> None:
        Heartbeat.objects.update(at=timezone.now() - timedelta(minutes=1))

        page = self.client.get("/health/")

        self.assertContains(page, "The console can’t do all of its work.")
        self.assertContains(page, "Nothing is read and nothing is sent until one runs.")

    def test_it_asks_strangers_to_sign_in(self) -> None:
        self.client.logout()

        self.assertEqual(self.client.get("/health/").status_code, 302)


class HeartbeatTests(TestCase):
    def test_a_row_is_written_again(self) -> None:
        heartbeats.write("worker one@host")
        first = heartbeats.last("worker one@host")

        heartbeats.write("worker one@host")

        self.assertGreater(heartbeats.last("worker one@host"), first)
        self.assertEqual(Heartbeat.objects.count(), 1)

    def test_those_of_yesterday_are_forgotten(self) -> None:
        heartbeats.write("worker one@host")
        Heartbeat.objects.create(name="worker old@host", at=timezone.now() - timedelta(days=2))

        heartbeats.forget_old()

        self.assertEqual(list(Heartbeat.objects.values_list("name", flat=True)), ["worker one@host"])
