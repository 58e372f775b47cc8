"""Lists by keyset for the API: a page is as quick at the far end as at the beginning, and nothing is counted."""

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError as BadValue
from django.db.models import Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

LIMIT = range(1, 201)


class BadParameter(ValidationError):
    """A query parameter that is not valid."""


class Paging(serializers.Serializer[Any]):
    limit = serializers.IntegerField(min_value=LIMIT[0], max_value=LIMIT[-1], default=50, help_text="Rows of a page.")
    cursor = serializers.CharField(required=False, max_length=1000, help_text="As `next` holds it.")


def asked[S: serializers.Serializer[Any]](request: Request, parameters: type[S]) -> dict[str, Any]:
    """What the query asks for. Raises `BadParameter`."""
    # A plain dict: what is sent without a value is no value, as in a body, and not left out, as in a form.
    given = parameters(data=request.query_params.dict())
    if not given.is_valid():
        raise BadParameter(given.errors)
    return dict(given.validated_data)


def page[M: Model](
    request: Request, rows: "QuerySet[M]", order: Sequence[str], shown: Callable[[list[M]], Any]
) -> dict[str, Any]:
    """`items`, and in `next` the URL of the next page. `order`: as for `order_by`, ending in something unique."""
    paging = asked(request, Paging)
    if "cursor" in paging:
        rows = rows.filter(_after(rows.model, order, paging["cursor"]))
    found = list(rows.order_by(*order)[: paging["limit"] + 1])
    kept = found[: paging["limit"]]
    return {"items": shown(kept), "next": _next_url(request, kept[-1], order) if len(found) > len(kept) else None}


def _next_url(request: Request, last: Model, order: Sequence[str]) -> str:
    values = [_plain(getattr(last, each.removeprefix("-"))) for each in order]
    query = request.query_params.copy()
    query["cursor"] = base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _after(model: type[Model], order: Sequence[str], cursor: str) -> Q:
    """(a, b) comes after (x, y) where a is after x, or a is x and b after y."""
    later, same = Q(pk__in=[]), Q()
    for each, value in zip(order, _values(model, order, cursor), strict=True):
        name = each.removeprefix("-")
        later |= same & Q(**{f"{name}__{'lt' if each.startswith('-') else 'gt'}": value})
        same &= Q(**{name: value})
    return later


def _values(model: type[Model], order: Sequence[str], cursor: str) -> list[Any]:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        values = json.loads(text)
        if not isinstance(values, list) or any(not _is_plain(value) for value in values):
            raise ValueError
        return [_to_python(model, name, value) for name, value in zip(order, values, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, BadValue):  # Not made here.
        raise BadParameter({"cursor": ["It is none that `next` gave."]}) from None


def _is_plain(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and value.encode() is not None
    return isinstance(value, int) and abs(value) < 2**63


def _to_python(model: type[Model], name: str, value: Any) -> Any:
    name = name.removeprefix("-")
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    parsed = field.to_python(value)  # type: ignore[union-attr]
    if isinstance(parsed, datetime) and parsed.tzinfo is None:
        raise ValueError
    return parsed
