"""What the relay benchmark brings: bridges as processes of their own, and desktop agents that speak to them.

All agents live in this process, so a bridge's CPU is its own alone. They check nothing of what they get, they count.
"""

import asyncio
import json
import logging
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from bench.measure import PATIENCE

# A line for each connection would drown the figures.
logging.getLogger("picows").setLevel(logging.WARNING)

NODE = Path(__file__).parent / "node"
CHANNEL = "private-7f4e1d2c"
STARTED_AT = "2026-11-21T21:00:00.000Z"


class Bridge:
    """A bridge in a process: its port, and the CPU seconds of all its threads."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self._tasks = Path(f"/proc/{process.pid}/task")

    def cpu(self) -> float:
        return sum(int((task / "schedstat").read_text().split()[0]) for task in self._tasks.iterdir()) / 1e9


@contextmanager
def our_bridge() -> Iterator[Bridge]:
    # As fast as it can: the rate that an agent may have is what is measured.
    limits = {"BRIDGE_MESSAGE_RATE": "0", "BRIDGE_PING_AFTER": "600", "BRIDGE_MAX_JOINING": "200"}
    command = [sys.executable, "-m", "bridge", "--port", "0", "--log-level", "warning"]
    with _running(command, os.environ | limits) as bridge:
        yield bridge


@contextmanager
def bare_relay() -> Iterator[Bridge]:
    with _running(["node", str(NODE / "relay.js")], os.environ) as bridge:
        yield bridge


def why_no_relay() -> str:
    """Why the comparison has to be left out, or nothing; installs the relay's one library where it is missing."""
    if not shutil.which("node"):
        return "node is not installed"
    if not (NODE / "node_modules").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        if not shutil.which("npm") or subprocess.run(command, cwd=NODE, capture_output=True).returncode:
            return "npm could not install ws"
    return ""


@contextmanager
def _running(command: list[str], environment: Any) -> Iterator[Bridge]:
    """Once it has said its port, at the end of its first line."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout
            if not select.select([process.stdout], [], [], PATIENCE)[0]:
                raise TimeoutError(f"{command[0]} did not say its port")
            yield Bridge(process, int(process.stdout.readline().rpartition(":")[2]))
        finally:
            process.terminate()


class Agent(WSListener):
    """Connected under its name; `received` counts what came since it was set to 0."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.received = 0
        self.joined = asyncio.Event()
        self.on_message: Any = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        self.received += 1
        if self.on_message is not None:
            self.on_message(frame)
        elif not self.joined.is_set() and b"connectedAgentsUpdate" in frame.get_payload_as_bytes()[:200]:
            self.joined.set()

    async def next(self) -> None:
        """Until one more message has come."""
        before = self.received
        async with asyncio.timeout(PATIENCE):
            while self.received == before:
                await asyncio.sleep(0.001)

    def send(self, message: bytes) -> None:
        self.transport.send(WSMsgType.TEXT, message)

    def pause_writing(self) -> None: ...

    def resume_writing(self) -> None: ...


async def join(bridge: Bridge, name: str) -> Agent:
    agent = Agent(name)
    await ws_connect(lambda: agent, f"ws://127.0.0.1:{bridge.port}/")
    agent.send(handshake(name))
    async with asyncio.timeout(PATIENCE):
        await agent.joined.wait()
    return agent


def handshake(name: str) -> bytes:
    features = {"OriginatingAppMetadata": True, "UserChannelMembershipAPIs": True, "DesktopAgentBridging": True}
    metadata = {"fdc3Version": "2.2", "provider": "bench", "optionalFeatures": features}
    return json.dumps(
        {
            "type": "handshake",
            "payload": {"implementationMetadata": metadata, "requestedName": name, "channelsState": {}},
            "meta": {"requestUuid": f"handshake-{name}", "timestamp": STARTED_AT},
        }
    ).encode()


def private_broadcast(sender: str, receiver: str) -> bytes:
    """Of 500 bytes."""
    meta = {
        "requestUuid": "6f8d2a4e-95c3-4a1b-9d7e-1c2b3a4d5e6f",
        "timestamp": STARTED_AT,
        "source": _prices(sender),
        "destination": {"appId": "chart", "instanceId": "0a1b2c3d", "desktopAgent": receiver},
    }
    payload = {"channelId": CHANNEL, "context": _context()}
    return _padded({"type": "PrivateChannel.broadcast", "payload": payload, "meta": meta})


def broadcast(sender: str) -> bytes:
    meta = {
        "requestUuid": "6f8d2a4e-95c3-4a1b-9d7e-1c2b3a4d5e6f",
        "timestamp": STARTED_AT,
        "source": _prices(sender),
    }
    return _padded(
        {"type": "broadcastRequest", "payload": {"channelId": "fdc3.channel.1", "context": _context()}, "meta": meta}
    )


async def open_channel(one: Agent, two: Agent) -> None:
    """The channel of `private_broadcast`, which the app of the second gives to the first as the result of an intent."""
    uuid = "0d6f5f1e-7b1a-4c55-9a3c-2f8e7d6c5b4a"
    creator = {"appId": "chart", "instanceId": "0a1b2c3d", "desktopAgent": two.name}
    asked = {"source": _prices(one.name), "destination": creator, "requestUuid": uuid, "timestamp": STARTED_AT}
    intent = {"intent": "ViewChart", "app": creator, "context": {"type": "fdc3.instrument"}}
    one.send(json.dumps({"type": "raiseIntentRequest", "payload": intent, "meta": asked}).encode())
    await two.next()
    answered = {"requestUuid": uuid, "responseUuid": uuid, "timestamp": STARTED_AT}
    resolution = {"intentResolution": {"intent": "ViewChart", "source": creator}}
    result = {"intentResult": {"channel": {"id": CHANNEL, "type": "private"}}}
    two.send(json.dumps({"type": "raiseIntentResponse", "payload": resolution, "meta": answered}).encode())
    await one.next()
    two.send(json.dumps({"type": "raiseIntentResultResponse", "payload": result, "meta": answered}).encode())
    await one.next()


def find_intent(sender: str, uuid: str) -> bytes:
    meta = {"requestUuid": uuid, "timestamp": STARTED_AT, "source": {"appId": "prices", "desktopAgent": sender}}
    return json.dumps({"type": "findIntentRequest", "payload": {"intent": "ViewChart"}, "meta": meta}).encode()


def found_intent(uuid: str) -> bytes:
    apps = [{"appId": f"chart{number}", "title": "A chart of prices"} for number in range(3)]
    meta = {"requestUuid": uuid, "responseUuid": "9b2d6c1e-3f4a-4b5c-8d7e-6f5a4b3c2d1e", "timestamp": STARTED_AT}
    payload = {"appIntent": {"intent": {"name": "ViewChart"}, "apps": apps}}
    return json.dumps({"type": "findIntentResponse", "payload": payload, "meta": meta}).encode()


def _prices(agent: str) -> dict[str, str]:
    return {"appId": "prices", "instanceId": "c6d4f3b2", "desktopAgent": agent}


def _context() -> dict[str, Any]:
    return {"type": "fdc3.instrument", "id": {"ticker": "AAPL", "ISIN": "US0378331005"}, "note": ""}


def _padded(message: dict[str, Any]) -> bytes:
    message["payload"]["context"]["note"] = "x" * (500 - len(json.dumps(message, separators=(",", ":"))))
    return json.dumps(message, separators=(",", ":")).encode()
