import re
from pathlib import Path

from audit.canonical import COLUMNS
from audit.catalogue import catalogue
from audit.reviews.wanted import groups_table
from audit.streams.meanings import mapping_table

DOCS = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()


def between(name):
    return re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end of {name} -->", DOCS, re.DOTALL)[1]


def test_the_docs_hold_every_action_in_the_words_of_the_code():
    assert between("catalogue") == catalogue()


def test_the_docs_name_the_hashed_columns_in_their_order():
    assert re.findall(r"`(\w+)`", between("columns")) == list(COLUMNS)


def test_the_docs_hold_what_every_action_is_mapped_to():
    assert between("mapping") == mapping_table()


def test_the_docs_hold_what_is_to_be_reviewed():
    assert between("reviewed") == groups_table()
