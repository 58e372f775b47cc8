"""What a broken or hostile agent does to a bridge on a real port, and that nobody else notices."""

import asyncio
import json
import struct
from contextlib import suppress
from random import Random

import pytest

from bridge.tests.sockets import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    SHORT,
    TEXT,
    Agent,
    Ended,
    Socket,
    broadcast,
    handshake,
    in_a_loop,
    number_of,
    private_broadcast,
    running,
    until,
    upgrade_request,
)

KB = 1024


async def still_relays(server, *, first=0, count=20):
    """Two agents that join now are told the truth, and get all that they send each other, in order."""
    one, two = await Agent.join(server.port, "One"), await Agent.join(server.port, "Two")
    await one.until("connectedAgentsUpdate")
    for number in range(count):
        one.send(broadcast(one, number))
    assert [number_of(await two.until("broadcastRequest")) for _ in range(count)] == list(range(count))
    one.abort()
    two.abort()


async def watch(server):
    """An agent from before the trouble."""
    return await Agent.join(server.port, "Watcher")


# --- Frames -------------------------------------------------------------------------------------------------------


def _frames(*frames):
    def send(agent):
        for arguments, options in frames:
            agent.frame(*arguments, **options)

    return send


@pytest.mark.parametrize(
    ("send", "code"),
    [
        pytest.param(_frames(((BINARY, b"{}"), {})), 1003, id="binary"),
        pytest.param(_frames(((TEXT, b"\xff\xfe{}"), {})), 1007, id="not UTF-8"),
        pytest.param(_frames(((TEXT, b'{"a": "\xed\xa0\x80"}'), {})), 1007, id="a surrogate in UTF-8"),
        pytest.param(_frames(((TEXT, b"{}"), {"masked": False})), 1002, id="unmasked"),
        pytest.param(_frames(((TEXT, b"{}"), {"rsv": 4})), 1002, id="compressed"),
        pytest.param(_frames(((TEXT, b"{}"), {"rsv": 1})), 1002, id="reserved bit"),
        pytest.param(_frames(((3, b"{}"), {})), 1002, id="unknown opcode"),
        pytest.param(_frames(((CONTINUATION, b"{}"), {})), 1002, id="continuation of nothing"),
        pytest.param(_frames(((TEXT, b"{"), {"fin": False}), ((TEXT, b"}"), {})), 1002, id="two messages mixed"),
        pytest.param(_frames(((PING, b"x"), {"fin": False})), 1002, id="ping in fragments"),
        pytest.param(_frames(((PING, b"x" * 126), {})), 1002, id="long ping"),
        pytest.param(_frames(((TEXT, b"x" * 65), {})), 1009, id="too big"),
        pytest.param(_frames(((TEXT, b""), {"size": 2**62})), 1009, id="announced as enormous"),
        pytest.param(_frames(((TEXT, b""), {"size": 2**63})), 1002, id="announced as negative"),
        pytest.param(
            _frames(((TEXT, b"x" * 40), {"fin": False}), ((CONTINUATION, b"x" * 40), {"fin": False})),
            1009,
            id="too big in fragments",
        ),
        pytest.param(_frames(((CLOSE, b"\x03"), {})), 1002, id="half a close code"),
        pytest.param(_frames(((CLOSE, struct.pack("!H", 1005)), {})), 1002, id="forbidden close code"),
        pytest.param(_frames(((CLOSE, struct.pack("!H", 1000) + b"\xff"), {})), 1007, id="close reason not UTF-8"),
        pytest.param(_frames(((CLOSE, struct.pack("!H", 4321) + b"bye"), {})), 1000, id="close with its own code"),
        pytest.param(_frames(((CLOSE, b""), {})), 1000, id="close without a code"),
    ],
)
def test_it_closes_a_socket_that_breaks_the_protocol(send, code):
    @in_a_loop
    async def scenario():
        async with running(max_message_bytes=64) as server:
            bad = await Socket.open(server.port)
            send(bad)

            assert (await bad.ended()).code == code

            await until(lambda: server.snapshot().open_sockets == 0)

    scenario()


