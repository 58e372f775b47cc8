from pathlib import Path

import pytest

from agents.webconnect.standin import switches
from agents.webconnect.standin.switches import SWITCHES, Switches
from agents.webconnect.standin.wanted import BadInput


@pytest.mark.parametrize("switch", SWITCHES.values(), ids=lambda switch: switch.name)
def test_each_default_is_one_of_the_values_and_something_reads_it(switch):
    assert switch.check(switch.default) == switch.default

    folder = Path(switches.__file__).parent
    readers = [file for file in folder.glob("*.py") if file.name != "switches.py"]
    assert any(f'"{switch.name}"' in file.read_text() for file in readers)


def test_settings_are_parsed_as_a_command_line_gives_them():
    assert switches.parse(["order=shuffled", "closing-delay=0.5"]) == {
        "order": "shuffled",
        "closing-delay": "0.5",
    }


@pytest.mark.parametrize(
    "text",
    ["order", "order=sideways", "no-such=1", "closing-delay=-1", "closing-delay=nan", "closing-delay=soon"],
)
def test_bad_settings_are_refused(text):
    with pytest.raises(BadInput):
        switches.parse([text])


def test_a_bad_value_changes_nothing():
    values = Switches()

    with pytest.raises(BadInput):
        values.set_all({"order": "shuffled", "paging": "upwards"})

    assert values["order"] == "stable"
