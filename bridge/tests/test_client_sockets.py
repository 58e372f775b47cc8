"""Agents with their asyncio side, over real sockets, on a real bridge: what an app's author sees."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.client.agent import DesktopAgent
from bridge.client.app import App
from bridge.client.directory import AppRecord, Intent
from bridge.client.errors import FDC3Error, NotConnectedToBridge
from bridge.client.settings import AgentSettings
from bridge.protocol.messages import AppIdentifier
from bridge.server.server import BridgeServer
from bridge.tests.sockets import in_a_loop, running, until

INSTRUMENT = {"type": "fdc3.instrument", "id": {"ticker": "ACMW"}}


def an_agent(name: str, server: BridgeServer, **settings: Any) -> DesktopAgent:
    chosen = {"first_port": server.port, "last_port": server.port, "pause": 0.05, "pause_after_loss": 0.02}
    return DesktopAgent(AgentSettings(name, **{**chosen, **settings}))


@asynccontextmanager
async def two_agents():
    async with running() as server, an_agent("A", server) as a, an_agent("B", server) as b:
        await a.bridged.wait()
        await until(lambda: len(a.agents) == len(b.agents) == 2)
        yield a, b


class Heard(list[Any]):
    """What a handler was called with; waits for a number of them."""

    def context(self, context: dict[str, Any], metadata: Any) -> None:
        self.append((context["type"], metadata.source))

    def event(self, event: Any) -> None:
        self.append((event.type, event.context_type))

    async def count(self, number: int) -> "Heard":
        await until(lambda: len(self) >= number)
        return self


async def quotes(agent: DesktopAgent, *, channel_of: App | None = None) -> App:
    """An app that answers ViewQuote with a private channel and remembers what happens on it."""
    agent.declare(AppRecord("Quotes", intents=(Intent("ViewQuote", contexts=("fdc3.instrument",)),)))
    app = agent.app("Quotes")
    app.heard = Heard()

    async def handle(context: dict[str, Any], metadata: Any) -> Any:
        app.channel = await app.create_private_channel()
        await app.channel.add_event_listener(None, app.heard.event)
        return app.channel

    await app.add_intent_listener("ViewQuote", handle)
    return app


@in_a_loop
async def test_it_opens_a_private_channel_and_ends_it_as_the_seed_document_says():
    async with two_agents() as (a, b):
        k, t = await quotes(b), a.app("Blotter")

        resolution = await t.raise_intent("ViewQuote", INSTRUMENT)
        channel = await resolution.get_result()
        prices = Heard()
        await channel.add_context_listener("price", prices.context)
        await k.heard.count(1)
        await k.channel.broadcast({"type": "price", "value": 1})
        assert await prices.count(1) == [("price", AppIdentifier(**_of(k, "B")))]
        await channel.disconnect()

        assert resolution.source == AppIdentifier(**_of(k, "B"))
        assert await k.heard.count(3) == [
            ("addContextListener", "price"),
            ("unsubscribe", "price"),
            ("disconnect", None),
        ]
        with pytest.raises(FDC3Error, match="AccessDenied"):
            await channel.broadcast({"type": "price"})
        with pytest.raises(FDC3Error, match="AccessDenied"):
            await t.get_or_create_channel(channel.id)


def _of(app: App, agent: str) -> dict[str, str]:
    return {"app_id": app.app_id, "instance_id": app.instance_id, "desktop_agent": agent}


@in_a_loop
async def test_it_finds_and_opens_apps_of_other_agents():
    async with two_agents() as (a, b):
        k, t = await quotes(b), a.app("Blotter")
        opened = Heard()

        async def start(app: App) -> None:
            await app.add_context_listener("fdc3.instrument", opened.context)

        b.declare(AppRecord("Chart", title="Charts"), start)

        found = await t.find_intent("ViewQuote")
        assert [(app.app_id, app.instance_id, app.desktop_agent) for app in found.apps] == [
            ("Quotes", None, "B"),
            ("Quotes", k.instance_id, "B"),
        ]
        by_context = await t.find_intents_by_context(INSTRUMENT)
        assert [each.intent.name for each in by_context] == ["ViewQuote"]
        chart = AppIdentifier(app_id="Chart", desktop_agent="B")
        assert (await t.get_app_metadata(chart)).title == "Charts"
        assert await t.find_instances(chart) == []
        instance = await t.open(chart, INSTRUMENT)
        assert await opened.count(1) == [("fdc3.instrument", AppIdentifier(**_of(t, "A")))]
        assert await t.find_instances("Chart") == [instance]
        assert (instance.app_id, instance.desktop_agent) == ("Chart", "B")


@in_a_loop
async def test_it_carries_broadcasts_of_user_and_app_channels_between_agents():
    async with two_agents() as (a, b):
        sender, receiver, heard = a.app("S"), b.app("R"), Heard()
        await receiver.join_user_channel("fdc3.channel.1")
        await receiver.add_context_listener("fdc3.instrument", heard.context)
        orders = await receiver.get_or_create_channel("orders")
        await orders.add_context_listener(None, heard.context)

        await sender.broadcast({"type": "unheard"})
        await sender.join_user_channel("fdc3.channel.1")
        await sender.broadcast(INSTRUMENT)
        await (await sender.get_or_create_channel("orders")).broadcast({"type": "order"})

        source = AppIdentifier(**_of(sender, "A"))
        assert await heard.count(2) == [("fdc3.instrument", source), ("order", source)]
        assert await orders.get_current_context() == {"type": "order"}


@in_a_loop
async def test_it_passes_on_results_and_errors_of_intents():
    async with two_agents() as (a, b):
        k, t = b.app("K"), a.app("T")

        async def fail(context: Any, metadata: Any) -> None:
            raise ValueError("no")

        await k.add_intent_listener("Echo", lambda context, metadata: context)
        await k.add_intent_listener("Nothing", lambda context, metadata: None)
        await k.add_intent_listener("Fail", fail)
        here = AppIdentifier(**_of(k, "B"))

        assert await (await t.raise_intent("Echo", INSTRUMENT, here)).get_result() == INSTRUMENT
        assert await (await t.raise_intent("Nothing", INSTRUMENT, here)).get_result() is None
        with pytest.raises(FDC3Error, match="IntentHandlerRejected"):
            await (await t.raise_intent("Fail", INSTRUMENT, here)).get_result()
        for call, error in (
            (t.raise_intent("Echo", INSTRUMENT, AppIdentifier(app_id="K", desktop_agent="Z")), "DesktopAgentNotF"),
            (t.raise_intent("Echo", INSTRUMENT, AppIdentifier(app_id="Z", desktop_agent="B")), "TargetAppUnav"),
            (t.open(AppIdentifier(app_id="Z", desktop_agent="B")), "AppNotFound"),
            (t.find_instances("Z"), "NoAppsFound"),
            (t.find_intent("Z"), "NoAppsFound"),
        ):
            with pytest.raises(FDC3Error, match=error):
                await call


@in_a_loop
async def test_r6_it_comes_back_when_the_bridge_was_killed_and_started_again():
    async with running() as first, an_agent("A", first) as a, an_agent("B", first) as b:
        t, k = a.app("T"), await quotes(b)
        await until(lambda: len(a.agents) == len(b.agents) == 2)
        channel = await (await t.raise_intent("ViewQuote", INSTRUMENT)).get_result()
        ended = Heard()
        await channel.add_event_listener("disconnect", ended.event)
        port = first.port

        await first.close()
        await ended.count(1)
        with pytest.raises(NotConnectedToBridge):
            await t.open(AppIdentifier(app_id="Quotes", desktop_agent="B"))
        assert a.name is None

        async with running(first_port=port, last_port=port):
            await until(lambda: len(a.agents) == len(b.agents) == 2)
            again = await (await t.raise_intent("ViewQuote", INSTRUMENT)).get_result()
            assert again.id == k.channel.id != channel.id


@in_a_loop
async def test_r15_it_takes_the_name_that_it_is_given():
    async with running() as server, an_agent("A", server) as first, an_agent("A", server) as second:
        await until(lambda: len(first.agents) == len(second.agents) == 2)
        assert {first.name, second.name} == set(first.agents)
        info = await second.app("T").get_info()
        assert (info.desktop_agent, info.app.app_id) == (second.name, "T")


@in_a_loop
async def test_it_hands_an_app_everything_in_its_order_however_slow_the_app_is():
    async with two_agents() as (a, b):
        sender, slow, heard = a.app("S"), b.app("R"), []
        channel = await slow.get_or_create_channel("numbers")

        async def handle(context: dict[str, Any], metadata: Any) -> None:
            await asyncio.sleep(0)
            heard.append(context["number"])

        await channel.add_context_listener("number", handle)
        numbers = await sender.get_or_create_channel("numbers")
        for number in range(200):
            await numbers.broadcast({"type": "number", "number": number})

        await until(lambda: len(heard) == 200)
        assert heard == list(range(200))


@in_a_loop
async def test_it_survives_handlers_that_fail(caplog):
    async with two_agents() as (a, b):
        sender, receiver, heard = a.app("S"), b.app("R"), Heard()
        channel = await receiver.get_or_create_channel("c")

        def fail(context: Any, metadata: Any) -> None:
            raise ValueError("a mistake of the app")

        await channel.add_context_listener(None, fail)
        await channel.add_context_listener(None, heard.context)
        await (await sender.get_or_create_channel("c")).broadcast({"type": "x"})

        await heard.count(1)
        assert "A handler of R failed" in caplog.text


@in_a_loop
async def test_it_ends_quietly_while_it_looks_for_running():
    async with running() as server:
        pass
    async with an_agent("A", server) as agent:
        t = agent.app("T")
        await asyncio.sleep(0)
        assert await t.find_instances("T") == [t.identifier]
        with pytest.raises(NotConnectedToBridge):
            await t.find_instances(AppIdentifier(app_id="X", desktop_agent="B"))


@in_a_loop
async def test_r30_it_has_the_eight_user_channels_with_their_names_and_colours():
    async with two_agents() as (a, _):
        channels = await a.app("T").get_user_channels()

        assert [channel.id for channel in channels] == [f"fdc3.channel.{number}" for number in range(1, 9)]
        assert (channels[0].display_metadata.name, channels[0].display_metadata.color) == ("Channel 1", "red")


@in_a_loop
async def test_an_app_may_close_itself_from_a_handler():
    async with two_agents() as (a, b):
        sender, receiver, heard = a.app("S"), b.app("R"), Heard()
        channel = await receiver.get_or_create_channel("c")

        async def close(context: Any, metadata: Any) -> None:
            heard.context(context, metadata)
            await receiver.close()

        await channel.add_context_listener(None, close)
        numbers = await sender.get_or_create_channel("c")
        for _ in range(3):
            await numbers.broadcast({"type": "x"})
        await until(lambda: heard)
        assert await sender.find_instances(AppIdentifier(app_id="R", desktop_agent="B")) == []

        assert len(heard) == 1
