"""Random histories of a private channel: what everyone hears is what a model of the standard says, and nothing else."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.protocol.settings import HubSettings
from bridge.tests.agents import App, Network

NAMES = ("K", "T", "U", "W")
TYPES = ("x", "y", None)
EVENTS = ("addContextListener", "unsubscribe", "disconnect")

apps = st.sampled_from(NAMES)
placements = st.lists(st.sampled_from("ABC"), min_size=4, max_size=4)
acts = st.one_of(
    st.tuples(st.sampled_from(("listen", "unlisten", "broadcast")), apps, st.sampled_from(TYPES)),
    st.tuples(st.sampled_from(("on", "off")), apps, st.sampled_from((*EVENTS, None))),
    st.tuples(st.sampled_from(("disconnect", "close", "hand")), apps, st.none()),
)


@dataclass
class Party:
    """What the model knows of one app."""

    app: App
    name: str
    holds: bool = True
    runs: bool = True
    contexts: list[tuple[str | None, int]] = field(default_factory=list)
    events: dict[str | None, int] = field(default_factory=dict)

    def hears(self, event: str) -> bool:
        return event in self.events or None in self.events


class Model:
    def __init__(self, placement: list[str]) -> None:
        self.net = Network("A", "B", "C")
        places = dict(zip(NAMES, placement, strict=True))
        self.parties = {name: Party(self.net[place].app(name), name) for name, place in places.items()}
        self.creator = self.parties["K"]
        self.channel = self.creator.app.create_channel()
        for party in self.others(self.creator):
            self.creator.app.hand(self.channel, party.app)
        #: All context listeners in the order in which the hub learns of them.
        self.listeners: list[tuple[Party, str | None]] = []

    def others(self, party: Party) -> list[Party]:
        return [each for each in self.parties.values() if each is not party and each.holds]

    def expect(self, act: str, party: Party, what: str | None) -> dict[str, list[str]]:
        """Do it, and say what everyone has to hear of it."""
        heard: dict[str, list[str]] = {name: [] for name in NAMES}
        if not party.runs or (party.holds is (act == "hand")):
            return heard
        app, place = party.app, party.name
        match act:
            case "listen":
                party.contexts.append((what, app.listen(self.channel, what)))
                self.listeners.append((party, what))
                self.tell(heard, party, "addContextListener", what)
            case "unlisten" if party.contexts:
                type_, listener = party.contexts.pop(0)
                app.unsubscribe(self.channel, listener)
                self.listeners.remove((party, type_))
                self.tell(heard, party, "unsubscribe", type_)
            case "broadcast":
                app.broadcast(self.channel, what or "z")
                for other in self.others(party):
                    hearing = [type_ for type_, _ in other.contexts if type_ in (None, what or "z")]
                    heard[other.name] = [f"context {what or 'z'}"] * len(hearing)
            case "on" if not any(party.hears(event) for event in ((what,) if what else EVENTS)):
                (party.events[what],) = app.on(self.channel, what)
                if what in (None, "addContextListener"):
                    heard[place] = [
                        f"addContextListener {type_ or 'null'} of {other.name}"
                        for other, type_ in self.listeners
                        if other is not party
                    ]
            case "off" if what in party.events:
                app.unsubscribe(self.channel, party.events.pop(what))
            case "disconnect" | "close":
                self.leave(heard, party)
                app.close() if act == "close" else app.disconnect(self.channel)
                party.runs = act != "close"
            case "hand" if self.creator.holds and party is not self.creator:
                self.creator.app.hand(self.channel, app)
                party.holds = True
        return heard

    def tell(self, heard: dict[str, list[str]], actor: Party, event: str, type_: str | None) -> None:
        about = f"{event} of {actor.name}" if event == "disconnect" else f"{event} {type_ or 'null'} of {actor.name}"
        for other in self.others(actor):
            if other.hears(event):
                heard[other.name].append(about)

    def leave(self, heard: dict[str, list[str]], party: Party) -> None:
        for type_, _ in party.contexts:
            self.tell(heard, party, "unsubscribe", type_)
        self.tell(heard, party, "disconnect", None)
        self.listeners = [each for each in self.listeners if each[0] is not party]
        party.contexts, party.events, party.holds = [], {}, False

    def heard(self) -> dict[str, list[str]]:
        """Since the last time; of an app's agent the name alone matters here."""
        heard: dict[str, list[str]] = {name: [] for name in NAMES}
        for line in self.net.journal:
            name, hears, what = line.partition(" hears ")
            if hears:
                heard[name].append(what.partition("@")[0])
        self.net.journal.clear()
        return heard


