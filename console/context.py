from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    """What every page's frame needs: what the person may do, as `rights.agent_disconnect` and the like."""
    actor = getattr(request, "actor", None)
    rights = actor.rights if actor else frozenset()
    return {"rights": {str(right).replace(":", "_"): True for right in rights}}
