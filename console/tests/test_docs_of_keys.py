"""docs/api-keys.md says of scopes and of the form of a key what the code says."""

from django.conf import settings

from apikeys.scopes import all_scopes
from apikeys.tokens import PATTERN

DOCS = (settings.BASE_DIR / "docs" / "api-keys.md").read_text()


def test_the_docs_hold_every_scope():
    for scope in all_scopes():
        given = "every key manager" if scope.freely_given else "who has that right"
        assert f"| {scope.category} | {scope.choice} | `{scope.name}` | {scope.opens} | {given} |\n" in DOCS


def test_the_docs_hold_the_regular_expression():
    assert f"\n{PATTERN}\n" in DOCS
