"""What the bridge costs: CPU of its process for each message, beside a relay of a dozen lines on Node that checks nothing.

One process holds all desktop agents and drives both, turn about. The bridge parses and validates each message in full,
stamps it, and writes it anew for the version of its receiver; the other parses, stamps and forwards.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

from bench.bridging import Agent, Bridge, bare_relay, broadcast, join, our_bridge, private_broadcast, why_no_relay
from bench.measure import PATIENCE, Figure, ratios

IN_FLIGHT = 256


def run(*, quick: bool) -> list[Figure]:
    rounds, messages = (3, 10_000) if quick else (9, 40_000)
    with ExitStack() as stack:
        bridges = {"ours": stack.enter_context(our_bridge())}
        if missing := why_no_relay():
            print(f"left out: the comparison with a relay on Node, since {missing}")
        else:
            bridges["node"] = stack.enter_context(bare_relay())
        return asyncio.run(_measure(bridges, rounds, messages))


async def _measure(bridges: dict[str, Bridge], rounds: int, messages: int) -> list[Figure]:
    figures = []
    for in_flight in (IN_FLIGHT, 1):
        cost = {}
        for name, bridge in bridges.items():
            pass
    return figures
