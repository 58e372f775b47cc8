"""Sockets around the world: what arrives is logged, answered or, on order, treated badly."""

import asyncio
import json
import logging
from contextlib import suppress

from agents.webconnect.standin.control import Control, same_machine
from agents.webconnect.standin.faults import Fault
from agents.webconnect.standin.log import Arrival
from agents.webconnect.standin.misbehaviour import Victim, misbehave
from agents.webconnect.standin.page import STYLE, page
from agents.webconnect.standin.problems import Problem, Refused
from agents.webconnect.standin.service import BASE, Answer, Request
from agents.webconnect.standin.wire import Received, Wire
from agents.webconnect.standin.world import World

HOST = "127.0.0.1"
LINGER_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Server:
    def __init__(self, world: World) -> None:
        self._world = world
        self._control = Control(world, self._release)
        self._connections: set[asyncio.Task[None]] = set()
        self._held: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._connected, HOST, port, backlog=1024)

    async def stop(self, server: asyncio.Server) -> None:
        server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _release(self) -> None:
        """End the connections that a fault keeps waiting."""
        for task in list(self._held):
            task.cancel()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._converse(Wire(reader, writer))
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or we were told to go
        except Exception:
            logger.exception("The stand-in failed")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _converse(self, wire: Wire) -> None:
        while True:
            try:
                received = await wire.receive()
            except Refused as refused:
                await self._turn_away(wire, refused)
                return
            if received is None:
                return
            await self._respond(wire, received)
            if not wire.next_cycle():
                return

    async def _turn_away(self, wire: Wire, refused: Refused) -> None:
        if not wire.can_answer:
            return
        await wire.send(self._world.service.refusal(refused), at=self._date(), close=True)
        # Closing while the client still sends would reset the connection and take our answer with it.
        with suppress(TimeoutError, OSError):
            wire.writer.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                while await wire.reader.read(65_536):
                    pass

    async def _respond(self, wire: Wire, received: Received) -> None:
        if received.path.startswith(f"{BASE}/"):
            await self._respond_as_service(wire, received)
        else:
            await wire.send(self._respond_locally(received), at=self._date())

    def _respond_locally(self, received: Received) -> Answer:
        if not same_machine(received.headers):
            return Answer(403, Problem.CROSS_SITE.body())
        if received.path.startswith("/control/"):
            return self._control.answer(received.method, received.path, received.query, received.body)
        if received.method != "GET":
            return Answer(405, Problem.METHOD.body(), (("Allow", "GET"),))
        if received.path == "/":
            return page(self._world)
        if received.path == "/standin.css":
            return STYLE
        return Answer(404, Problem.NO_SUCH_PATH.body())

    async def _respond_as_service(self, wire: Wire, received: Received) -> None:
        world = self._world
        request = Request(
            received.method,
            received.path,
            received.query,
            received.headers.get("authorization"),
            received.body,
        )
        endpoint = world.service.route_name(request.path)
        arrival = world.log.note(
            clock=world.clock.now(),
            method=request.method,
            path=request.path,
            query=request.query,
            endpoint=endpoint,
            key=world.service.key_name(request.authorization),
            body=request.body,
        )
        faults = world.faults.meet(endpoint, request.body)
        if faults:
            await self._respond_badly(wire, request, arrival, faults)
            return
        answer = self._apply(request, arrival)
        if answer.hold:
            await asyncio.sleep(answer.hold)
        # Noted before the bytes leave, so that who has the answer also finds it in the log.
        arrival.status = answer.status
        await wire.send(answer, at=self._date())

    def _apply(self, request: Request, arrival: Arrival) -> Answer:
        arrival.applied = True
        return self._world.service.answer(request, self._world.clock.now())

    async def _respond_badly(self, wire: Wire, request: Request, arrival: Arrival, faults: list[Fault]) -> None:
        arrival.fault = ", ".join(fault.kind for fault in faults)
        task = asyncio.current_task()
        assert task is not None
        self._held.add(task)
        try:
            worst = faults[-1]
            delay = sum(fault.numbers["seconds"] for fault in faults if fault.kind == "latency")
            await asyncio.sleep(delay)
            if worst.kind == "ends-first":
                self._end_named_session(request)
            truth = self._apply(request, arrival) if worst.applies else Answer(200)
            await misbehave(Victim(wire, truth, arrival, self._date()), worst)
        finally:
            self._held.discard(task)

    def _end_named_session(self, request: Request) -> None:
        with suppress(ValueError, KeyError, TypeError):
            session = self._world.connections.sessions.get(json.loads(request.body)["sessionId"])
            if session:
                self._world.connections.end(session, self._world.clock.now())

    def _date(self) -> float | None:
        switches = self._world.switches
        if switches["date-header"] == "absent":
            return None
        return self._world.clock.now() + switches.number("clock-skew")
