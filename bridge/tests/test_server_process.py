"""`python -m bridge` as a process: how it starts, how it ends, and what agents see when it is killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import randrange
from uuid import uuid4

import pytest

from bridge.tests.sockets import Agent, broadcast, in_a_loop, number_of, until

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def process(*options, **environment):
    command = [sys.executable, "-m", "bridge", *options]
    environment = {"PATH": os.environ["PATH"], **environment}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as started:
        try:
            yield started
        finally:
            started.kill()


def port_of(started):
    line = started.stdout.readline()
    assert line.startswith("Desktop agents connect to ws://127.0.0.1:"), started.stderr.read()
    return int(line.rpartition(":")[2])


def free_port():
    """None that the system gives to a client, which could then be connected to itself."""
    while True:
        with suppress(OSError), closing(socket.create_server(("127.0.0.1", randrange(20_000, 32_000)))) as taken:
            return taken.getsockname()[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly(number):
    @in_a_loop
    async def scenario():
        with process("--port", "0") as started:
            agent = await Agent.join(port_of(started), "A")
            started.send_signal(number)

            assert (await agent.ended()).code == 1001
            await until(lambda: started.poll() is not None)

            assert started.returncode == 0
            assert "Traceback" not in started.stderr.read()

    scenario()


def test_r2_it_takes_the_next_free_port():
    first = free_port()
    environment = {"BRIDGE_FIRST_PORT": str(first), "BRIDGE_LAST_PORT": str(first + 50)}
    with process(**environment) as one, process(**environment) as two:
        ports = {port_of(one), port_of(two)}

    assert first in ports and len(ports) == 2 and max(ports) <= first + 50


def test_it_says_that_no_port_is_free():
    taken = socket.create_server(("127.0.0.1", 0))
    with closing(taken), process("--port", str(taken.getsockname()[1])) as started:
        assert started.wait(20) == 2
        assert "is free" in started.stderr.read()


@pytest.mark.parametrize(
    ("options", "environment", "why"),
    [
        ((), {"BRIDGE_MAX_SOCKETS": "many"}, "BRIDGE_MAX_SOCKETS must be a number from 0"),
        ((), {"BRIDGE_ANNOUNCE_LOST_CREATORS": "perhaps"}, "must be 1 or 0"),
        ((), {"BRIDGE_FIND_TIMEOUT": "nan"}, "must be a number from 0"),
        ((), {"BRIDGE_FIRST_PORT": "9000"}, "no range"),
        (("--port", "70000"), {}, "no range"),
        (("--public-keys", "/nowhere"), {}, "cannot be read"),
        (("--private-key", "/nowhere"), {}, "cannot be read"),
    ],
)
def test_it_says_what_is_wrong_with_a_setting(options, environment, why):
    with process(*options, **environment) as started:
        assert started.wait(20) == 2
        error = started.stderr.read()

    assert why in error and "Traceback" not in error


def test_it_needs_no_django():
    code = "import bridge.__main__, sys; print([m for m in ('django', 'agents', 'console') if m in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "[]\n"


def test_r1_it_listens_on_this_machine_only():
    with process("--port", "0") as started:
        port = port_of(started)
        listening = [
            line.split()[1]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
        ]

    assert [address.partition(":")[0] for address in listening] == ["0100007F"]


@in_a_loop
async def test_agents_find_a_killed_bridge_again_on_the_same_port():
    """The roster is true again, and nothing of the old life is left."""
    port = free_port()
    with process("--port", str(port)) as killed:
        port_of(killed)
        agents = [await Agent.join(port, name) for name in "ABC"]
        killed.kill()
        assert [(await agent.ended()).code for agent in agents] == [None] * 3

    async def come_back(name):
        while True:
            try:
                return await Agent.join(port, name)
            except OSError:
                await asyncio.sleep(0.02)

    returning = [asyncio.create_task(come_back(name)) for name in "AB"]
    with process("--port", str(port)) as started:
        one, two = await asyncio.gather(*returning)
        last = await Agent.join(port, f"N{uuid4().hex[:8]}")
        while len((update := await one.until("connectedAgentsUpdate"))["payload"]["allAgents"]) < 3:
            pass
        names = {agent["desktopAgent"] for agent in update["payload"]["allAgents"]}
        last.send(broadcast(last, 5))

        assert names == {"A", "B", last.name}
        assert number_of(await two.until("broadcastRequest")) == 5
        assert started.poll() is None
