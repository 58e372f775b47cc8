"""What the console and an operator see of a bridge on a port, and how agents prove who they are to it."""

import asyncio
import logging
import threading
from datetime import UTC, datetime
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bridge.protocol.effects import Event, Note
from bridge.server.server import NoFreePort
from bridge.server.settings import BadSetting, BridgeSettings, from_environment
from bridge.server.tokens import TokenCheck
from bridge.tests.sockets import Agent, Socket, broadcast, handshake, in_a_loop, number_of, running, until
from scripts.bridge_settings_table import HEAD, PAGE, table

SUB = str(uuid4())
KEY = ec.generate_private_key(ec.SECP256R1())


def token():
    return jwt.encode({"sub": SUB, "iat": datetime.now(UTC).isoformat()}, KEY, algorithm="ES256")


# --- Order and atomicity ------------------------------------------------------------------------------------------


@in_a_loop
async def test_r91_everybody_gets_everything_in_the_order_in_which_it_was_sent():
    """For each pair; and the first thing that anybody hears of an agent is that it joined."""
    async with running() as server:
        agents = [await Agent.join(server.port, name) for name in "ABCD"]
        for number in range(100):
            for agent in agents:
                agent.send(broadcast(agent, number))
        late = Agent.join(server.port, "E")

        for agent in agents:
            got = {name: [] for name in "ABCD" if name != agent.name}
            while sum(map(len, got.values())) < 300:
                message = await agent.until("broadcastRequest")
                got[message["meta"]["source"]["desktopAgent"]].append(number_of(message))
            assert all(numbers == list(range(100)) for numbers in got.values())
        assert (await late).name == "E"


@in_a_loop
async def test_r20_nothing_is_heard_of_an_agent_before_it_has_joined():
    async with running() as server:
        watcher = await Agent.join(server.port, "Watcher")
        eager = await Socket.open(server.port)
        eager.send(handshake("Eager"))
        eager.send(broadcast(watcher, 1))

        update = await watcher.message()
        message = await watcher.message()

        assert (update["type"], update["payload"]["addAgent"]) == ("connectedAgentsUpdate", "Eager")
        assert message["meta"]["source"]["desktopAgent"] == "Eager"


# --- Authentication -----------------------------------------------------------------------------------------------


@in_a_loop
async def test_a_token_lets_an_agent_in_once():
    used = token()
    async with running(verify=TokenCheck({SUB: KEY.public_key()}, 60)) as server:
        first = await Socket.open(server.port)
        assert (await first.until("hello"))["payload"]["authRequired"] is True
        await Agent.join(server.port, "A", token=used)
        assert server.snapshot().hub.agents[0].principal == SUB

        again = await Socket.open(server.port)
        again.send(handshake("B", token=used))
        refused = await again.until("authenticationFailed")

        assert "requestUuid" in refused["meta"] and (await again.ended()).code == 1008
        assert [each.name for each in server.snapshot().hub.agents] == ["A"]


@pytest.mark.parametrize("authorization", [None, "nonsense", ""])
def test_r13_no_good_token_no_agent(authorization):
    @in_a_loop
    async def scenario():
        async with running(verify=TokenCheck({SUB: KEY.public_key()}, 60)) as server:
            bad = await Socket.open(server.port)
            bad.send(handshake("A", token=authorization))

            await bad.until("authenticationFailed")
            await bad.ended()

    scenario()


@in_a_loop
async def test_whoever_checks_tokens_may_take_its_time_and_holds_up_nobody():
    """The console looks a key up in its database; meanwhile others are served."""
    let_go = asyncio.Event()

    async def verify(text):
        if text == "slow":
            await let_go.wait()
        return text

    async with running(verify=verify) as server:
        slow = await Socket.open(server.port)
        slow.send(handshake("Slow", token="slow"))
        one, two = [await Agent.join(server.port, name, token=name) for name in "AB"]
        one.send(broadcast(one, 1))
        assert number_of(await two.until("broadcastRequest")) == 1
        let_go.set()

        assert (await slow.until("connectedAgentsUpdate"))["payload"]["addAgent"] == "Slow"
        assert [agent.principal for agent in server.snapshot().hub.agents] == ["A", "B", "slow"]


@in_a_loop
async def test_a_check_that_takes_too_long_or_breaks_lets_nobody_in():
    async def verify(text):
        if text == "breaks":
            raise RuntimeError(f"no database for {text}")
        await asyncio.sleep(60)

    async with running(verify=verify, verify_within=0.05) as server:
        for text in ("hangs", "breaks"):
            bad = await Socket.open(server.port)
            bad.send(handshake("A", token=text))
            await bad.until("authenticationFailed")
            await bad.ended()


@in_a_loop
async def test_an_agent_that_leaves_during_the_check_is_forgotten():
    asked, let_go = asyncio.Event(), asyncio.Event()

    async def verify(text):
        asked.set()
        await let_go.wait()
        return text

    async with running(verify=verify) as server:
        hasty = await Socket.open(server.port)
        hasty.send(handshake("A", token="x"))
        await asked.wait()
        hasty.abort()
        await until(lambda: server.snapshot().open_sockets == 0)
        let_go.set()
        await asyncio.sleep(0)

        assert server.snapshot().hub.agents == ()


@in_a_loop
async def test_r9_the_bridge_proves_itself_anew_to_each_agent():
    async with running(own_token=lambda: uuid4().hex) as server:
        hellos = [await (await Socket.open(server.port)).until("hello") for _ in range(2)]

    assert len({hello["payload"]["authToken"] for hello in hellos}) == 2


