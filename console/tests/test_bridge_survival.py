"""The bridge with the console as a real process, with real agents: it does what is asked, and survives a bad day."""

import socket
import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection

from agents import sending
from agents.clock import database_now
from agents.models import AgentSession, Disconnection
from agents.services import request_disconnection
from agents.states import State
from agents.tests.survival.harness import WAITS, Nursery, finished, held_writes, wait_for
from apikeys.actors import command_line_actor
from apikeys.rights import Right
from apikeys.services import revoke_key
from apikeys.tests.factory import make_key
from audit.chain import verify
from audit.models import Event
from bridge.adding import add_bridge
from bridge.models import BridgeProcess, BridgeSource
from bridge.tests.live_agents import live_agents

SHORT = {
    "CONSOLE_BRIDGE_LOOK_SECONDS": "0.1",
    "CONSOLE_BRIDGE_HEARTBEAT_SECONDS": "0.3",
    "CONSOLE_BRIDGE_SILENCE_SECONDS": "1.5",
    "CONSOLE_BRIDGE_KEY_CHECK_SECONDS": "0.2",
    "CONSOLE_BRIDGE_CONFIRM_SECONDS": "10",
    "DJANGO_SETTINGS_MODULE": "console.settings",
}


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    yield nursery
    nursery.end()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Bridge:
    """`manage.py runbridge` on a port and a source of its own."""

    def __init__(self, database, nursery, **own):
        self.port, self.name = free_port(), f"bridge-{uuid4().hex[:6]}"
        own = BridgeSource(first_port=self.port, last_port=self.port, **own)
        self.source = add_bridge(self.name, own, actor=command_line_actor())
        self._nursery, self._database, self._starts = nursery, database, 0
        self.process = self.start()

    def start(self):
        self._starts += 1
        log = self._database.data_dir / f"{self.name}-{self._starts}.log"
        env = {**self._database.env, **WAITS, **SHORT}
        self.process = self._nursery.start(["manage", "runbridge", "--name", self.name], env, log)
        listens = f"listens on ws://127.0.0.1:{self.port}"
        wait_for(lambda: log.exists() and listens in log.read_text(), what=f"the start of {self.name}: {log}")
        return self.process

    def sessions(self, *agent_ids):
        """The live sessions of these, as soon as they are all that live."""

        def all_there():
            live = {each.agent_id: each for each in AgentSession.objects.live().filter(source=self.source)}
            return set(live) == set(agent_ids) and [live[each] for each in agent_ids]

        return wait_for(all_there, what=f"sessions {agent_ids}") if agent_ids else all_there() == []

    def disconnect(self, session):
        actor = command_line_actor()
        return request_disconnection(sessions=[session], reason="upkeep", actor=actor, token=uuid4())


@pytest.fixture(scope="module")
def bridge(committed_db_of_module, nursery):
    bridge = Bridge(committed_db_of_module, nursery)
    yield bridge
    bridge.process.kill()


@pytest.fixture
def agents():
    """They have left, as far as the console knows, when the next test begins."""
    with live_agents() as agents:
        yield agents
    wait_for(lambda: not AgentSession.objects.live().exists(), what="the end of all sessions")


@pytest.fixture
def pair(bridge, agents):
    """Two agents with a private channel between an app of each."""
    first, second = agents.join(bridge.port, "agent-A"), agents.join(bridge.port, "agent-B")
    agents.private_channel("prices", first, "pricer", second, "trader")
    second.tell("eventListenerAdded", "prices", "trader", first, "pricer", listenerType="disconnect")
    return first, second


ALL = ("agent-A", "agent-B", "pricer of agent-A", "trader of agent-B")


def test_an_agent_is_seen_disconnected_and_proved_gone(bridge, pair):
    first, second = pair
    session = bridge.sessions(*ALL)[0]

    [row] = finished(bridge.disconnect(session))

    assert row.state == State.CONFIRMED, row.explanation
    assert wait_for(lambda: first.ended)
    update = second.wait_for("connectedAgentsUpdate", 1)[-1]
    assert update["payload"].get("removeAgent") == "agent-A" or second.wait_for("connectedAgentsUpdate", 2)


def test_an_app_is_put_out_of_its_private_channel(bridge, pair):
    first, second = pair
    session = bridge.sessions(*ALL)[3]

    [row] = finished(bridge.disconnect(session))

    assert row.state == State.CONFIRMED, row.explanation
    goodbye = first.wait_for("PrivateChannel.onDisconnect")[0]
    assert goodbye["meta"]["source"]["appId"] == "trader"
    second.tell("broadcast", "prices", "trader", first, "pricer", context={"type": "fdc3.x"})
    first.tell("broadcast", "prices", "pricer", second, "trader", context={"type": "fdc3.x"})
    second.tell("eventListenerAdded", "other", "chat", first, "pricer", listenerType="disconnect")
    first.wait_for("PrivateChannel.eventListenerAdded", 2)
    assert not first.of_type("PrivateChannel.broadcast") and not second.of_type("PrivateChannel.broadcast")
    assert Event.objects.filter(action="bridge.app_disconnected").exists() or wait_for(
        Event.objects.filter(action="bridge.app_disconnected").exists
    )


