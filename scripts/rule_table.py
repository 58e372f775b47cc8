"""Writes the table of rules into docs/bridge.md (`make fix`); tests fail while the two differ or a rule has no test.

A rule is implemented where the code names it (`R35` in a comment or docstring under bridge/) and shown by every test
whose name carries its number (`test_r35_…`).
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "bridge.md"
HEAD = "| rule | whose | in short | implemented in | shown by |\n|---|---|---|---|---|\n"

BRIDGE, AGENT, HOME, PARTICIPANT, ALL = "bridge", "agent", "home", "participant", "all"

#: The rules of FDC3's bridging part, numbered by us; `home` is the agent that created a private channel.
RULES = {
    1: (BRIDGE, "listens on this machine's loopback only"),
    2: (BRIDGE, "default port within 4475–4575, moving on where it is taken"),
    3: (ALL, "that range at least; another may be configured"),
    4: (AGENT, "looks for a bridge port by port, upwards"),
    5: (AGENT, "starts over after the last port, 5 s later at the earliest"),
    6: (AGENT, "connects whenever a bridge appears"),
    7: (BRIDGE, "hello first, unasked"),
    8: (AGENT, "knows a bridge by its hello, and goes on where there is none"),
    9: (AGENT, "checks the bridge's own token, where hello has one"),
    10: (AGENT, "answers with a handshake, and a token where one is asked for"),
    11: (AGENT, "a fresh requestUuid for the handshake"),
    12: (AGENT, "tells all user and app channels, most recent context first, one of each type"),
    13: (BRIDGE, "bad token: authenticationFailed, then the close"),
    14: (BRIDGE, "the requested name, or one made from it"),
    15: (AGENT, "takes the name that it is given"),
    16: (BRIDGE, "may give a returning agent its former name"),
    17: (AGENT, "`sub` of its token names a key pair by UUID"),
    18: (BRIDGE, "merges channel states; what is there wins"),
    19: (BRIDGE, "connects one agent at a time"),
    20: (BRIDGE, "does so in one go, with no message in between"),
    21: (BRIDGE, "tells everybody in a connectedAgentsUpdate that quotes the handshake"),
    22: (BRIDGE, "with the new name and the whole roster"),
    23: (BRIDGE, "and the merged channel state, to all"),
    24: (AGENT, "takes an update in before anything else"),
    25: (AGENT, "keeps the state of channels that it has not used yet"),
    26: (AGENT, "hands contexts that are news to those that listen for their type"),
    27: (BRIDGE, "tells the others of a loss, with one uuid twice and no channel state"),
    28: (BRIDGE, "forgets the channel state with the last agent"),
    29: (AGENT, "shows its users who comes and goes"),
    30: (AGENT, "uses the eight recommended user channels"),
    31: (BRIDGE, "keeps its channel state current from every broadcast"),
    32: (ALL, "a message is an object of type, payload and meta"),
    33: (AGENT, "a requestUuid for each request, quoted by a response with a uuid of its own"),
    34: (ALL, "version 4 UUIDs"),
    35: (BRIDGE, "puts the name of the connection into every source"),
    36: (BRIDGE, "makes a source where a request has none"),
    37: (AGENT, "copies a target on another agent into the destination; others stay local"),
    38: (AGENT, "responses have neither source nor destination"),
    39: (BRIDGE, "puts the host into every app of a response"),
    40: (BRIDGE, "remembers who asked until the last answer"),
    41: (BRIDGE, "discards what lacks a uuid"),
    42: (BRIDGE, "sends nothing back to the sender, and expects nothing of it"),
    43: (BRIDGE, "to the destination alone; without one, to all others"),
    44: (BRIDGE, "drops answers that nobody waits for"),
    45: (BRIDGE, "collates answers, saying who gave one and who failed how"),
    46: (BRIDGE, "one success is a success; none is an error"),
    47: (BRIDGE, "a single answer keeps its responseUuid"),
    48: (BRIDGE, "time-outs are settings; 1500 ms at most is recommended"),
    49: (AGENT, "waits 3000 ms at most for the bridge"),
    50: (BRIDGE, "names and notes the silent"),
    51: (BRIDGE, "settles what a lost agent owed or asked"),
    52: (BRIDGE, "disconnects an agent that is silent again and again"),
    53: (AGENT, "may leave a bridge that is silent again and again"),
    54: (BRIDGE, "answers a malformed request with MalformedMessage"),
    55: (BRIDGE, "counts a malformed response as that error, and tells its sender"),
    56: (AGENT, "error strings of the call in question"),
    57: (BRIDGE, "DesktopAgentNotFound for an agent that is not connected"),
    58: (AGENT, "NotConnectedToBridge for a remote target without a bridge"),
    59: (AGENT, "adds its own results to a collated answer"),
    60: (AGENT, "raises intents at an app on a named agent only"),
    61: (AGENT, "starts a new instance where none is named"),
    62: (AGENT, "answers only when the new instance is there"),
    63: (AGENT, "a result follows every resolved intent, even if empty"),
    64: (AGENT, "findInstances: nothing of a known app is a success"),
    65: (AGENT, "getAppMetadata and open cross only with an agent named"),
    66: (AGENT, "matches qualified and unqualified app ids"),
    67: (AGENT, "broadcastRequest for user and app channels only"),
    68: (AGENT, "keeps private messages apart from ordinary ones"),
    69: (PARTICIPANT, "addresses everything to the creator"),
    70: (HOME, "delivers to its own listeners and repeats once to each remote receiver"),
    71: (HOME, "repeats nothing to the app that it came from"),
    72: (HOME, "repeats with the source as it was"),
    73: (PARTICIPANT, "remembers the creator of a channel until its own app leaves"),
    74: (HOME, "remembers who listens to which events"),
    75: (PARTICIPANT, "eventListenerAdded for a new event listener"),
    76: (PARTICIPANT, "eventListenerRemoved for one that goes"),
    77: (ALL, "a context listener is told to those that listen for it"),
    78: (ALL, "so is its removal"),
    79: (ALL, "so is a disconnect"),
    80: (PARTICIPANT, "one onDisconnect and nothing else"),
    81: (HOME, "every onUnsubscribe before the onDisconnect"),
    82: (AGENT, "the unsubscribe events of a leaver come before its disconnect event"),
    83: (HOME, "tells a new event listener of the context listeners there are"),
    84: (AGENT, "no broadcasts after one's own disconnect"),
    85: (AGENT, "getOrCreateChannel gives no private channel"),
    86: (AGENT, "outsiders neither listen nor publish"),
    87: (AGENT, "createPrivateChannel sends nothing"),
    88: (HOME, "keeps the context listeners of each remote app"),
    89: (PARTICIPANT, "gives a repeat to the app that it names, and repeats nothing"),
    90: (BRIDGE, "private messages to their destination alone; without one they are malformed"),
    91: (BRIDGE, "keeps the order between each sender and receiver"),
    92: (AGENT, "a lost agent has disconnected all its apps"),
    93: (HOME, "ignores an app that has left"),
    94: (PARTICIPANT, "ignores channels that it does not know"),
}


class Rule(NamedTuple):
    number: int
    whose: str
    words: str
    code: list[str]
    tests: list[str]


def rules() -> list[Rule]:
    code, tests = _citations_in_code(), _citations_in_tests()
    return [Rule(number, *told, code.get(number, []), tests.get(number, [])) for number, told in RULES.items()]


def table() -> str:
    return "".join(
        f"| R{rule.number} | {rule.whose} | {rule.words} | {_list(rule.code)} | {_list(rule.tests)} |\n"
        for rule in rules()
    )


def _list(files: list[str]) -> str:
    return ", ".join(f"`{file}`" for file in files)


def _citations_in_code() -> dict[int, list[str]]:
    folder = PROJECT / "bridge"
    files = [path for path in folder.rglob("*.py") if "tests" not in path.parts]
    return _by_number(folder, files, lambda text: re.findall(r"\bR([0-9]{1,2})\b", text))


def _citations_in_tests() -> dict[int, list[str]]:
    folder = PROJECT / "bridge" / "tests"

    def numbers(text: str) -> list[str]:
        return re.findall(r"r([0-9]+)_", "".join(re.findall(r"def test_((?:r[0-9]+_)+)", text)))

    return _by_number(folder, folder.rglob("test_*.py"), numbers)


def _by_number(folder: Path, files: Iterable[Path], numbers: Callable[[str], list[str]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for path in sorted(files):
        for number in sorted(set(map(int, numbers(path.read_text())))):
            found.setdefault(number, []).append(str(path.relative_to(folder)))
    return found


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(HEAD)
    after = re.sub(r"\A(\| R.*\n)*", "", rest)
    PAGE.write_text(f"{before}{HEAD}{table()}{after}")
