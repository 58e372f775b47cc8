"""Deny by default: every REST view says which scope each method needs, and every scope opens something."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from apikeys.permissions import HasScope
from apikeys.scopes import all_scopes

#: Paths that answer without a key, each for its reason.
OPEN: dict[str, str] = {}


def patterns(resolver: URLResolver, path: str = "") -> Iterator[tuple[str, URLPattern]]:
    for each in resolver.url_patterns:
        if isinstance(each, URLResolver):
            yield from patterns(each, path + str(each.pattern))
        else:
            yield path + str(each.pattern), each


def rest_views() -> list[tuple[str, Any, set[str]]]:
    """Path, class and methods of each REST view."""
    found = []
    for path, pattern in patterns(get_resolver("console.urls")):
        view = getattr(pattern.callback, "cls", None) or getattr(pattern.callback, "view_class", None)
        if view is None or not issubclass(view, APIView) or path in OPEN:
            continue
        actions = getattr(pattern.callback, "actions", None)
        names = actions if actions else [name for name in view.http_method_names if hasattr(view, name)]
        found.append((path, view, {name.upper() for name in names} - {"HEAD", "OPTIONS"}))
    return found


def test_every_rest_view_declares_a_scope_for_each_of_its_methods():
    known = {scope.name for scope in all_scopes()}
    for path, view, methods in rest_views():
        assert HasScope in view.permission_classes, f"{path} lets in whoever comes"
        assert set(getattr(view, "scopes", {})) >= methods, f"{path} lacks a scope for {methods}"
        assert set(view.scopes.values()) <= known, f"{path} asks for a scope that nobody can be given"


def test_every_scope_opens_something():
    if not rest_views():
        pytest.skip("The REST API is not there yet.")
    opened = {scope for _, view, _ in rest_views() for scope in view.scopes.values()}
    assert {scope.name for scope in all_scopes()} == opened


def test_every_scope_has_words_and_a_place_in_the_matrix():
    places = [(scope.category, scope.choice) for scope in all_scopes()]

    assert len(places) == len(set(places))
    assert all(scope.opens for scope in all_scopes())
    assert [scope.label for scope in all_scopes()][:2] == ["Agent: Get", "Agent: Disconnect"]  # as in the manual
