"""Two apps that show what a bridge is for: one has prices, the other watches them over a private channel.

Each is its own desktop agent. Whatever is lost, they find each other again.
"""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from bridge.client.agent import DesktopAgent, the_first
from bridge.client.app import App, ChannelEvent, PrivateChannel
from bridge.client.directory import AppRecord, Intent
from bridge.client.errors import FDC3Error
from bridge.client.settings import AgentSettings

INTENT = "ViewPrices"
INSTRUMENT = {"type": "fdc3.instrument", "name": "Acme Widgets", "id": {"ticker": "ACMW"}}
PRICE = "demo.price"

#: Seconds.
BETWEEN_PRICES = 5.0
#: Longer without a price, and the watcher leaves the channel and asks for another.
PATIENCE = 30.0
PAUSE = 10.0
#: Whoever started this may know by then where the bridge is now.
WITHOUT_BRIDGE = 60.0

NO_BRIDGE = 1


async def prices(settings: AgentSettings) -> int:
    """Has prices, for whoever raises the intent."""
    async with DesktopAgent(settings) as agent:
        agent.declare(AppRecord("Prices", title="Prices", intents=(Intent(INTENT, result_type=f"channel<{PRICE}>"),)))
        app = agent.app("Prices")
        await app.add_intent_listener(INTENT, lambda context, metadata: _price_channel(app))
        return await _while_bridged(agent)


async def _price_channel(app: App) -> PrivateChannel:
    channel = await app.create_private_channel()
    senders: dict[str, asyncio.Task[None]] = {}

    async def listened(event: ChannelEvent) -> None:
        if event.type == "addContextListener" and not senders:
            senders["prices"] = asyncio.create_task(_send_prices(channel))
        elif event.type == "disconnect":
            for task in senders.values():
                task.cancel()
            await channel.disconnect()

    await channel.add_event_listener(None, listened)
    return channel


async def _send_prices(channel: PrivateChannel) -> None:
    for number in count():
        await channel.broadcast({"type": PRICE, "ticker": "ACMW", "bid": 100 + number % 7, "ask": 101 + number % 7})
        await asyncio.sleep(BETWEEN_PRICES)


async def blotter(settings: AgentSettings) -> int:
    """Watches prices, and tells its user channel what it looks at."""
    async with DesktopAgent(settings, resolve=the_first) as agent:
        app = agent.app("Blotter")
        await app.join_user_channel("fdc3.channel.1")
        watching = asyncio.create_task(_watch(agent, app))
        try:
            return await _while_bridged(agent)
        finally:
            watching.cancel()


async def _watch(agent: DesktopAgent, app: App) -> None:
    while True:
        await agent.bridged.wait()
        try:
            resolution = await app.raise_intent(INTENT, INSTRUMENT)
            channel = await resolution.get_result()
            await app.broadcast(INSTRUMENT)
            if isinstance(channel, PrivateChannel):
                await _until_silent(channel)
        except FDC3Error:
            pass  # Nobody has prices yet, or no longer.
        await asyncio.sleep(PAUSE)


async def _until_silent(channel: PrivateChannel) -> None:
    came = asyncio.Event()
    await channel.add_context_listener(PRICE, lambda context, metadata: came.set())
    await channel.add_event_listener("disconnect", lambda event: came.clear())
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                await came.wait()
            came.clear()
    except TimeoutError:
        await channel.disconnect()


async def _while_bridged(agent: DesktopAgent) -> int:
    """Returns when there has been no bridge for long."""
    while True:
        try:
            async with asyncio.timeout(WITHOUT_BRIDGE):
                await agent.bridged.wait()
        except TimeoutError:
            return NO_BRIDGE
        await agent.unbridged.wait()


DEMOS: dict[str, Callable[[AgentSettings], Coroutine[Any, Any, int]]] = {"prices": prices, "blotter": blotter}