@in_a_loop
async def test_it_joins_fragments_with_pings_between_them():
    async with running() as server:
        one, two = await Agent.join(server.port, "A"), await Agent.join(server.port, "B")
        text = json.dumps(broadcast(one, 7, note="\N{SNOWMAN}" * 50), ensure_ascii=False).encode()
        cut = text.index("\N{SNOWMAN}".encode()) + 1

        one.frame(TEXT, text[:cut], fin=False)
        one.frame(PING, b"are you there")
        for byte in text[cut:-1]:
            one.frame(CONTINUATION, bytes([byte]), fin=False)
        one.frame(CONTINUATION, fin=False)
        one.frame(CONTINUATION, text[-1:])

        assert number_of(await two.until("broadcastRequest")) == 7
        while (frame := await one.receive()) != (PONG, b"are you there"):
            assert frame[0] == TEXT


@in_a_loop
async def test_it_reads_a_message_that_comes_byte_by_byte():
    async with running() as server:
        agent = await Socket.open(server.port)
        whole = []
        agent.raw, raw = whole.append, agent.raw
        agent.send(handshake("Slow"))
        for byte in whole[0]:
            raw(bytes([byte]))
            await asyncio.sleep(0)

        assert (await agent.until("connectedAgentsUpdate"))["payload"]["addAgent"] == "Slow"


@in_a_loop
async def test_ten_megabytes_are_refused_before_they_are_kept():
    async with running(max_message_bytes=64 * KB) as server:
        watcher = await watch(server)
        bad = await Agent.join(server.port, "Big")
        for _ in range(10):
            bad.frame(TEXT, b'"' + b"x" * (KB * KB), size=10 * KB * KB)

        # The reason may be lost in what it still sends.
        assert (await bad.ended()).code in (1009, None)
        assert await leaves(watcher) == "Big"
        await still_relays(server)


async def leaves(watcher):
    """The next agent that the watcher is told to have left."""
    while True:
        update = await watcher.until("connectedAgentsUpdate")
        if gone := update["payload"].get("removeAgent"):
            return gone


@in_a_loop
async def test_many_fragments_are_not_kept_beyond_the_limit():
    async with running(max_message_bytes=64 * KB) as server:
        bad = await Agent.join(server.port)
        bad.frame(TEXT, b'"', fin=False)
        for _ in range(1000):
            bad.frame(CONTINUATION, b"", fin=False)
        for _ in range(70):
            bad.frame(CONTINUATION, b"x" * KB, fin=False)

        assert (await bad.ended()).code == 1009
        await still_relays(server)


# --- Messages -----------------------------------------------------------------------------------------------------


DEEP = 100_000
NONSENSE = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"7",
    b'"text"',
    b"{}",
    b"\x00",
    b'{"type": "broadcastRequest"}',
    b'{"type": 7, "payload": [], "meta": null}',
    b'{"type": "hello", "payload": {}, "meta": {"requestUuid": "r", "timestamp": "2026-11-21T21:00:00Z"}}',
    b'{"type": "noSuchThing", "payload": {}, "meta": {"requestUuid": "r", "timestamp": "2026-11-21T21:00:00Z"}}',
    b'{"type": "a", "type": "b", "meta": {"requestUuid": "r", "requestUuid": "s"}}',
    b'{"type": "openRequest", "payload": {"app": {"appId": "\\ud800"}}, "meta": {"requestUuid": "\\ud800"}}',
    b"[" * DEEP,
    b"[" * DEEP + b"]" * DEEP,
    b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    b'{"type": "broadcastRequest", "payload": ' + b"[" * DEEP + b"]" * DEEP + b', "meta": {"requestUuid": "r"}}',
    b"9" * 100_000,
    b"1e999",
    b'{"type": "handshake", "payload": {"requestedName": "' + b"x" * 100_000 + b'"}, "meta": {}}',
]


