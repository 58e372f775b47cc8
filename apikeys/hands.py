"""By what else a person acts: their API keys, so that nobody reviews with one hand what the other has done."""

from collections.abc import Iterator

from apikeys.models import ApiKey
from audit.actors import Actor


def hands_of(actor: Actor) -> Iterator[tuple[str, str]]:
    owner: int | None = None
    if actor.kind == "person":
        owner = int(actor.id)
    elif actor.kind == "API key":
        owner = ApiKey.objects.filter(pk=int(actor.id)).values_list("owner", flat=True).first()
    if owner is not None:
        yield "person", str(owner)
        for pk in ApiKey.objects.filter(owner=owner).values_list("pk", flat=True):
            yield "API key", str(pk)
