"""The registry of scopes: what a key may be given, each with what it opens; and of the sources it may be held to.

An app registers its own in `AppConfig.ready`. A scope is named like the right that it needs of the key's owner, and a
view says `scopes = {"GET": "agent:get"}`; a test finds views without a scope and scopes that nothing declares.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from apikeys.rights import Right
from audit.actors import Actor


@dataclass(frozen=True)
class Scope:
    """`category` and `choice` as the matrix shows them; `opens` ends a sentence that begins with "A key with it may".

    Whoever manages keys may give those that are `freely_given`, the others only somebody who has the right too.
    """

    category: str
    choice: str
    opens: str
    right: Right
    freely_given: bool = False

    @property
    def name(self) -> str:
        return str(self.right)

    @property
    def label(self) -> str:
        return f"{self.category}: {self.choice}"

    def may_be_given_by(self, giver: Actor) -> bool:
        return self.freely_given or self.right in giver.rights


_scopes: dict[str, Scope] = {}
_source_names: list[Callable[[], Iterable[str]]] = []


def register(*scopes: Scope) -> None:
    for scope in scopes:
        if _scopes.setdefault(scope.name, scope) != scope:
            raise ValueError(f"The scope {scope.name} is registered already, and differently.")


def register_sources(names: Callable[[], Iterable[str]]) -> None:
    """`names` gives the names of all sources that a key may be held to."""
    if names not in _source_names:
        _source_names.append(names)


def all_scopes() -> list[Scope]:
    """In the order of the rights, whatever app came first."""
    order = list(Right)
    return sorted(_scopes.values(), key=lambda scope: order.index(scope.right))


def scope_of(name: str) -> Scope | None:
    return _scopes.get(name)


def labels_of(names: Collection[str]) -> list[str]:
    """How the matrix calls these, in its order; one that is registered no longer by its name."""
    known = [scope.label for scope in all_scopes() if scope.name in names]
    return known + sorted(name for name in names if name not in _scopes)


def source_names() -> list[str]:
    return sorted({name for names in _source_names for name in names()})
