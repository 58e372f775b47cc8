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

from console import bundled_redis
from console.supervision.output import Output
from console.supervision.parts import parts
from console.supervision.run_file import AlreadyRunning, RunFile, end_all
from console.supervision.supervisor import Supervisor, Waits


class Command(BaseCommand):
    help = "Start everything on this machine: database, Redis, web, worker, beat. Ctrl-C ends it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=settings.CONSOLE_PORT, help="of 127.0.0.1 (default %(default)s)"
        )
        parser.add_argument("--no-demo", action="store_true", help="start no stand-in and make no demo source")

    def handle(self, *, port: int, no_demo: bool, **options: Any) -> None:
        output = Output()

        def say(text: str) -> None:
            output.line("up", text)

        run_file = _only_one_here()
        _end_leftovers(run_file, say)
        _port_is_free(port)
        _database_answers()
        url = settings.CONSOLE_URL if os.environ.get("CONSOLE_URL") else f"http://127.0.0.1:{port}"
        settings.CONSOLE_URL = url  # The one-time link is made in this process.
        call_command("migrate", interactive=False, verbosity=0)
        call_command("createcachetable", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        bundled_redis.prepare(settings.CONSOLE_DATA_DIR)
        connection.close()
        Supervisor(
            parts(port=port, url=url, demo=not no_demo),
            output,
            waits=_waits(),
            note_running=run_file.note,
            all_ready=lambda: say(f"Agent Console runs at {url}/ (Ctrl-C ends it)."),
        ).run()
        run_file.close()
        say("Everything has ended.")


def _only_one_here() -> RunFile:
    folder = settings.CONSOLE_DATA_DIR
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    try:
        return RunFile(folder)
    except AlreadyRunning as other:
        raise CommandError(f"The console already runs on {folder} (pid {other.pid}). End that one first.") from None


def _end_leftovers(run_file: RunFile, say: Callable[[str], None]) -> None:
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
        except OSError as error:
            raise CommandError(
                f"Port {port} of 127.0.0.1 can't be used ({error.strerror}). Choose another: make up PORT={port + 1}"
            ) from None


def _database_answers() -> None:
    try:
        connection.ensure_connection()
    except OperationalError as error:
        raise CommandError(f"The database can't be reached: {str(error).strip()}") from None


def _waits() -> Waits:
    silence = settings.CONSOLE_HEARTBEAT_SILENCE.total_seconds()
    return Waits(
        stop=settings.CONSOLE_STOP_WITHIN.total_seconds(),
        silence=silence,
        grace=silence,
        look_every=settings.CONSOLE_HEARTBEAT.total_seconds(),
    )
