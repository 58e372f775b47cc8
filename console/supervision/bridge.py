"""The bridge that `up` runs: the one of the default name, made on its first run."""

import socket
import sys
from datetime import datetime

from django.conf import settings
from django.db.models import QuerySet

from bridge.adding import DEFAULT_NAME
from bridge.models import FIRST_PORT, LAST_PORT, BridgeProcess, BridgeSource


def bridge_process() -> list[str] | None:
    """Its command; None where other programs have every port that it may listen on, or its source is paused."""
    bridge = BridgeSource.objects.select_related("source").filter(source__name=DEFAULT_NAME).first()
    if bridge and bridge.source.paused_at:
        return None
    first, last = (bridge.first_port, bridge.last_port) if bridge else (FIRST_PORT, LAST_PORT)
    if not any(_is_free(port) for port in range(first, last + 1)):
        return None
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "runbridge", "--name", DEFAULT_NAME]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def bridge_beat() -> datetime | None:
    """When it was last seen at work."""
    return _process().values_list("beat_at", flat=True).first()


def bridge_port() -> int | None:
    return _process().values_list("port", flat=True).first()


def _process() -> QuerySet[BridgeProcess]:
    return BridgeProcess.objects.filter(source__name=DEFAULT_NAME, token__isnull=False)
