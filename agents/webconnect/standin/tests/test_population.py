import random
from itertools import islice

from agents.webconnect.standin.clock import Clock
from agents.webconnect.standin.population import make_agents
from agents.webconnect.standin.tests.cast import NOON, connect, make_service
from agents.webconnect.standin.world import Beginning, World


def test_agents_look_like_the_documented_ones():
    agents = list(islice(make_agents(random.Random(1)), 2000))

    assert len({(agent.agent_id, agent.direction) for agent in agents}) == 2000
    assert all(len(agent.agent_id) <= 25 for agent in agents)
    assert all(len(name) <= 16 for agent in agents for name in agent.connection_ids)
    both = {agent.agent_id for agent in agents if agent.direction == "send"} & {
        agent.agent_id for agent in agents if agent.direction == "receive"
    }
    assert both
    old = [agent for agent in agents if not agent.supports_disconnection]
    assert {agent.version for agent in old} == {"1.1.0"}


def story(seed):
    world = World(Beginning(seed=seed, agents=30, tempo=60), FrozenClock())
    world.connections.schedule.run_until(NOON + 3600)
    return [session.row(None) for session in world.connections.sessions.listing()], world


class FrozenClock(Clock):
    def now(self):
        return NOON + self.ahead


def test_one_seed_tells_one_story():
    first, world = story(1)
    again, _ = story(1)
    other, _ = story(2)

    assert first == again
    assert first != other
    begun = {row["sessionId"] for row in first} - {
        session.session_id for session in World(Beginning(agents=30), FrozenClock()).connections.sessions.listing()
    }
    assert begun, "nobody came or reconnected in an hour"
    assert {transfer.status for transfer in world.connections.relay_log.newest_first()} == {"1", "2"}
    assert 10 < len(first) < 60


def test_reading_does_not_change_the_story():
    quiet, _ = story(1)
    world = World(Beginning(seed=1, agents=30, tempo=60, switches={"order": "shuffled"}), FrozenClock())
    for _ in range(10):
        world.service._listed("")
    world.connections.schedule.run_until(NOON + 3600)

    assert [session.row(None) for session in world.connections.sessions.listing()] == quiet


def test_without_tempo_nothing_happens_by_itself():
    world = World(Beginning(agents=5, tempo=0), FrozenClock())
    before = list(world.connections.sessions.listing())
    world.clock.advance(86_400)
    world.catch_up()

    assert list(world.connections.sessions.listing()) == before


def test_the_length_of_a_session_id_is_switched():
    service = make_service(session_id_length="64")

    assert len(connect(service, "").session_id) == 64
