"""The bridge with the console: the server's loop in the main thread, the worker in another."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from django.conf import settings
from django.db import DatabaseError, connection

from agents.models import Source
from bridge.admission import verifier
from bridge.journal import Journal
from bridge.link import Link
from bridge.models import BridgeSource
from bridge.process import Tenure, take
from bridge.protocol.settings import HubSettings
from bridge.server.server import BridgeServer
from bridge.server.settings import BridgeSettings, from_environment
from bridge.server.tokens import signer
from bridge.worker import BridgeWorker

logger = logging.getLogger(__name__)


class TakenOver(Exception):
    """Another process runs this bridge now."""


def run(source: Source, *, port: int | None, say: Callable[[str], None]) -> None:
    """Until SIGTERM or SIGINT. Raises `RunsAlready`, `NoFreePort`, `BadSetting`, `TakenOver`."""
    bridge = BridgeSource.objects.select_related("source").get(pk=source.pk)
    journal = Journal(source)
    bounds = server_settings(bridge, port)
    server = BridgeServer(
        bounds,
        from_environment(HubSettings, os.environ),
        verify=verifier(bridge, bounds.token_age),
        own_token=signer(bounds.private_key) if bounds.private_key else None,
        on_note=journal.note,
    )
    tenure = take(source)
    try:
        asyncio.run(_serve(server, tenure, journal, say))
    except BaseException as error:
        with suppress(DatabaseError):
            tenure.end(str(error) or type(error).__name__)
        raise


async def _serve(server: BridgeServer, tenure: Tenure, journal: Journal, say: Callable[[str], None]) -> None:
    source, loop = tenure.source, asyncio.get_running_loop()
    over = asyncio.Event()
    taken_over = False

    def end_taken_over() -> None:
        nonlocal taken_over
        taken_over = True
        loop.call_soon_threadsafe(over.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    listening = await server.start()
    worker = BridgeWorker(tenure, Link(source.pk, server), journal, taken_over=end_taken_over)
    await asyncio.to_thread(tenure.begin, listening)
    worker.start()
    say(f"Bridge {source.name} listens on ws://127.0.0.1:{listening}.")
    await over.wait()
    await server.close()
    if taken_over:
        worker.stop()
        raise TakenOver(f"Another process runs the bridge {source.name} now.")
    await asyncio.to_thread(_finish, worker, tenure)


def server_settings(bridge: BridgeSource, port: int | None) -> BridgeSettings:
    """What the source says goes before the environment; there the bounds are, as of a bridge that runs alone."""
    return from_environment(
        BridgeSettings,
        os.environ,
        first_port=port or bridge.first_port,
        last_port=port or bridge.last_port,
        allowed_origins=frozenset(bridge.allowed_origins.split()),
    )


def _finish(worker: BridgeWorker, tenure: Tenure) -> None:
    try:
        worker.finish("asked to end")
    except DatabaseError as error:
        logger.warning("The database does not answer, so the end of the bridge is not on record: %s", error)


def wait_for_database(say: Callable[[str], None]) -> None:
    """A bridge needs it once, for its settings; nothing is gained by giving up."""
    said = False
    while True:
        try:
            connection.ensure_connection()
            return
        except DatabaseError as error:
            if not said:
                say(f"The database does not answer; waiting for it. {' '.join(str(error).split())}")
                said = True
            time.sleep(settings.CONSOLE_BRIDGE_HEARTBEAT.total_seconds())
