"""A bridge in this process, for tests of the console's side: it lists what a test puts in, and does what it is told."""

from dataclasses import replace
from itertools import count
from types import SimpleNamespace

from agents.clock import database_now
from agents.models import Source
from agents.readings import read_source
from bridge import link
from bridge.kind import BRIDGE, waits
from bridge.models import BridgeProcess, BridgeSource
from bridge.protocol.identity import AppKey
from bridge.protocol.peers import Traffic
from bridge.protocol.snapshot import Agent, ChannelMember, PrivateChannel

_numbers = count(1)


def agent(name="agent-A", **overrides):
    values = {
        "session_id": f"00000000-0000-4000-8000-{next(_numbers):012}",
        "conn": next(_numbers),
        "name": name,
        "requested_name": name,
        "principal": None,
        "fdc3_version": "2.2",
        "provider": "Sail",
        "provider_version": "1.4",
        "optional_features": {"OriginatingAppMetadata": True, "DesktopAgentBridging": True},
        "connected_at": 1_790_000_000.0,
        "channels": ("red",),
        "traffic": Traffic(received=12, received_bytes=3400, sent=9, sent_bytes=2100),
        "requests_in_flight": 0,
        "results_awaited": 0,
        "answers_owed": 0,
        "silent_rounds": 0,
    }
    return Agent(**(values | overrides))


def app(name, desktop_agent, instance="i-1"):
    return AppKey(name, instance, desktop_agent)


def member(key, *, events=(), contexts=()):
    return ChannelMember(key, 1_790_000_100.0, tuple(events), tuple(contexts))


def channel(channel_id="prices-1", creator=None, *others, **overrides):
    """Of its creator and `others`, each an `AppKey` or a whole member."""
    creator = creator or app("pricer", "agent-A")
    members = [each if isinstance(each, ChannelMember) else member(each) for each in (creator, *others)]
    values = {
        "id": channel_id,
        "home": creator.desktop_agent,
        "creator": creator,
        "created_at": 1_790_000_100.0,
        "members": tuple(members),
        "refused": (),
        "messages": 3,
        "bytes": 1500,
        "last_message_at": 1_790_000_200.0,
    }
    return PrivateChannel(**(values | overrides))


class FakeServer:
    def __init__(self, *agents, channels=()):
        self.hub = replace(link.NOBODY, agents=tuple(agents), private_channels=tuple(channels))
        self.asked, self.hangs, self.obeys = [], False, True

    def run_in_loop(self, function, within=5.0):
        if self.hangs:
            raise TimeoutError
        return function()

    def snapshot(self):
        return SimpleNamespace(hub=self.hub, port=4475)

    def disconnect_agent(self, session_id):
        self.asked.append(session_id)
        if self.obeys:
            self.set(agents=[each for each in self.hub.agents if each.session_id != session_id])

    def disconnect_app(self, channel_id, key):
        self.asked.append((channel_id, key))
        if self.obeys:
            self.set(channels=[_without(each, key) for each in self.hub.private_channels])

    def set(self, *, agents=None, channels=None):
        agents = self.hub.agents if agents is None else tuple(agents)
        channels = self.hub.private_channels if channels is None else tuple(channels)
        self.hub = replace(self.hub, agents=agents, private_channels=channels)


def _without(channel, key):
    members = tuple(each for each in channel.members if each.app != key)
    return replace(channel, members=members, refused=(*channel.refused, key))


def make_bridge(name="desk", *, server=None, runs=True, **own):
    """A bridge's source, read from `server` where there is one."""
    at = database_now()
    source = Source.objects.create(name=name, kind=BRIDGE.name, created_at=at, **waits())
    BridgeSource.objects.create(source=source, **own)
    if server:
        link.Link(source.pk, server)
        read_source(source.pk)
        source.refresh_from_db()
    if runs:
        token = "00000000-0000-4000-8000-000000000000"
        process = {"token": token, "name": "process 1 on desk", "port": 4475, "started_at": at, "beat_at": at}
        BridgeProcess.objects.create(source=source, **process)
    return source
