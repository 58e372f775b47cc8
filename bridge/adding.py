"""Making the source of a bridge, by every way in: the page, the commands, and a bridge that runs for the first time."""

from agents.models import Source
from agents.sources import add_source
from audit.actors import Actor
from bridge.kind import BRIDGE, waits
from bridge.models import BridgeSource

DEFAULT_NAME = "bridge"


def add_bridge(name: str, own: BridgeSource, *, actor: Actor) -> Source:
    """Raises NotAllowed, ValidationError."""
    source = Source(name=name, kind=BRIDGE.name, **waits())
    return add_source(source=source, own=own, contract="", requests_per_minute=0, secrets={}, actor=actor)


def the_bridge(name: str, *, actor: Actor) -> Source:
    """The bridge of that name; made with the defaults where there is none. Raises ValidationError."""
    found = Source.objects.select_related("bridge").filter(name=name, kind=BRIDGE.name).first()
    return found or add_bridge(name, BridgeSource(), actor=actor)
