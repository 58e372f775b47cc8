"""The demo source: made on a first run, so that there is something to see; its remote is the stand-in beside it."""

import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from agents.credentials import Secret
from agents.models import Credential, Source
from agents.sources import add_source
from agents.webconnect.kind import WEBCONNECT
from agents.webconnect.models import WebConnectSource
from agents.webconnect.standin import keys
from agents.webconnect.standin.command import DEFAULT_PORT
from apikeys.actors import command_line_actor

NAME = "demo"


def make_demo_source() -> bool:
    """Make the demo source where there is none of its kind yet; True where it was made."""
    if Source.objects.filter(kind=WEBCONNECT.name).exists():
        return False
    by_name = _made_keys()
    add_source(
        source=Source(name=NAME, kind=WEBCONNECT.name, polling_seconds=5, settle_seconds=3, confirm_seconds=60),
        own=WebConnectSource(base_url=f"http://127.0.0.1:{_free_port()}/api/v2"),
        contract=NAME,
        requests_per_minute=100,
        secrets={
            Credential.Purpose.READING: Secret(by_name["reader"]),
            Credential.Purpose.DISCONNECTING: Secret(by_name["disconnector"]),
        },
        actor=command_line_actor(),
    )
    return True


def demo_process() -> list[str] | None:
    """The stand-in's command while the demo source exists and leads to this machine; None where it does not."""
    remote = WebConnectSource.objects.filter(source__name=NAME).first()
    if remote is None or not _key_file().exists():
        return None
    port = urlsplit(remote.base_url).port
    return [sys.executable, "-m", "agents.webconnect.standin", "--port", str(port), "--keys", str(_key_file())]


def _made_keys() -> dict[str, str]:
    if not _key_file().exists():
        _key_file().parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_file(_key_file(), keys.fresh_keys())
    return {key.name: key.secret for key in keys.read_file(_key_file())}


def _key_file() -> Path:
    folder: Path = settings.CONSOLE_DATA_DIR
    return folder / "standin" / "keys.json"


def _free_port() -> int:
    """The stand-in's usual port, or any free one: two consoles on one machine have a demo each."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", DEFAULT_PORT))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