def test_no_token_is_in_the_log(caplog):
    good = token()

    async def broken(text):
        raise RuntimeError(text)

    @in_a_loop
    async def scenario():
        for check in (TokenCheck({SUB: KEY.public_key()}, 60), broken):
            async with running(verify=check) as server:
                for text in (good, good, good[:-9]):
                    agent = await Socket.open(server.port)
                    agent.send(handshake("A", token=text))
                    while (await agent.message())["type"] == "hello":
                        pass

    with caplog.at_level(logging.DEBUG):
        scenario()

    assert "A joined" in caplog.text and "used before" in caplog.text and "RuntimeError" in caplog.text
    assert not any(part in caplog.text for part in good.split("."))


# --- What the console asks and does -------------------------------------------------------------------------------


@in_a_loop
async def test_it_tells_its_state():
    async with running() as server:
        agent = await Agent.join(server.port, "A")
        await Socket.open(server.port)

        snapshot = server.snapshot()

        assert (snapshot.port, snapshot.open_sockets) == (server.port, 2)
        assert list(snapshot.queued.values()) == [0, 0]
        assert ([each.name for each in snapshot.hub.agents], snapshot.hub.connecting) == (["A"], 1)
        agent.abort()
        await until(lambda: server.snapshot().open_sockets == 1)
        assert server.snapshot().hub.agents == ()


@in_a_loop
async def test_an_agent_is_disconnected_for_an_administrator():
    notes = []
    async with running(on_note=notes.append) as server:
        one, two = await Agent.join(server.port, "A"), await Agent.join(server.port, "B")
        session_id = next(agent.session_id for agent in server.snapshot().hub.agents if agent.name == "A")

        server.disconnect_agent(session_id)

        ended = await one.ended()
        assert ended.code == 1008 and "administrator" in ended.reason
        while "removeAgent" not in (update := await two.until("connectedAgentsUpdate"))["payload"]:
            pass
        assert update["payload"]["removeAgent"] == "A"
        assert [note.event for note in notes] == [Event.JOINED, Event.JOINED, Event.LEFT]
        assert notes[-1].session_id == session_id


@in_a_loop
async def test_another_thread_gets_what_the_loop_did():
    async with running() as server:
        await Agent.join(server.port, "A")

        def ask():
            with pytest.raises(ZeroDivisionError):
                server.run_in_loop(lambda: 1 / 0)
            return server.run_in_loop(lambda: (server.snapshot().hub.agents[0].name, threading.get_ident()))

        assert await asyncio.to_thread(ask) == ("A", threading.get_ident())


@in_a_loop
async def test_what_the_loop_did_not_do_in_time_is_never_done():
    done = []
    async with running() as server:
        gave_up = threading.Event()

        def ask():
            with pytest.raises(TimeoutError):
                server.run_in_loop(lambda: done.append(1), within=0.01)
            gave_up.set()

        asking = asyncio.create_task(asyncio.to_thread(ask))
        await asyncio.sleep(0)
        # The loop is busy until the caller has given up.
        gave_up.wait()
        await asking
        await asyncio.sleep(0)

    assert done == []


@in_a_loop
async def test_no_agent_writes_a_line_of_the_log_of_its_own():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("bridge.server")
    logger.addHandler(handler)
    try:
        async with running() as server:
            await Agent.join(server.port, "A\n2026-11-21 CRITICAL everything is lost")
            server._note(Note(Event.DROPPED, "said by an agent\n2026-11-21 CRITICAL everything is lost"))
    finally:
        logger.removeHandler(handler)

    assert records and not any("\n" in record.getMessage() for record in records)


# --- Ports and settings -------------------------------------------------------------------------------------------


@in_a_loop
async def test_it_says_goodbye_and_frees_its_port():
    async with running() as server:
        agents = [await Agent.join(server.port, name) for name in "ABC"]
        port = server.port
        closing = asyncio.create_task(server.close())

        assert [(await agent.ended()).code for agent in agents] == [1001] * 3
        await closing
    async with running(first_port=port, last_port=port) as again:
        assert again.port == port


@in_a_loop
async def test_r2_it_moves_along_its_range():
    async with running() as taken:
        with pytest.raises(NoFreePort):
            async with running(first_port=taken.port, last_port=taken.port):
                pass
        async with running(first_port=taken.port, last_port=min(taken.port + 100, 65535)) as other:
            assert other.port > taken.port


def test_r2_r3_its_ports_are_those_of_the_specification():
    settings = BridgeSettings()

    assert (settings.first_port, settings.last_port) == (4475, 4575)


def test_settings_come_from_the_environment_and_options_go_before():
    environment = {
        "BRIDGE_FIRST_PORT": "5000",
        "BRIDGE_LAST_PORT": "5001",
        "BRIDGE_TOKEN_AGE": "7.5",
        "BRIDGE_ALLOWED_ORIGINS": "https://a.example, https://b.example",
        "BRIDGE_PUBLIC_KEYS": "",
        "PATH": "/bin",
    }

    settings = from_environment(BridgeSettings, environment, last_port=5002)

    assert (settings.first_port, settings.last_port, settings.token_age) == (5000, 5002, 7.5)
    assert settings.allowed_origins == {"https://a.example", "https://b.example"} and settings.public_keys is None


@pytest.mark.parametrize(
    "wrong",
    [{"first_port": 2, "last_port": 1}, {"max_sockets": -1}, {"token_age": -1.0}, {"last_port": 65536}]
    + [{"pong_within": 21.0}, {"close_within": float("nan")}, {"ping_after": float("inf")}, {"pong_within": 0.0}],
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadSetting):
        BridgeSettings(**wrong)


def test_every_setting_is_in_the_documentation_with_its_default():
    assert HEAD + table() in PAGE.read_text()
