"""An FDC3 Desktop Agent Bridge as a kind of source: its agents and the memberships of private channels are sessions."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.template.defaultfilters import filesizeformat
from django.urls import reverse

from agents.kinds import DisconnectCall, Fact, Listing, OwnWorker, SourceKind
from agents.models import AgentSession, Disconnection, Source
from apikeys.rights import Right
from audit.services import Target
from bridge import listing
from bridge.channels import Channel, channels_with
from bridge.forms import BridgeForm
from bridge.journal import agent_target
from bridge.link import link_to

#: Private channels that the dialog names.
_NAMED = 5


def read(source: Source, take_slot: Callable[[], None]) -> Listing:
    """Raises `Unreachable` anywhere but in the bridge's own process."""
    return Listing(listing.rows_of(link_to(source.pk).snapshot()), certain=True)


def describe(source: Source, row: Mapping[str, Any]) -> dict[str, Any]:
    return listing.describe(row)


def disconnector(source: Source) -> DisconnectCall:
    link = link_to(source.pk)
    return lambda row, still_ours: link.disconnect(row.session_id_then)


def impact(session: AgentSession) -> list[str]:
    return _impact_on_app(session) if session.part_of else _impact_on_agent(session)


def _impact_on_app(session: AgentSession) -> list[str]:
    received = session.received
    sentences = [
        f"The bridge acts for the app as if it left the private channel {received['channel']}, and tells the others.",
        "From then on, until the bridge is started again, no message crosses it from or to this app on this channel. "
        "What it shares with apps of its creator's own agent does not cross the bridge and is not stopped.",
    ]
    if received["app"] == received["creator"]:
        sentences.append("It created the channel: nobody else may be left to talk to.")
    return sentences


def _impact_on_agent(session: AgentSession) -> list[str]:
    received = session.received
    sentences = ["Its connection to the bridge is closed; all its apps lose the apps of other agents."]
    if received["answersOwed"]:
        requests = _counted(received["answersOwed"], "request")
        sentences.append(f"{requests} of other agents, now in flight to it, will end with AgentDisconnected.")
    if received["inFlight"] or received["resultsAwaited"]:
        requests = _counted(received["inFlight"] + received["resultsAwaited"], "request")
        sentences.append(f"{requests} of its own will stay without an answer.")
    channels = channels_with(session)
    sentences += _lost("end for everybody, since apps of this agent created them", received["name"], channels, True)
    sentences += _lost("go on without its apps", received["name"], channels, False)
    others = AgentSession.objects.live().of_agents().filter(source=session.source_id).exclude(pk=session.pk)
    if not others.exists():
        sentences.append("It is the last agent: the state of all channels is discarded.")
    sentences.append("It may connect again at once, as desktop agents do by themselves.")
    return sentences


def _lost(what: str, agent: str, channels: list[Channel], created: bool) -> list[str]:
    names = [channel.id for channel in channels if (channel.home == agent) == created]
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return [f"Private channels that {what}: {shown}."] if names else []


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"


def proved(row: Disconnection) -> str:
    if not listing.is_membership(row.session_id_then):
        return "The session is gone, and that is proved."
    if row.accepted_at is None:
        return "The bridge knows the app on this private channel no more."
    return (
        "The refusal is in force until the bridge is started again, and that is proved: nothing crosses it any more "
        "from or to this app on this private channel. The list shows what crossed the bridge; what the app's own agent "
        "still shows it, nobody here can see. It was an act of the administrator, not the app's own wish."
    )


def details(session: AgentSession) -> list[Fact]:
    return _details_of_app(session) if session.part_of else _details_of_agent(session)


def _details_of_agent(session: AgentSession) -> list[Fact]:
    received, traffic = session.received, session.received["traffic"]
    version = f" {received['providerVersion']}" if received["providerVersion"] else ""
    features = [name for name, has in sorted(received["optionalFeatures"].items()) if has]
    return [
        Fact("Implementation", f"{received['provider']}{version}"),
        Fact("FDC3 version", received["fdc3Version"]),
        Fact("Optional features", ", ".join(features) or "none"),
        *([Fact("Connected with", received["principal"])] if received["principal"] else []),
        Fact("From it", _traffic(traffic["received"], traffic["received_bytes"])),
        Fact("To it", _traffic(traffic["sent"], traffic["sent_bytes"])),
        Fact("Not passed on", f"{traffic['malformed']:,} malformed, {traffic['dropped']:,} dropped"),
        Fact("Requests in flight", f"{received['inFlight']} of its own, {received['answersOwed']} to it"),
        Fact("Results awaited", str(received["resultsAwaited"])),
        Fact("Time-outs", f"{traffic['timed_out']:,} answers, {received['silentRounds']} rounds in a row"),
        Fact("Channels", _channels(received)),
        *(Fact("Private channel", channel.id, channel.url) for channel in channels_with(session)),
        Fact("Bridge", session.source.name, reverse("bridge:list")),
    ]


def _channels(received: dict[str, Any]) -> str:
    more = received.get("moreChannels", 0)
    return (", ".join(received["channels"]) or "none") + (f" and {more:,} more" if more else "")


def _traffic(messages: int, size: int) -> str:
    return f"{_counted(messages, 'message')}, {filesizeformat(size)}"


def _details_of_app(session: AgentSession) -> list[Fact]:
    received = session.received
    url = reverse("bridge:channel", args=[session.source_id, session.part_of])
    return [
        Fact("Private channel", received["channel"], url),
        Fact("App", received["app"]["appId"]),
        Fact("Instance", received["app"]["instanceId"] or "not given"),
        Fact("Desktop agent", received["app"]["desktopAgent"]),
    ]


def logged_as(session: AgentSession) -> Target | None:
    return None if session.part_of else agent_target(session.session_id, session.agent_id)


def facts(source: Source) -> list[tuple[str, str]]:
    bridge = source.bridge
    return [
        ("Ports", f"{bridge.first_port} to {bridge.last_port} of 127.0.0.1"),
        ("Authentication", bridge.get_authentication_display()),
        ("Public keys", bridge.public_keys or "none"),
        ("Web pages that may connect", " ".join(bridge.allowed_origins.split()) or "none"),
    ]


def waits() -> dict[str, float]:
    return {
        "polling_seconds": settings.CONSOLE_BRIDGE_HEARTBEAT.total_seconds(),
        "settle_seconds": 1.0,
        "confirm_seconds": settings.CONSOLE_BRIDGE_CONFIRM.total_seconds(),
    }


BRIDGE = SourceKind(
    name="bridge",
    label="FDC3 bridge",
    read=read,
    describe=describe,
    disconnector=disconnector,
    why_not=lambda session: "",
    impact=impact,
    test=None,
    settings_form=BridgeForm,
    own="bridge",
    place=lambda source: f"ws://127.0.0.1:{source.bridge.first_port}",
    facts=facts,
    own_worker=OwnWorker(
        silence=lambda: settings.CONSOLE_BRIDGE_SILENCE,
        waits=waits,
        advice="The bridge's process has gone silent. It is read again as soon as it runs (manage.py runbridge); "
        "pause this source where it is not to run.",
    ),
    right_to_see=Right.BRIDGE_GET,
    right_to_disconnect=Right.BRIDGE_DISCONNECT,
    details=details,
    logged_as=logged_as,
    proved=proved,
)
