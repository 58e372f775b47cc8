"""An agent that has to show who it is, and one that asks the bridge who that is."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bridge.client.agent import DesktopAgent
from bridge.client.settings import AgentSettings
from bridge.client.tokens import signs_with, token_of, trusts
from bridge.server.settings import BadSetting
from bridge.server.tokens import TokenCheck, public_keys, signer
from bridge.tests.sockets import in_a_loop, running, until

AGENT, BRIDGE, STRANGER = (f"1b4e28ba-2fa1-41d2-883f-0016d3cca42{number}" for number in range(3))


@pytest.fixture
def keys(tmp_path):
    """For each its private key `<sub>.pem`, and a folder with its public one."""
    for sub in (AGENT, BRIDGE, STRANGER):
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (tmp_path / f"{sub}.pem").write_bytes(private)
        (tmp_path / sub).mkdir()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / sub / f"{sub}.pem").write_bytes(public)
    return tmp_path


def an_agent(server, **settings) -> DesktopAgent:
    return DesktopAgent(AgentSettings("A", first_port=server.port, last_port=server.port, pause=0.05, **settings))


@in_a_loop
async def test_r10_r17_bridge_knows_an_agent_by_its_key_each_time_it_comes(keys):
    check = TokenCheck(public_keys(keys / AGENT), 60)
    async with running(verify=check) as server, an_agent(server, sign=signs_with(keys / f"{AGENT}.pem")) as agent:
        await agent.bridged.wait()
        server.disconnect_agent(server.snapshot().hub.agents[0].session_id)
        await agent.unbridged.wait()
        await agent.bridged.wait()

        assert server.snapshot().hub.agents[0].principal == AGENT


@in_a_loop
async def test_r13_agent_with_a_strangers_key_stays_away(keys):
    check = TokenCheck(public_keys(keys / AGENT), 60)
    async with running(verify=check) as server, an_agent(server, sign=signs_with(keys / f"{STRANGER}.pem")) as agent:
        await until(lambda: agent.core._out.attempt > 2)

        assert agent.name is None


@in_a_loop
async def test_r10_token_of_a_file_is_brought_as_it_is(tmp_path):
    file = tmp_path / "key"
    file.write_text("an-api-key\n")
    seen = []

    async def verify(token):
        seen.append(token)
        return "alice"

    async with running(verify=verify) as server, an_agent(server, sign=token_of(file)) as agent:
        await agent.bridged.wait()

    assert seen == ["an-api-key"]


@in_a_loop
async def test_r9_bridge_that_has_the_key_is_trusted(keys):
    own_token = signer(keys / f"{BRIDGE}.pem")
    async with running(own_token=own_token) as server, an_agent(server, trust=trusts(keys / BRIDGE)) as agent:
        await agent.bridged.wait()


@pytest.mark.parametrize("sub", [STRANGER, None])
@in_a_loop
async def test_r9_bridge_without_the_key_gets_no_handshake(keys, sub):
    own_token = signer(keys / f"{sub}.pem") if sub else None
    async with running(own_token=own_token) as server, an_agent(server, trust=trusts(keys / BRIDGE)) as agent:
        await until(lambda: agent.core._out.attempt > 2)

        assert (agent.name, server.snapshot().hub.agents) == (None, ())


@pytest.mark.parametrize("content", ["", "x" * 10_000, "ä"])
def test_token_of_a_file_has_to_be_one(tmp_path, content):
    file = tmp_path / "token"
    file.write_text(content)

    with pytest.raises(BadSetting, match="token"):
        token_of(file)
