"""Our example of every message through real sockets: what one agent says is what the other hears."""

import json

import pytest

from bridge.protocol.messages import from_bridge
from bridge.protocol.versions import Version
from bridge.tests.reference import examples, needed, sent_by_bridge
from bridge.tests.sockets import Agent, Socket, broadcast, in_a_loop, running

FDC3 = {Version.V2_2: "2.2", Version.NEXT: "3.0"}
NAMES = ("agent-A", "agent-B", "agent-C")
ALL = {entry["file"]: (version, entry, text) for version, entry, text in examples()}
FROM_AGENTS = [file for file, (_, entry, _) in ALL.items() if not sent_by_bridge(entry)]
REQUESTS = [file for file in FROM_AGENTS if file.endswith("Request.agent.json") or "PrivateChannel" in file]
ANSWERS = [file for file in FROM_AGENTS if "Response." in file]
#: What the bridge says in one response is made of those of all agents.
COLLATED = ("findInstances", "findIntent", "findIntentsByContext")

pytestmark = needed


def example(file):
    return json.loads(ALL[file][2])


def at_bridge(file):
    """The example of what the bridge makes of it."""
    return example(file.replace(".void.", ".").replace(".context.", ".").replace(".agent.", ".bridge."))


async def join(server, file):
    version = ALL[file][0]
    optional = {"optionalFeatures": {"UserChannelMembershipAPIs": True, "DesktopAgentBridging": True}}
    metadata = optional if version is Version.NEXT else {}
    agents = [await Agent.join(server.port, name, version=FDC3[version], **metadata) for name in NAMES]
    for agent, others in zip(agents, (2, 1, 0), strict=True):
        for _ in range(others):
            await agent.until("connectedAgentsUpdate")
    return agents


def test_every_example_of_an_agent_is_sent():
    left = set(FROM_AGENTS) - set(REQUESTS) - set(ANSWERS)

    assert {file.rpartition("/")[2] for file in left} == {"handshake.json"}


@pytest.mark.parametrize("file", [file for file in FROM_AGENTS if file.endswith("handshake.json")])
def test_the_example_of_a_handshake_is_answered(file):
    @in_a_loop
    async def scenario():
        async with running() as server:
            agent = await Socket.open(server.port)
            agent.send(ALL[file][2])
            update = await agent.until("connectedAgentsUpdate")

        assert update["payload"]["addAgent"] == example(file)["payload"]["requestedName"]
        assert update["payload"]["channelsState"] == example(file)["payload"]["channelsState"]
        assert update["meta"]["requestUuid"] == example(file)["meta"]["requestUuid"]
        assert from_bridge(json.dumps(update).encode(), ALL[file][0])

    scenario()


@pytest.mark.parametrize("file", REQUESTS)
def test_the_example_of_a_request_reaches_whom_it_is_for(file):
    @in_a_loop
    async def scenario():
        async with running() as server:
            one, two, three = await join(server, file)
            one.send(ALL[file][2])
            one.send(broadcast_of(one, file))
            directed = "destination" in example(file)["meta"]

            for agent in (two,) if directed else (two, three):
                heard = await agent.message()
                assert heard == at_bridge(file)
                assert from_bridge(json.dumps(heard).encode(), ALL[file][0])
            assert (await three.message())["payload"].get("channelId") == "the-next"

    scenario()


def broadcast_of(agent, file):
    """Valid in the version of that example."""
    message = broadcast(agent, 1, channel="the-next")
    if ALL[file][0] is Version.NEXT:
        message["payload"]["metadata"] = {}
    return message


@pytest.mark.parametrize("file", ANSWERS)
def test_the_example_of_an_answer_reaches_whoever_asked(file):
    @in_a_loop
    async def scenario():
        answer = example(file)
        kind = answer["type"].removesuffix("Response").replace("raiseIntentResult", "raiseIntent")
        folder = file.partition("/")[0]
        async with running() as server:
            one, two, three = await join(server, file)
            one.send(example(f"{folder}/{kind}Request.agent.json"))
            await two.message()
            if answer["type"] == "raiseIntentResultResponse":
                two.send(example(f"{folder}/raiseIntentResponse.agent.json"))
                await one.until("raiseIntentResponse")
            if kind in COLLATED:
                await three.message()
                three.send({**answer, "payload": {"error": "NoAppsFound"}})
            two.send(answer)
            heard = await one.message()

        assert (heard["type"], heard["meta"]["requestUuid"]) == (answer["type"], answer["meta"]["requestUuid"])
        assert from_bridge(json.dumps(heard).encode(), ALL[file][0])
        if kind in COLLATED:
            check_collated(heard, answer)
        else:
            assert heard["meta"]["responseUuid"] == answer["meta"]["responseUuid"]
            who = "errorSources" if "error" in answer["payload"] else "sources"
            assert heard["meta"][who] == [{"desktopAgent": "agent-B"}]
            if ".void." not in file and ".context." not in file:
                assert heard["payload"] == at_bridge(file)["payload"]
            else:
                assert heard["payload"] == answer["payload"]

    scenario()


def check_collated(heard, answer):
    said = {"desktopAgent": "agent-B"}
    failed = heard["meta"]["errorSources"]
    if "error" in answer["payload"]:
        assert sorted(each["desktopAgent"] for each in failed) == ["agent-B", "agent-C"]
        assert heard["payload"] == {"error": "NoAppsFound"}
    else:
        assert (heard["meta"]["sources"], failed) == ([said], [{"desktopAgent": "agent-C"}])
        assert without_hosts(heard["payload"]) == without_hosts(answer["payload"])


def without_hosts(part):
    """With each app's desktopAgent left away, which must be agent-B's where there is one."""
    if isinstance(part, dict):
        assert part.get("desktopAgent", "agent-B") == "agent-B"
        return {key: without_hosts(value) for key, value in part.items() if key != "desktopAgent"}
    return [without_hosts(each) for each in part] if isinstance(part, list) else part