@in_a_loop
async def test_nonsense_before_the_handshake_harms_nobody():
    async with running(hub={"handshake_timeout": 5.0}) as server:
        watcher = await watch(server)
        for text in NONSENSE:
            bad = await Socket.open(server.port)
            bad.send(text)
        await still_relays(server)
        assert (await watcher.until("connectedAgentsUpdate"))["payload"]["addAgent"] == "One"


@in_a_loop
async def test_nonsense_from_an_agent_harms_nobody():
    async with running() as server:
        watcher = await watch(server)
        bad = await Agent.join(server.port, "Bad")
        for text in NONSENSE:
            bad.send(text)
        bad.send(broadcast(bad, 1))

        assert number_of(await watcher.until("broadcastRequest")) == 1
        await still_relays(server)


@in_a_loop
async def test_a_deep_context_reaches_no_other_agent():
    async with running() as server:
        one, two = await Agent.join(server.port, "A"), await Agent.join(server.port, "B")
        message = json.dumps(broadcast(one, 1, note="DEEP")).encode()
        one.send(message.replace(b'"DEEP"', b"[" * DEEP + b"]" * DEEP))
        one.send(broadcast(one, 2))

        assert number_of(await two.until("broadcastRequest")) == 2


@in_a_loop
async def test_r35_a_source_cannot_be_forged():
    async with running() as server:
        one, two = await Agent.join(server.port, "A"), await Agent.join(server.port, "B")
        forged = broadcast(one, 1)
        forged["meta"]["source"]["desktopAgent"] = "B"
        one.send(forged)

        assert (await two.until("broadcastRequest"))["meta"]["source"]["desktopAgent"] == "A"


@in_a_loop
async def test_r40_nobody_answers_for_another():
    """An answer counts only from whom was asked; a third agent that knows the uuid gets nowhere."""
    async with running() as server:
        asker, asked, third = [await Agent.join(server.port, name) for name in ("Asker", "Asked", "Third")]
        asker.send(open_request(asker, "Asked", "r-1"))
        await asked.until("openRequest")
        third.send(open_response("r-1", "forged"))
        third.send(broadcast(third, 1))
        assert number_of(await asked.until("broadcastRequest")) == 1
        asked.send(open_response("r-1", "true"))

        answer = await asker.until("openResponse")

        assert answer["payload"]["appIdentifier"]["instanceId"] == "true"
        assert answer["meta"]["sources"] == [{"desktopAgent": "Asked"}]


@in_a_loop
async def test_a_request_uuid_that_is_in_use_already_confuses_nobody():
    """Two agents choose the same uuid: each gets its own answer or an error, never the other's."""
    async with running() as server:
        one, two, asked = [await Agent.join(server.port, name) for name in ("A", "B", "Asked")]
        one.send(open_request(one, "Asked", "same"))
        assert (await asked.until("openRequest"))["meta"]["source"]["desktopAgent"] == "A"
        two.send(open_request(two, "Asked", "same"))
        two.send(broadcast(two, 1))
        await asked.until("broadcastRequest")
        asked.send(open_response("same", "for-A"))
        asked.send(broadcast(asked, 2))

        assert (await one.until("openResponse"))["payload"]["appIdentifier"]["instanceId"] == "for-A"
        answers = []
        while (message := await two.message())["type"] != "broadcastRequest":
            answers.append(message)
        assert not any("for-A" in json.dumps(answer) for answer in answers)


def open_request(agent, to, uuid):
    app = {"appId": "app", "desktopAgent": to}
    meta = {"requestUuid": uuid, "timestamp": "2026-11-21T21:00:00Z", "source": agent.source()}
    return {
        "type": "openRequest",
        "payload": {"app": app},
        "meta": {**meta, "destination": {"desktopAgent": to}},
    }


def open_response(uuid, instance):
    return {
        "type": "openResponse",
        "payload": {"appIdentifier": {"appId": "app", "instanceId": instance}},
        "meta": {"requestUuid": uuid, "responseUuid": f"to-{uuid}", "timestamp": "2026-11-21T21:00:00Z"},
    }


