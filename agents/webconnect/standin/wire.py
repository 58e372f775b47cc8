import asyncio
from dataclasses import dataclass
from email.utils import formatdate

import h11

from agents.webconnect.standin.problems import Problem, Refused
from agents.webconnect.standin.service import Answer

API_BODY = 1_000_000
CONTROL_BODY = 20_000_000
IDLE_SECONDS = 120.0
CHUNK = 65_536


@dataclass(frozen=True, slots=True)
class Received:
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Wire:
    """One TCP connection: h11 knows what the bytes mean, this moves them."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._http = h11.Connection(h11.SERVER)
        self._head_only = False

    async def receive(self) -> Received | None:
        """The next request, whole; None when the client is gone. Raises Refused for what is not one."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                return await self._receive()
        except TimeoutError:
            return None
        except h11.RemoteProtocolError as error:
            problem = Problem.TOO_LARGE if error.error_status_hint == 431 else Problem.NOT_HTTP
            raise Refused(problem, error.error_status_hint, str(error)) from None

    async def _receive(self) -> Received | None:
        head = await self._next_event()
        if not isinstance(head, h11.Request):
            return None
        self._head_only = head.method == b"HEAD"
        target = head.target.decode("ascii", "replace")
        path, _, query = target.partition("?")
        limit = CONTROL_BODY if path.startswith("/control/") else API_BODY
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in head.headers}
        if int(headers.get("content-length", "0")) > limit:
            raise Refused(Problem.TOO_LARGE, 413, f"At most {limit} bytes.")
        body = bytearray()
        while isinstance(event := await self._next_event(), h11.Data):
            body += event.data
            if len(body) > limit:
                raise Refused(Problem.TOO_LARGE, 413, f"At most {limit} bytes.")
        if not isinstance(event, h11.EndOfMessage):
            return None
        return Received(head.method.decode("ascii"), path, query, headers, bytes(body))

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if self._http.they_are_waiting_for_100_continue:
                self.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            self._http.receive_data(await self.reader.read(CHUNK))
        return event  # type: ignore[return-value]  # NEED_DATA is the loop's condition

    @property
    def can_answer(self) -> bool:
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    async def send(self, answer: Answer, *, at: float | None, close: bool = False) -> None:
        """`at`: what Date says; None: no such header."""
        data = self.head(answer, at=at, close=close)
        if answer.body and not self._head_only:
            data += self._http.send(h11.Data(answer.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self.write(data)
        await self.writer.drain()

    def head(self, answer: Answer, *, at: float | None, close: bool = False, length: int | None = None) -> bytes:
        """The beginning of an answer; `length` is what it claims, where that is not the truth."""
        headers = [("Server", "webconnect-stand-in"), *answer.headers]
        if at is not None:
            headers.append(("Date", formatdate(at, usegmt=True)))
        if answer.content_type:
            headers.append(("Content-Type", answer.content_type))
        if answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body) if length is None else length)))
        if close:
            headers.append(("Connection", "close"))
        return self._http.send(h11.Response(status_code=answer.status, headers=headers)) or b""

    def next_cycle(self) -> bool:
        """Whether the connection can take another request."""
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
            return True
        return False

    def write(self, data: bytes | None) -> None:
        if data:
            self.writer.write(data)

    async def drain(self) -> None:
        await self.writer.drain()

    def cut(self) -> None:
        self.writer.transport.abort()
