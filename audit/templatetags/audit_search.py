"""Links to the page of a search."""

from typing import Any
from uuid import UUID

from django import template
from django.template.context import Context

from audit.search import Query, Term
from audit.search.shown import address_of

register = template.Library()


@register.simple_tag(takes_context=True)
def search_url(context: Context, line: str = "", **values: Any) -> str:
    """The page of the search `line`; `{% search_url actor=event.actor_label %}`: of all events of this actor."""
    others = context.get("others") or {}
    if values:
        return address_of(Query.of_terms(_term(field, value) for field, value in values.items()), **others)
    return address_of(line, **others)


def _term(field: str, value: Any) -> Term:
    return Term(field, value if isinstance(value, UUID) else str(value))


@register.filter
def thousands(number: int) -> str:
    return f"{number:,}"
