"""The demo of the bridge: two desktop agents, an app on each, a private channel between them, a price now and then."""

import sys
from collections.abc import Iterator, Mapping, Sequence

from django.db import DatabaseError, close_old_connections

from bridge.adding import DEFAULT_NAME
from bridge.models import FIRST_PORT, LAST_PORT, BridgeSource
from console.supervision.bridge import bridge_port
from console.supervision.child import Child

#: By the name of the agent, which is not that of its app.
AGENTS = {"market-data": "prices", "trading-desk": "blotter"}


def demo_agents(env: Mapping[str, str]) -> Iterator[Child]:
    """None for a bridge that asks agents who they are: they could not say."""
    bridge = BridgeSource.objects.filter(source__name=DEFAULT_NAME).first()
    if bridge and bridge.authentication != BridgeSource.Authentication.OFF:
        return
    for name, app in AGENTS.items():
        command = [sys.executable, "-m", "bridge.client", "--name", name, "--demo", app]
        yield Child(name, command, env, stage=4, arguments=_where_the_bridge_is)


def _where_the_bridge_is() -> Sequence[str]:
    """Its own port: another console on this machine may have a bridge on a port that is tried before."""
    try:
        close_old_connections()
        port = bridge_port()
    except DatabaseError:
        port = None
    return ["--port-range", str(port) if port else f"{FIRST_PORT}-{LAST_PORT}"]