# --- Floods, and those who do not read ----------------------------------------------------------------------------


@in_a_loop
async def test_a_flood_delays_others_and_loses_none_of_their_messages():
    async with running(hub={"message_rate": 100.0, "message_burst": 200.0}) as server:
        one, two, flood = [await Agent.join(server.port, name) for name in ("A", "B", "Flood")]
        data = json.dumps(broadcast(flood, 999)).encode()
        for number in range(50):
            for _ in range(100):
                flood.send(data)
            one.send(private_broadcast(one, "B", number))
            await asyncio.sleep(0)

        got = [number_of(await two.until("PrivateChannel.broadcast")) for _ in range(50)]

        assert got == list(range(50))
        await still_relays(server)


@in_a_loop
async def test_an_agent_that_never_reads_is_disconnected_and_costs_nobody_a_message():
    limit = 256 * KB
    async with running(max_queue_bytes=limit) as server:
        one, two = await Agent.join(server.port, "A"), await Agent.join(server.port, "B")
        await Agent.join(server.port, "Deaf", receive_buffer=4 * KB)
        note, sent, most, got = "x" * 10 * KB, 0, 0, []

        async def read():
            while True:
                message = await two.message()
                if message["type"] == "broadcastRequest":
                    got.append(number_of(message))
                elif message["payload"].get("removeAgent"):
                    return

        reading = asyncio.create_task(read())
        while not reading.done():
            one.send(broadcast(one, sent, note=note))
            sent += 1
            await one.writer.drain()
            await until(lambda wanted=sent: len(got) == wanted or reading.done())
            most = max(most, *server.snapshot().queued.values())
        await reading

        assert most <= limit + 64 * KB
        assert got == list(range(len(got))) and sent - len(got) <= 1
        await still_relays(server)


@in_a_loop
async def test_a_ping_flood_from_one_who_never_reads_is_not_kept():
    limit = 64 * KB
    async with running(max_queue_bytes=limit) as server:
        deaf = await Agent.join(server.port, "Deaf", receive_buffer=4 * KB)
        watcher = await watch(server)
        with suppress(ConnectionError):
            while server.snapshot().open_sockets == 2 and len(server.snapshot().queued) == 2:
                for _ in range(500):
                    deaf.frame(PING, b"x" * 125)
                await deaf.writer.drain()
                assert all(queued <= limit + 300 * KB for queued in server.snapshot().queued.values())

        assert await leaves(watcher) == "Deaf"


@in_a_loop
async def test_an_agent_that_answers_no_ping_is_gone():
    """What a pulled plug or a stopped process looks like: an open connection, and silence."""
    async with running(**SHORT) as server:
        watcher = await watch(server)
        await Agent.join(server.port, "Half")
        waiting = asyncio.create_task(leaves(watcher))

        assert await waiting == "Half"
        assert [agent.name for agent in server.snapshot().hub.agents] == ["Watcher"]


@in_a_loop
async def test_a_quiet_agent_that_answers_pings_stays():
    async with running(**SHORT) as server:
        watcher = await watch(server)
        for _ in range(3):
            while (frame := await watcher.receive())[0] != PING:
                pass
            watcher.frame(PONG, frame[1])

        await still_relays(server)


@in_a_loop
async def test_a_peer_that_does_not_answer_a_close_does_not_keep_its_socket():
    async with running(**{**SHORT, "ping_after": 10}) as server:
        bad = await Socket.open(server.port)
        bad.frame(BINARY, b"x")
        while (await bad.reader.read(1)) != b"":
            pass

        await until(lambda: server.snapshot().open_sockets == 0)


@in_a_loop
async def test_nothing_is_read_of_a_socket_that_is_closed():
    async with running() as server:
        watcher = await watch(server)
        bad = await Agent.join(server.port, "Bad")
        at_once = []
        bad.raw, raw = at_once.append, bad.raw
        bad.frame(BINARY, b"x")
        for number in range(10):
            bad.send(broadcast(bad, number))
        raw(b"".join(at_once))

        while (message := await watcher.message())["type"] != "connectedAgentsUpdate" or "removeAgent" not in message[
            "payload"
        ]:
            assert message["type"] == "connectedAgentsUpdate"


