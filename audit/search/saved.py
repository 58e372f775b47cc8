"""Searches kept under a name, one's own and shared ones."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from audit.actions import Action
from audit.actors import Actor
from audit.models import SavedSearch
from audit.search.query import Query
from audit.services import Target, record

MOST = 50


def saved_for(actor: Actor) -> QuerySet[SavedSearch]:
    """Their own and the shared ones."""
    return SavedSearch.objects.filter(Q(owner_id=actor.id) | Q(shared=True)).order_by("name", "pk")


def save_search(*, name: str, query: Query, shared: bool, actor: Actor, at: datetime) -> SavedSearch:
    """Keep the search. Raises `ValidationError` where the name is taken or there are too many."""
    if SavedSearch.objects.filter(owner_id=actor.id).count() >= MOST:
        raise ValidationError(f"You have {MOST} saved searches; remove one first.")
    search = SavedSearch(
        name=name, line=str(query), shared=shared, owner_id=actor.id, owner_label=actor.label, created_at=at
    )
    try:
        with transaction.atomic(durable=True):
            search.save(force_insert=True)
            record(Action.SEARCH_SAVED, actor=actor, target=_target(search), line=search.line, shared=shared)
    except IntegrityError:
        raise ValidationError("You have a saved search of this name already.") from None
    return search


@transaction.atomic(durable=True)
def remove_search(*, search: SavedSearch, actor: Actor) -> None:
    """A shared one may be removed by anyone it is shared with; who did is on record."""
    removed, _ = SavedSearch.objects.filter(pk=search.pk).delete()
    if removed:
        record(
            Action.SEARCH_REMOVED,
            actor=actor,
            target=_target(search),
            line=search.line,
            shared=search.shared,
            owner=search.owner_label,
        )


def _target(search: SavedSearch) -> Target:
    return Target("saved search", str(search.pk), search.name)
