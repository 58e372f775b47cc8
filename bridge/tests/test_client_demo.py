"""The two demo agents: they find each other, and find each other again."""

import asyncio

import pytest

from bridge.client import demo
from bridge.client.settings import AgentSettings
from bridge.tests.sockets import in_a_loop, running, until


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, seconds in {"BETWEEN_PRICES": 0.02, "PATIENCE": 0.2, "PAUSE": 0.02, "WITHOUT_BRIDGE": 0.3}.items():
        monkeypatch.setattr(demo, name, seconds)


def an_agent(name: str, app: str, port: int) -> asyncio.Task[int]:
    settings = AgentSettings(name, first_port=port, last_port=port, pause=0.02, pause_after_loss=0.02)
    return asyncio.create_task(demo.DEMOS[app](settings))


def traffic(server) -> int:
    return sum(channel.messages for channel in server.snapshot().hub.private_channels)


@in_a_loop
async def test_prices_flow_over_a_private_channel_and_come_back_after_every_loss():
    async with running() as server:
        desk, data = an_agent("desk", "blotter", server.port), an_agent("data", "prices", server.port)
        await until(lambda: traffic(server) > 5)
        port = server.port

        data.cancel()
        await until(lambda: not server.snapshot().hub.private_channels)
        data = an_agent("data", "prices", server.port)
        await until(lambda: traffic(server) > 5)

    async with running(first_port=port, last_port=port) as server:
        await until(lambda: traffic(server) > 5)
        ended = asyncio.gather(desk, data)

    # With no bridge any more they end, so that whoever started them can start them where there is one.
    assert await ended == [demo.NO_BRIDGE, demo.NO_BRIDGE]
