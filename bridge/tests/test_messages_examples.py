"""Every example of the reference folder, and the message that it all began with."""

import json

import pytest

from bridge.protocol.messages import Version, encode, from_agent, from_bridge
from bridge.tests import reference

pytestmark = reference.needed
SEED = reference.PLACE / "examples" / "seed-004.cleaned.json"


@pytest.mark.parametrize(
    ("version", "entry", "raw"),
    [pytest.param(*example, id=example[1]["file"]) for example in reference.examples()],
)
def test_every_example_is_read_and_written_as_it_is(version, entry, raw):
    read = from_bridge if reference.sent_by_bridge(entry) else from_agent

    assert json.loads(encode(read(raw, version), version)) == json.loads(raw)


def test_there_are_62_examples_of_each_version():
    versions = [version for version, _, _ in reference.examples()]
    assert versions.count(Version.V2_2) == versions.count(Version.NEXT) == 62


@pytest.mark.parametrize("read", [from_agent, from_bridge])
@pytest.mark.parametrize("version", Version)
def test_the_message_of_the_seed_document_is_valid_both_ways(read, version):
    raw = SEED.read_bytes()
    assert json.loads(encode(read(raw, version), version)) == json.loads(raw)
