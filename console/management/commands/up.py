"""`manage.py up`: the whole console on this machine, in one terminal."""

import os
import socket
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from agents.clock import database_now
from apikeys.actors import command_line_actor
from console import bundled_redis
from console.people.links import AlreadySetUp, setup_link
from console.supervision.demo import make_demo_source
from console.supervision.output import Output
from console.supervision.parts import parts
from console.supervision.redis_watch import RedisWatch
from console.supervision.run_file import AlreadyRunning, RunFile, end_all
from console.supervision.static_files import collect_if_changed
from console.supervision.supervisor import Supervisor, Waits
from console.supervision.watch import Watch

Say = Callable[[str], None]


class Command(BaseCommand):
    help = "Start everything on this machine: database, Redis, web, worker, beat, bridge. Ctrl-C ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=settings.CONSOLE_PORT, help="of 127.0.0.1 (default %(default)s)"
        )
        parser.add_argument("--no-demo", action="store_true", help="start no stand-in and make no demo source")
        parser.add_argument("--no-bridge", action="store_true", help="start no FDC3 bridge")

    def handle(self, *, port: int, no_demo: bool, no_bridge: bool, **options: Any) -> None:
        output = Output()

        def say(text: str) -> None:
            output.line("up", text)

        run_file = _only_one_here()
        _end_leftovers(run_file, say)
        _port_is_free(port)
        _database_answers()
        url = settings.CONSOLE_URL if os.environ.get("CONSOLE_URL") else f"http://127.0.0.1:{port}"
        settings.CONSOLE_URL = url  # The one-time link is made in this process.
        _prepare(say)
        if not no_demo and make_demo_source():
            say("Made a demo source: its remote is a stand-in on this machine, not WebConnect.")
        Supervisor(
            parts(port=port, url=url, demo=not no_demo, bridge=not no_bridge),
            output,
            waits=_waits(),
            note_running=run_file.note,
            all_ready=lambda: _announce(url, say),
        ).run()
        run_file.close()
        say("Everything has ended.")


def _only_one_here() -> RunFile:
    folder = settings.CONSOLE_DATA_DIR
    folder.chmod(0o700)
    try:
        return RunFile(folder)
    except AlreadyRunning as other:
        raise CommandError(f"The console already runs on {folder} (pid {other.pid}). End that one first.") from None


def _end_leftovers(run_file: RunFile, say: Say) -> None:
    """All but a Redis that answers: that one is used."""
    redis_pid = bundled_redis.answering_pid(settings.CONSOLE_DATA_DIR)
    left = [identity for identity in run_file.leftovers() if identity.pid != redis_pid]
    if left:
        say(f"Ending {len(left)} processes that a killed start left running.")
        end_all(left, within=5)


def _port_is_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Port {port} of 127.0.0.1 can't be used: {getattr(error, 'strerror', None) or error}. "
                "End what uses it, or choose another: make up PORT=8001"
            ) from None


def _database_answers() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise CommandError(f"The database can't be reached: {' '.join(str(error).split())}") from None


def _prepare(say: Say) -> None:
    if not connection.introspection.table_names():
        say("Making the database ...")
    call_command("migrate", interactive=False, verbosity=0)
    collect_if_changed()
    if settings.REDIS_URL:
        RedisWatch(say).start(every=settings.CONSOLE_HEARTBEAT.total_seconds())
    else:
        _prepare_redis()
    connection.close()


def _prepare_redis() -> None:
    try:
        bundled_redis.prepare(settings.CONSOLE_DATA_DIR)
    except bundled_redis.UnsafeFolder as error:
        raise CommandError(str(error)) from None


def _announce(url: str, say: Say) -> None:
    say(f"Agent Console runs at {url}/ (Ctrl-C ends it).")
    link = _setup_link()
    if link:
        say(f"There is no Administrator yet. This link makes the first one, once: {link}")


def _setup_link() -> str | None:
    """Made anew at each start while there is no active Administrator."""
    try:
        return setup_link(actor=command_line_actor(), at=database_now())
    except AlreadySetUp:
        return None


def _waits() -> Waits:
    return Waits(
        stop=settings.CONSOLE_STOP_WITHIN.total_seconds(),
        watch=Watch(
            every=settings.CONSOLE_HEARTBEAT.total_seconds(),
            silence=settings.CONSOLE_HEARTBEAT_SILENCE.total_seconds(),
            grace=settings.CONSOLE_HEARTBEAT_GRACE.total_seconds(),
        ),
    )
