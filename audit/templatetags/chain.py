from typing import Any

from django import template

from audit.checks import chain_state

register = template.Library()


@register.inclusion_tag("audit/_chain.html")
def chain() -> dict[str, Any]:
    """One line: whether the chain holds, and since when that is known."""
    return {"state": chain_state()}
