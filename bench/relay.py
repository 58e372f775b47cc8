"""What the bridge costs: CPU of its process, beside a relay of a dozen lines on Node that checks nothing.

One process holds all desktop agents and drives both, turn about. The bridge parses and validates each message in full,
stamps it, and writes it anew for the version of its receiver; the other parses, stamps and forwards.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean, median
from uuid import uuid4

from picows import WSFrame

from bench.bridging import (
    Agent,
    Bridge,
    bare_relay,
    broadcast,
    find_intent,
    found_intent,
    join,
    open_channel,
    our_bridge,
    private_broadcast,
    why_no_relay,
)
from bench.measure import PATIENCE, Figure, ratios

IN_FLIGHT = 256


@dataclass
class Cost:
    """CPU seconds of the bridge for one delivered message, and how many were delivered in a second."""

    each: float
    rate: float


def run(*, quick: bool) -> list[Figure]:
    rounds, messages = (3, 10_000) if quick else (9, 40_000)
    figures = _relayed(rounds, messages)
    with our_bridge() as bridge:
        figures.append(asyncio.run(_broadcasts(bridge, rounds, messages)))
    with our_bridge() as bridge:
        figures.append(asyncio.run(_collated(bridge, rounds, messages // 20)))
    figures.append(_joined(rounds=2 if quick else 5))
    return figures


def _relayed(rounds: int, messages: int) -> list[Figure]:
    """From one agent to one other, of ours and of the other in turn; a round that does not count goes before."""
    if missing := why_no_relay():
        print(f"left out: the comparison with a relay on Node, since {missing}")
        return []
    with our_bridge() as ours, bare_relay() as node:
        both = {"ours": ours, "node": node}
        return [
            asyncio.run(_relay(both, rounds, messages, in_flight=IN_FLIGHT, bound=1.2)),
            asyncio.run(_relay(both, rounds, messages // 5, in_flight=1, bound=2.0)),
        ]


async def _relay(bridges: dict[str, Bridge], rounds: int, messages: int, *, in_flight: int, bound: float) -> Figure:
    costs: dict[str, list[Cost]] = {name: [] for name in bridges}
    pairs = {name: [await join(bridge, f"{letter}{in_flight}") for letter in "ab"] for name, bridge in bridges.items()}
    await open_channel(*pairs["ours"])
    for _ in range(rounds + 1):
        for name, bridge in bridges.items():
            one, two = pairs[name]
            sends = [(one, private_broadcast(one.name, two.name))]
            costs[name].append(await _flow(bridge, sends, [two], messages, in_flight))
    each = {name: [cost.each for cost in costs[name][1:]] for name in bridges}
    detail = [f"{name} {_micro(each[name])}, {_rate(costs[name])} a second" for name in bridges]
    return Figure(
        f"relay of 500 bytes, {in_flight} in flight, CPU times a bare relay on Node that validates nothing",
        ratios(each["ours"], each["node"]),
        bound=bound,
        aim=1.0,
        detail="; ".join(detail),
    )


async def _broadcasts(bridge: Bridge, rounds: int, messages: int) -> Figure:
    """To all others: of one agent to one, and of ten agents to 49 each; both on one bridge, one after the other."""
    one, two = [await join(bridge, name) for name in ("one", "two")]
    sends = [(one, broadcast(one.name))]
    few = [(await _flow(bridge, sends, [two], messages, IN_FLIGHT)).each for _ in range(rounds + 1)][1:]
    one.transport.disconnect()
    two.transport.disconnect()
    agents = [await join(bridge, f"agent-{number}") for number in range(50)]
    sends = [(agent, broadcast(agent.name)) for agent in agents[:10]]
    many = [(await _flow(bridge, sends, agents, messages // 10, IN_FLIGHT)).each for _ in range(rounds + 1)][1:]
    return Figure(
        "10 of 50 agents broadcast, CPU a delivered message, times that of two agents",
        ratios(many, few),
        bound=1.2,
        aim=1.0,
        detail=f"two agents {_micro(few)}, 50 agents {_micro(many)}",
    )


async def _flow(
    bridge: Bridge, sends: list[tuple[Agent, bytes]], receivers: list[Agent], messages: int, in_flight: int
) -> Cost:
    """Each sends in turn, to all receivers but itself, as soon as an earlier message has reached as many."""
    done = asyncio.get_running_loop().create_future()
    reach = len(receivers) - (sends[0][0] in receivers)
    sent = got = 0

    def send() -> None:
        nonlocal sent
        agent, data = sends[sent % len(sends)]
        agent.send(data)
        sent += 1

    def arrived(frame: WSFrame) -> None:
        nonlocal got
        got += 1
        if got % reach == 0 and sent < messages:
            send()
        if got == messages * reach:
            done.set_result(None)

    for receiver in receivers:
        receiver.on_message = arrived
    cpu, began = bridge.cpu(), time.perf_counter()
    for _ in range(min(in_flight, messages)):
        send()
    async with asyncio.timeout(PATIENCE):
        await done
    return Cost((bridge.cpu() - cpu) / got, got / (time.perf_counter() - began))


async def _collated(bridge: Bridge, rounds: int, requests: int) -> Figure:
    """One asks, so many others answer, with three apps each."""
    asker = await join(bridge, "asker")
    cost: dict[int, list[float]] = {}
    for count in range(1, 11):
        answerer = await join(bridge, f"answerer-{count}")
        answerer.on_message = partial(_answer, answerer)
        if count > 1 and count % 2 == 0:
            cost[count] = [await _ask(bridge, asker, requests) for _ in range(rounds + 1)][1:]
    return Figure(
        "findIntent collated over 10 agents, CPU for each that is asked, times the same over 2",
        [ten / two / 5 for two, ten in zip(cost[2], cost[10], strict=True)],
        bound=1.2,
        aim=1.0,
        detail=", ".join(f"{count} agents {_micro(each)}" for count, each in cost.items()),
    )


def _answer(agent: Agent, frame: WSFrame) -> None:
    request = frame.get_payload_as_bytes()
    if b'"findIntentRequest"' in request:
        agent.send(found_intent(request.partition(b'"requestUuid":"')[2].partition(b'"')[0].decode()))


async def _ask(bridge: Bridge, asker: Agent, requests: int) -> float:
    """CPU seconds of one request, with 16 in flight."""
    done = asyncio.get_running_loop().create_future()
    asked = answered = 0

    def ask() -> None:
        nonlocal asked
        asker.send(find_intent(asker.name, str(uuid4())))
        asked += 1

    def arrived(frame: WSFrame) -> None:
        nonlocal answered
        answered += 1
        if asked < requests:
            ask()
        if answered == requests:
            done.set_result(None)

    asker.on_message = arrived
    cpu = bridge.cpu()
    for _ in range(min(16, requests)):
        ask()
    async with asyncio.timeout(PATIENCE):
        await done
    return (bridge.cpu() - cpu) / requests


def _joined(rounds: int) -> Figure:
    """100 agents, one after the other, each time on a new bridge."""
    early, late = [], []
    for _ in range(rounds):
        with our_bridge() as bridge:
            middle, last = asyncio.run(_joins(bridge))
        early.append(middle)
        late.append(last)
    growth = (95.5 / 45.5) ** 2
    return Figure(
        "CPU of the last 10 of 100 joins, times what roster × receivers makes of the 41st to 50th",
        [last / middle / growth for middle, last in zip(early, late, strict=True)],
        bound=1.0,
        aim=0.6,
        detail=f"a join at 41 to 50 agents {_micro(early)}, at 91 to 100 {_micro(late)}",
    )


async def _joins(bridge: Bridge) -> tuple[float, float]:
    """CPU seconds of one join with some 45 agents there, and with some 95."""
    agents: list[Agent] = []
    spent = []
    for number in range(100):
        before = bridge.cpu()
        for agent in agents:
            agent.received = 0
        agents.append(await join(bridge, f"agent-{number}"))
        async with asyncio.timeout(PATIENCE):
            while not all(agent.received for agent in agents):
                await asyncio.sleep(0)
        spent.append(bridge.cpu() - before)
    return mean(spent[40:50]), mean(spent[90:])


def _micro(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1e6:.1f} µs"


def _rate(costs: Sequence[Cost]) -> str:
    return f"{median(cost.rate for cost in costs):,.0f}"
