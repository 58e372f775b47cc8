"""What we send to 2.2 is accepted by the official types: npm's @finos/fdc3-schema, in Node."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.protocol.messages import Version, encode, from_agent, from_bridge
from bridge.tests import samples

NODE = Path(__file__).parent / "node"
CONNECTION = {
    "hello": "ConnectionStep2Hello",
    "handshake": "ConnectionStep3Handshake",
    "authenticationFailed": "ConnectionStep4AuthenticationFailed",
    "connectedAgentsUpdate": "ConnectionStep6ConnectedAgentsUpdate",
}

pytestmark = [
    pytest.mark.skipif(not shutil.which("node"), reason="node is not installed"),
    pytest.mark.skipif(
        not (NODE / "node_modules").is_dir(), reason="bridge/tests/node is not installed (scripts/set-up dev does it)"
    ),
]


def schema_of(message, side):
    """The name of the official type, e.g. FindIntentBridgeErrorResponse."""
    type = message["type"]
    if type in CONNECTION:
        return CONNECTION[type]
    failed = "Error" if "error" in message["payload"] else ""
    if failed and type not in samples.RESPONSES:
        return "BridgeErrorResponseMessage"
    stem = type.removesuffix("Request").removesuffix("Response")
    stem = "".join(word[0].upper() + word[1:] for word in stem.split("."))
    return f"{stem}{side}{failed}{'Response' if type in samples.RESPONSES else 'Request'}"


def sent():
    """All kinds of message that our client and our bridge send, in the version of the official types."""
    for read, messages, side in (
        (from_agent, samples.by_agents(), "Agent"),
        (from_bridge, samples.by_bridge(), "Bridge"),
    ):
        for message in messages:
            for version in (Version.V2_2, Version.NEXT):
                came = samples.for_next(message) if version is Version.NEXT else message
                if came["type"] == "handshake" and version is Version.NEXT:
                    continue  # which states its own version
                yield schema_of(message, side), encode(read(json.dumps(came).encode(), version), Version.V2_2).decode()


def judged(lines):
    text = "".join(json.dumps(line) + "\n" for line in lines)
    command = ["node", "accept.js"]
    done = subprocess.run(command, cwd=NODE, input=text, capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_official_types_accept_all_that_we_send():
    lines = list(sent())
    # That they look at all: a key too many is refused.
    wrong = json.dumps(samples.request("PrivateChannel.onDisconnect", {"unknown": 1}))

    *verdicts, on_the_wrong_one = judged([*lines, ("PrivateChannelOnDisconnectBridgeRequest", wrong)])

    assert [(line, said) for line, said in zip(lines, verdicts, strict=True) if said] == []
    assert on_the_wrong_one
    # 13 requests each way, 7 responses in two forms each way, 4 of the connection, and the general error.
    assert len({schema for schema, _ in lines}) == 26 + 28 + 4 + 1
