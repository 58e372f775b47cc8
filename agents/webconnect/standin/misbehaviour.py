"""What the faults do to a connection. Each sends a whole answer, or leaves the connection to be closed."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from agents.webconnect.standin.faults import Fault
from agents.webconnect.standin.hostile import with_hostile_rows
from agents.webconnect.standin.log import Arrival
from agents.webconnect.standin.problems import Problem
from agents.webconnect.standin.service import Answer
from agents.webconnect.standin.wire import CHUNK, Wire

SLICES = 20
CLAIMED = 1_000_000


@dataclass(frozen=True, slots=True)
class Victim:
    wire: Wire
    truth: Answer
    """What the service answered; for a fault that comes before the service, an empty 200."""
    arrival: Arrival
    at: float | None


type Misbehaviour = Callable[[Victim, Fault], Awaitable[None]]


async def misbehave(victim: Victim, fault: Fault) -> None:
    await MISBEHAVIOURS[fault.kind](victim, fault)


async def _answer(victim: Victim, answer: Answer) -> None:
    victim.arrival.status = answer.status
    await victim.wire.send(answer, at=victim.at)


async def _status(victim: Victim, fault: Fault) -> None:
    status = int(fault.numbers["status"])
    body = fault.texts["body"].encode("utf-8", "replace") or Problem.OUR_FAULT.body()
    retry_after = fault.texts["retry_after"]
    headers = (("Retry-After", retry_after),) if retry_after else ()
    await _answer(victim, Answer(status, b"" if status in (204, 304) else body, headers))


async def _redirect(victim: Victim, fault: Fault) -> None:
    location = fault.texts["location"]
    await _answer(victim, Answer(302, headers=(("Location", location),), content_type=""))


async def _html(victim: Victim, fault: Fault) -> None:
    start = b"<!doctype html><title>Sign in</title><p>Please sign in to the network.</p>"
    size, filler = int(fault.numbers["bytes"]), b"<p>Lorem ipsum.</p>\n"
    body = (start + filler * (size // len(filler) + 1))[:size]
    await _answer(victim, Answer(200, body, content_type="text/html; charset=utf-8"))


async def _not_json(victim: Victim, fault: Fault) -> None:
    await _answer(victim, Answer(200, fault.texts["body"].encode("utf-8", "replace"), content_type="text/plain"))


async def _invalid_json(victim: Victim, fault: Fault) -> None:
    body = victim.truth.body or b'{"accepted": true}'
    await _answer(victim, replace(victim.truth, status=200, body=body[: len(body) // 2 or 1]))


async def _hostile_rows(victim: Victim, fault: Fault) -> None:
    await _answer(victim, replace(victim.truth, body=with_hostile_rows(victim.truth.body)))


async def _huge_list(victim: Victim, fault: Fault) -> None:
    count = int(fault.numbers["rows"])
    row = b'{"agentId":"flood","sessionId":"%07d","direction":"send","connectionId":["flood"]}'
    wrapper = b'{"totalSize":%d,"fetchSize":%d,"startIndex":0,"maxResults":1000,"status":[' % (count, count)
    await _answer(victim, Answer(200, wrapper + b",".join(row % n for n in range(count)) + b"]}"))


async def _gzip_bomb(victim: Victim, fault: Fault) -> None:
    body = _bomb(int(fault.numbers["bytes"]))
    await _answer(victim, Answer(200, body, (("Content-Encoding", "gzip"),)))


@lru_cache(maxsize=2)
def _bomb(size: int) -> bytes:
    return gzip.compress(b" " * size, compresslevel=1)


async def _truth(victim: Victim, fault: Fault) -> None:
    await _answer(victim, victim.truth)


async def _late(victim: Victim, fault: Fault) -> None:
    await asyncio.sleep(fault.numbers["seconds"])
    await _answer(victim, victim.truth)


async def _hang(victim: Victim, fault: Fault) -> None:
    while await victim.wire.reader.read(CHUNK):
        pass


async def _trickle(victim: Victim, fault: Fault) -> None:
    wire = victim.wire
    wire.write(wire.head(Answer(200), at=victim.at, length=CLAIMED))
    for _ in range(CLAIMED - 1):
        wire.write(b" ")
        await wire.drain()
        await asyncio.sleep(fault.numbers["seconds"])


async def _trickle_headers(victim: Victim, fault: Fault) -> None:
    wire = victim.wire
    wire.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while True:
        wire.write(b"x")
        await wire.drain()
        await asyncio.sleep(fault.numbers["seconds"])


async def _slow_body(victim: Victim, fault: Fault) -> None:
    wire, body = victim.wire, victim.truth.body
    if not body:
        await _late(victim, fault)
        return
    wire.write(wire.head(victim.truth, at=victim.at, close=True))
    size = len(body) // SLICES + 1
    for start in range(0, len(body), size):
        await asyncio.sleep(fault.numbers["seconds"] / SLICES)
        wire.write(body[start : start + size])
        await wire.drain()
    victim.arrival.status = victim.truth.status


async def _cut(victim: Victim, fault: Fault) -> None:
    victim.wire.cut()


async def _cut_midway(victim: Victim, fault: Fault) -> None:
    """Within the headers where there is no body. Some clients, Python's among them, take that for the whole
    answer: 200, no Content-Length, empty body."""
    wire, truth = victim.wire, victim.truth
    head = wire.head(truth, at=victim.at)
    wire.write(head + truth.body[: len(truth.body) // 2] if truth.body else head[: len(head) // 2])
    await wire.drain()
    wire.writer.close()


async def _wrong_length(victim: Victim, fault: Fault) -> None:
    wire, truth = victim.wire, victim.truth
    wire.write(wire.head(truth, at=victim.at, length=len(truth.body) + 100) + truth.body)
    await wire.drain()


async def _garbage(victim: Victim, fault: Fault) -> None:
    victim.wire.write(b"SSH-2.0-not_http\r\n\x00\x01\x02\xff\xfe" * 20)
    await victim.wire.drain()


MISBEHAVIOURS: dict[str, Misbehaviour] = {
    "latency": _truth,
    "late": _late,
    "ends-first": _truth,
    "status": _status,
    "hang": _hang,
    "trickle": _trickle,
    "trickle-headers": _trickle_headers,
    "slow-body": _slow_body,
    "cut-before": _cut,
    "cut-after": _cut,
    "cut-midway": _cut_midway,
    "wrong-length": _wrong_length,
    "html": _html,
    "not-json": _not_json,
    "invalid-json": _invalid_json,
    "garbage": _garbage,
    "huge-list": _huge_list,
    "hostile-rows": _hostile_rows,
    "gzip-bomb": _gzip_bomb,
    "redirect": _redirect,
}