@in_a_loop
async def test_a_storm_of_agents_that_come_and_drop_leaves_the_roster_true():
    async with running(max_sockets=60) as server:
        watcher = await watch(server)

        async def come_and_drop(number):
            with suppress(ConnectionError, Ended, asyncio.IncompleteReadError):
                if number % 3 == 0:
                    raw = await Socket.connect(server.port)
                    raw.raw(b"GET / HT")
                    raw.abort()
                elif number % 3 == 1:
                    agent = await Socket.open(server.port)
                    agent.send(handshake(f"N{number}"))
                    agent.abort()
                else:
                    agent = await Agent.join(server.port, f"N{number}")
                    agent.send(broadcast(agent, number))
                    agent.abort()

        for start in range(0, 150, 30):
            await asyncio.gather(*(come_and_drop(number) for number in range(start, start + 30)))
        last = await Agent.join(server.port, "Last")
        await until(lambda: server.snapshot().open_sockets == 2)

        assert {agent.name for agent in server.snapshot().hub.agents} == {"Watcher", "Last"}
        assert server.snapshot().queued.keys() == server._sockets.keys() and len(server._sockets) == 2
        last.send(broadcast(last, 1000))
        while number_of(await watcher.until("broadcastRequest")) != 1000:
            pass


@in_a_loop
async def test_a_flood_of_frames_that_say_nothing_is_ended():
    async with running() as server:
        watcher = await watch(server)
        for opcode, options in ((PING, {}), (CONTINUATION, {"fin": False})):
            bad = await Agent.join(server.port, "Flood")
            bad.frame(TEXT, b"", fin=False)
            for _ in range(6_000):
                bad.frame(opcode, **options)

            assert (await bad.ended()).code == 1008
            assert await leaves(watcher) == "Flood"


@in_a_loop
async def test_a_mistake_of_ours_costs_only_the_agent_that_met_it(monkeypatch, caplog):
    async with running() as server:
        received = server._hub.received

        def fail(conn, raw, at):
            if b"unlucky" in raw:
                raise KeyError(raw)
            return received(conn, raw, at)

        monkeypatch.setattr(server._hub, "received", fail)
        watcher = await watch(server)
        unlucky = await Agent.join(server.port, "Bad")
        unlucky.send(b'{"unlucky": "hush"}')

        ended = await unlucky.ended()

        assert (ended.code, ended.reason) == (1011, "")
        assert await leaves(watcher) == "Bad"
        await still_relays(server)
    assert "KeyError" in caplog.text and "hush" not in caplog.text


@in_a_loop
async def test_random_damage_harms_nobody(caplog):
    """Upgrades, frames and messages with a few bytes changed; the seed is fixed so that a failure comes again."""
    random = Random(4)
    async with running() as server:
        watcher = await watch(server)
        samples = [json.dumps(each).encode() for each in (broadcast(watcher, 1), open_request(watcher, "One", "r"))]

        def damaged(text):
            text = bytearray(text)
            for _ in range(random.randrange(3)):
                text[random.randrange(len(text))] = random.randrange(256)
            return bytes(text)

        for _ in range(150):
            bad = await Socket.connect(server.port)
            with suppress(ConnectionError):
                bad.raw(damaged(upgrade_request(server.port, {})))
                for text in (json.dumps(handshake("Bad")).encode(), *random.choices(samples, k=5)):
                    opcode = random.choice([TEXT] * 20 + list(range(16)))
                    bad.frame(opcode, damaged(text), fin=random.random() < 0.9, masked=random.random() < 0.98)
                await bad.writer.drain()
            await asyncio.sleep(0)
            bad.abort()

        await until(lambda: server.snapshot().open_sockets == 1)
        watcher.send(broadcast(watcher, 1))
        await still_relays(server)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
