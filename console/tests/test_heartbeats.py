from unittest import mock

from celery.worker import state
from django.test import SimpleTestCase, TestCase, override_settings

from console import broker, heartbeats, worker_pulse
from console.supervision.redis_watch import RedisWatch


class WorkerPulseTests(TestCase):
    def test_the_task_goes_over_the_queue_of_this_worker(self) -> None:
        with mock.patch("console.tasks.worker_alive.apply_async") as sent:
            worker_pulse.send("one@host", threads=2)

        self.assertEqual(sent.call_args.kwargs["queue"].name, "one@host.dq2")
        self.assertIsNone(heartbeats.last("worker one@host"))

    def test_a_worker_whose_threads_are_all_at_work_is_not_silent(self) -> None:
        with (
            mock.patch.object(state, "active_requests", {1, 2}),
            mock.patch("console.tasks.worker_alive.apply_async") as sent,
        ):
            worker_pulse.send("one@host", threads=2)

        sent.assert_not_called()
        self.assertIsNotNone(heartbeats.last("worker one@host"))


@override_settings(CELERY_BROKER_URL="redis://:hunter2@127.0.0.1:1/0")
class RedisAwayTests(SimpleTestCase):
    def test_it_is_said_once_when_it_goes_and_once_when_it_is_back(self) -> None:
        said: list[str] = []
        watch = RedisWatch(said.append)

        watch.look()
        watch.look()
        with mock.patch("console.broker.trouble", return_value=None):
            watch.look()
            watch.look()

        self.assertEqual(len(said), 2)
        self.assertTrue(said[0].startswith("Redis at 127.0.0.1:1 (REDIS_URL) does not answer: Error 111"))
        self.assertEqual(said[1], "Redis at 127.0.0.1:1 answers again.")
        self.assertNotIn("hunter2", "".join(said))

    def test_a_socket_is_shown_by_its_path(self) -> None:
        with override_settings(CELERY_BROKER_URL="redis+socket:///run/a%20b/redis.sock?virtual_host=0"):
            self.assertEqual(broker.place(), "/run/a%20b/redis.sock")
