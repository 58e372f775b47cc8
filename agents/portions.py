"""Which sources a worker works for."""

from dataclasses import dataclass

from django.db.models import Q

from agents.kinds import all_kinds


@dataclass(frozen=True)
class Portion:
    """`source`: the one whose own worker it is; None for all that have none of their own."""

    source: int | None = None

    def within(self, path: str = "") -> Q:
        """The condition that a source is in it; `path` leads to the source, such as `source__`."""
        if self.source is not None:
            return Q(**{f"{path}pk": self.source})
        return Q(**{f"{path}kind__in": [kind.name for kind in all_kinds() if kind.own_worker is None]})


SHARED = Portion()
