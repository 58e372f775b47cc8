"""Desktop agents on real sockets for tests that are no coroutines: their loop runs in a thread of its own."""

import asyncio
import threading
from contextlib import contextmanager
from uuid import uuid4

from agents.tests.survival.harness import wait_for
from bridge.tests.sockets import NOW, Agent, Ended, handshake


class LiveAgent:
    """An agent that reads all it is sent, answers pings, and keeps the messages."""

    def __init__(self, agents, socket, name):
        self._agents, self._socket, self.name = agents, socket, name
        self.messages, self.ended = [], None
        self._reading = agents.run_later(self._read())

    async def _read(self):
        try:
            while True:
                self.messages.append(await self._socket.message())
        except Ended as ended:
            self.ended = ended

    def send(self, message):
        self._agents.call(self._socket.send, message)

    def of_type(self, wanted):
        return [message for message in list(self.messages) if message["type"] == wanted]

    def wait_for(self, wanted, count=1):
        """The messages of that type, as soon as there are so many."""
        return wait_for(
            lambda: len(self.of_type(wanted)) >= count and self.of_type(wanted), what=f"{wanted}, but {self}"
        )

    def __repr__(self):
        return f"{self.name}: {[message['type'] for message in self.messages]}, {self.ended}"

    def source(self, app):
        return {"appId": app, "instanceId": f"{app}-1", "desktopAgent": self.name}

    def tell(self, kind, channel, app, to, to_app, **payload):
        """A PrivateChannel message of one of its apps to an app of another agent."""
        meta = {
            "requestUuid": str(uuid4()),
            "timestamp": NOW,
            "source": self.source(app),
            "destination": to.source(to_app),
        }
        self.send({"type": f"PrivateChannel.{kind}", "payload": {"channelId": channel, **payload}, "meta": meta})


class Agents:
    def __init__(self):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._sockets = []

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def run_later(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function, *args):
        self._loop.call_soon_threadsafe(function, *args)

    def join(self, port, name, **said):
        socket = self.run(Agent.join(port, name, **said))
        self._sockets.append(socket)
        return LiveAgent(self, socket, socket.name)

    def refused(self, port, name, token=None):
        """What the bridge says to a handshake that it does not take."""

        async def knock():
            socket = await Agent.open(port)
            self._sockets.append(socket)
            await socket.until("hello")
            socket.send(handshake(name, token=token))
            failed = await socket.until("authenticationFailed")
            await socket.ended()
            return failed["payload"]["message"]

        return self.run(knock())

    def private_channel(self, channel, home, creator, participant, app):
        """`app` of `participant` raises an intent that `creator` of `home` answers with a private channel."""
        meta = {"requestUuid": str(uuid4()), "timestamp": NOW, "source": participant.source(app)}
        meta["destination"] = home.source(creator)
        payload = {"intent": "ViewQuote", "context": {"type": "fdc3.instrument"}, "app": home.source(creator)}
        participant.send({"type": "raiseIntentRequest", "payload": payload, "meta": meta})
        request = home.wait_for("raiseIntentRequest")[-1]["meta"]["requestUuid"]
        by = {"appId": creator, "instanceId": f"{creator}-1"}
        self._answer(home, request, "raiseIntentResponse", {"intentResolution": {"intent": "ViewQuote", "source": by}})
        result = {"intentResult": {"channel": {"id": channel, "type": "private"}}}
        self._answer(home, request, "raiseIntentResultResponse", result)
        participant.wait_for("raiseIntentResultResponse")

    def _answer(self, agent, request, kind, payload):
        meta = {"requestUuid": request, "responseUuid": str(uuid4()), "timestamp": NOW}
        agent.send({"type": kind, "payload": payload, "meta": meta})

    def leave(self):
        """All of them at once, without a word."""

        async def abort_all():
            for socket in self._sockets:
                socket.abort()
            await asyncio.gather(*(socket.writer.wait_closed() for socket in self._sockets), return_exceptions=True)
            self._sockets.clear()

        self.run(abort_all())

    def end(self):
        self.leave()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@contextmanager
def live_agents():
    agents = Agents()
    try:
        yield agents
    finally:
        agents.end()
