"""Every rule of the protocol is kept somewhere, shown by a test, and on the page that says so."""

import pytest

from scripts import rule_table
from scripts.rule_table import HEAD, PAGE, RULES


def test_the_table_is_on_the_page():
    assert HEAD + rule_table.table() in PAGE.read_text()


def test_there_are_ninety_four_rules():
    assert list(RULES) == list(range(1, 95))


@pytest.mark.parametrize("rule", rule_table.rules(), ids=lambda rule: f"R{rule.number}")
def test_each_rule_is_kept_and_shown(rule):
    assert rule.code, f"no module under bridge/ names R{rule.number}: {rule.words}"
    assert rule.tests, f"no test is named test_r{rule.number}_…: {rule.words}"