def test_a_database_that_is_locked_holds_up_no_agent(bridge, agents):
    first = agents.join(bridge.port, "agent-A")
    bridge.sessions("agent-A")
    with held_writes():
        second = agents.join(bridge.port, "agent-B")
        begun = time.monotonic()
        # Not "prices": that the trader was put out of that one outlasts its agents.
        agents.private_channel("quotes", first, "pricer", second, "trader")
        assert time.monotonic() - begun < 5
        if connection.vendor == "sqlite":
            assert AgentSession.objects.live().filter(source=bridge.source).count() == 1

    bridge.sessions(*ALL)


def test_a_second_process_is_refused(bridge, committed_db_of_module, nursery):
    log = committed_db_of_module.data_dir / "second.log"
    env = {**committed_db_of_module.env, **WAITS, **SHORT}

    nursery.start(["manage", "runbridge", "--name", bridge.name], env, log)

    wait_for(lambda: log.exists() and "is run already, by process" in log.read_text(), what=log)


def test_killed_while_sending_it_tells_the_truth_when_it_is_back(bridge, agents, settings):
    settings.CONSOLE_ATTEMPT_LIMIT = settings.CONSOLE_LEASE_MARGIN = timedelta(seconds=0.5)
    agents.join(bridge.port, "agent-A")
    [session] = bridge.sessions("agent-A")
    bridge.process.kill()
    operation = bridge.disconnect(session)
    row = Disconnection.objects.select_related("session").get(operation=operation)
    sending.claim([row])  # As far as its worker had come.

    bridge.start()

    [row] = finished(operation)
    assert row.state == State.CONFIRMED and "answer was lost" in row.explanation
    assert AgentSession.objects.get(pk=session.pk).ended_at
    agents.join(bridge.port, "agent-A")
    bridge.sessions("agent-A")


def test_asked_for_while_it_was_away_it_is_not_done_to_another(bridge, agents):
    """The agent that comes back has another session: the order was not about that one."""
    agents.join(bridge.port, "agent-A")
    [session] = bridge.sessions("agent-A")
    bridge.process.kill()
    operation = bridge.disconnect(session)

    bridge.start()
    agents.join(bridge.port, "agent-A")

    # The first reading of the new process finds it gone, or the hub says so, whichever is asked first.
    [row] = finished(operation)
    assert row.state == State.ALREADY_GONE
    [now] = bridge.sessions("agent-A")
    assert now.pk != session.pk and now.started_at > session.started_at


def told_of(source):
    """By the bridge: about itself and about its agents."""
    events = Event.objects.filter(action__startswith="bridge.").order_by("sequence")
    return [
        event for event in events if event.target_label == source.name or event.details.get("source") == source.name
    ]


def test_asked_to_end_it_leaves_a_true_list(bridge, agents):
    agents.join(bridge.port, "agent-A")
    bridge.sessions("agent-A")

    bridge.process._send(15)

    wait_for(lambda: not AgentSession.objects.live().filter(source=bridge.source).exists())
    wait_for(lambda: BridgeProcess.objects.get(source=bridge.source).token is None)
    actions = [event.action for event in told_of(bridge.source)]
    assert actions[0] == "bridge.started" and actions[-1] == "bridge.stopped"
    assert {"bridge.agent_connected", "bridge.agent_lost"} <= set(actions)
    assert verify().flaw is None
    bridge.start()


def test_an_api_key_opens_the_bridge_until_it_is_revoked(committed_db_of_module, nursery, agents):
    bridge = Bridge(committed_db_of_module, nursery, authentication="api_key")
    try:
        key, text = make_key("desk key", Right.BRIDGE_CONNECT)
        _, other = make_key("reader", Right.BRIDGE_GET)
        assert "asks for an authToken" in agents.refused(bridge.port, "intruder")
        for wrong in ("nonsense", "ac_" + "x" * 40, text[:-1] + "!", other):
            assert "not accepted" in agents.refused(bridge.port, "intruder", wrong)
        joined = agents.join(bridge.port, "agent-A", token=text)
        [session] = bridge.sessions("agent-A")
        assert session.received["principal"] == f"API key {key.pk}: desk key"

        revoke_key(key=key, actor=command_line_actor(), at=database_now())

        wait_for(lambda: joined.ended, what="the end of an agent without a key")
        wait_for(lambda: not AgentSession.objects.live().filter(source=bridge.source).exists())
        log = bridge._database.data_dir / f"{bridge.name}-1.log"
        assert text not in log.read_text() and "no longer opens this bridge" in log.read_text()
        [lost] = [event for event in told_of(bridge.source) if event.action == "bridge.agent_lost"]
        assert lost.details["explanation"] == "agent-A left: its API key no longer opens this bridge"
        for event in Event.objects.all():
            assert text not in str(event.details)
    finally:
        bridge.process.kill()