@settings(max_examples=60, deadline=None)
@given(placements, st.lists(acts, max_size=25))
def test_r70_to_r83_everyone_hears_what_the_standard_says_in_its_order(placement, history):
    model = Model(placement)
    for act, name, what in history:
        expected = model.expect(act, model.parties[name], what)
        assert model.heard() == expected, (act, name, what)
    assert nothing_went_back(model.net)


def nothing_went_back(net: Network) -> bool:
    return not any(
        each["meta"]["source"].get("instanceId") == each["meta"]["destination"].get("instanceId")
        for each in net.wire
        if each["type"].startswith("PrivateChannel.")
    )


racing = st.one_of(
    st.tuples(st.sampled_from(("listen", "unlisten", "broadcast", "disconnect")), apps, st.sampled_from(TYPES)),
    st.tuples(st.just("drop"), st.sampled_from("ABC"), st.none()),
    st.tuples(st.just("arrive"), st.integers(1, 8), st.none()),
)


@settings(max_examples=60, deadline=None)
@given(placements, st.lists(racing, max_size=30), st.booleans())
def test_r82_r92_however_messages_race_and_agents_are_lost_nobody_is_told_twice(placement, history, announced):
    net = Network("A", "B", "C", hub_settings=HubSettings(message_rate=0, announce_lost_creators=announced))
    parties = {name: Party(net[place].app(name), name) for name, place in zip(NAMES, placement, strict=True)}
    channel = parties["K"].app.create_channel()
    for party in parties.values():
        if party.name != "K":
            parties["K"].app.hand(channel, party.app)
        party.app.on(channel, None)
    heard_when_left: dict[str, int] = {}

    net.is_slow = True
    for act, who, what in history:
        if act == "arrive":
            net.arrive(who)
        elif act == "drop":
            if who in net.agents:
                net[who].drop()
        else:
            party = parties[who]
            if party.holds and party.app.agent.name in net.agents and _still_has(party, channel):
                _do(act, party, channel, what)
                if act == "disconnect":
                    heard_when_left[who] = len(_heard(net, who))
    net.arrive(None)

    assert nothing_went_back(net)
    for name in parties:
        heard = _heard(net, name)
        assert len(heard) == heard_when_left.get(name, len(heard))
        for other in parties.keys() - {name}:
            of_other = [event for event in heard if event.endswith(f" of {other}")]
            if f"disconnect of {other}" not in of_other:
                continue
            assert of_other.index(f"disconnect of {other}") == len(of_other) - 1
            added = Counter(event.split()[1] for event in of_other if event.startswith("addContextListener"))
            removed = Counter(event.split()[1] for event in of_other if event.startswith("unsubscribe"))
            # The bridge may have learnt of a listener of a lost creator whose announcement reached only some.
            assert added <= removed if announced else added == removed


def _still_has(party: Party, channel: str) -> bool:
    core = party.app.core
    return core._home.held_by(channel, party.app.identifier) or core._remote.held_by(channel, party.app.identifier)


def _do(act: str, party: Party, channel: str, what: str | None) -> None:
    match act:
        case "listen":
            party.contexts.append((what, party.app.listen(channel, what)))
        case "unlisten" if party.contexts:
            party.app.unsubscribe(channel, party.contexts.pop(0)[1])
        case "broadcast":
            party.app.broadcast(channel, what or "z")
        case "disconnect":
            party.app.disconnect(channel)
            party.holds = False


def _heard(net: Network, name: str) -> list[str]:
    lines = (line.partition(" hears ") for line in net.journal)
    return [what.partition("@")[0] for who, hears, what in lines if hears and who == name and "context " not in what]
