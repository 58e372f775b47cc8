"""What may differ between one bridge and another."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class HubSettings:
    """Seconds, counts and bytes. The reasons for the defaults are in docs/bridge.md."""

    bridge_version: str = "1.0.0"
    auth_required: bool = False
    #: From the opening of the socket to the verified handshake.
    handshake_timeout: float = 10.0
    #: For what an agent answers out of its own knowledge (R48).
    find_timeout: float = 1.5
    #: For what may have to start an app first: the API grants an app 15 s to add its listener.
    launch_timeout: float = 20.0
    #: An agent that misses this many rounds of questions in a row is disconnected (R52); 0: never.
    silent_rounds: int = 3
    #: Tell the participants of a private channel when the agent of its creator is lost.
    announce_lost_creators: bool = True

    max_agents: int = 250
    max_name: int = 100
    #: Messages a second from one agent, and how many may come at once; a rate of 0: no limit.
    message_rate: float = 10_000.0
    message_burst: float = 20_000.0
    #: Requests of one agent that wait for answers, and results of its intents that are still to come.
    max_requests: int = 500
    max_results: int = 500
    #: The channel state, whole; what was used longest ago goes first.
    max_channels: int = 1_000
    max_contexts: int = 100
    max_state_bytes: int = 500_000
    max_context_bytes: int = 100_000
    #: Private channels remembered of one home, apps of one channel, and apps and listeners of one home.
    max_private_channels: int = 1_000
    max_members: int = 250
    max_kept: int = 5_000
    #: Messages that say at once that apps have left.
    max_goodbyes: int = 5_000
    #: Characters of an id that is remembered.
    max_id: int = 256
