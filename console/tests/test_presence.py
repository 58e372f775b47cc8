from datetime import timedelta
from unittest import mock

from django.db import OperationalError
from django.test import TestCase
from django.utils import timezone

from audit.models import Event
from console import heartbeats, presence
from console.models import Heartbeat


class PresenceTests(TestCase):
    def recorded(self) -> list[tuple[str, str]]:
        return list(Event.objects.order_by("sequence").values_list("action", "target_label"))

    def seen_long_ago(self, name: str, ago: timedelta) -> None:
        Heartbeat.objects.create(name=name, at=timezone.now() - ago)

    def test_a_start_and_a_stop_are_on_record(self) -> None:
        with mock.patch.object(presence.connections, "close_all"):
            presence.note_start("worker one@host")
            heartbeats.write("worker one@host")
            presence.note_stop("worker one@host")

        self.assertEqual(
            self.recorded(), [("system.started", "worker one@host"), ("system.stopped", "worker one@host")]
        )
        self.assertIsNone(heartbeats.last("worker one@host"), "a part that has stopped is not silent")

    def test_a_part_that_comes_back_after_a_silence_puts_it_on_record(self) -> None:
        self.seen_long_ago("beat", timedelta(minutes=5))

        heartbeats.write("beat")
        heartbeats.write("beat")

        self.assertEqual(self.recorded(), [("system.silent", "beat")])
        event = Event.objects.get()
        self.assertLess(event.details["from"], event.details["until"])

    def test_one_that_never_comes_back_is_put_on_record_when_it_is_forgotten(self) -> None:
        self.seen_long_ago("worker old@host", timedelta(days=2))
        heartbeats.write("worker new@host")

        heartbeats.forget_old()

        self.assertEqual(self.recorded(), [("system.lost", "worker old@host")])
        self.assertEqual(list(Heartbeat.objects.values_list("name", flat=True)), ["worker new@host"])

    def test_a_database_that_is_away_stops_no_part(self) -> None:
        with (
            mock.patch.object(presence, "record", side_effect=OperationalError("away")),
            mock.patch.object(presence.connections, "close_all"),
            self.assertLogs("console.presence", "WARNING"),
        ):
            presence.note_start("web")
