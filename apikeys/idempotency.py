"""`Idempotency-Key`: a POST that is sent again, because its answer was lost, is done once and answered alike.

| what comes | what it gets |
|---|---|
| a new Idempotency-Key | done; its answer is kept for 24 hours |
| the same again, with the same method, path and body | the kept answer, with `Idempotency-Replayed: true` |
| the same again while the first is under way | 409 `C409001` with `Retry-After` |
| the same with another method, path or body | 422 `C422001` |
| the same again after an answer that carried a secret | 409 `C409002`, which names the key: the secret is not kept |
| the same again after a 5xx | done anew: nothing was kept |
| the same again a minute later, the first one's process having died | done anew, with the same operation token |

The row's unique constraint decides between two at once. A body is kept as an HMAC only.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.response import Response

from apikeys.base import ApiView, KeyRequest
from apikeys.errors import Problem, Refusal
from apikeys.models import IdempotentRequest

KEPT = timedelta(hours=24)
#: After so long without an answer the process that had the request in hand is taken for dead.
_DEAD = timedelta(seconds=60)
LONGEST = 255

type Post[**P] = Callable[Concatenate[Any, KeyRequest, P], Response]


class SecretResponse(Response):
    """An answer that carries a secret of the API key `name`: it is never kept."""

    def __init__(self, data: Any, *, name: str, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(data, status=status, headers=headers)
        self.name = name


def idempotent[**P](post: Post[P]) -> Post[P]:
    """A POST whose `request.operation_token` is the same each time that it is done for one Idempotency-Key."""

    @wraps(post)
    def answered(view: ApiView, request: KeyRequest, /, *args: P.args, **kwargs: P.kwargs) -> Response:
        sent = request.headers.get("Idempotency-Key")
        if sent is None:
            request.operation_token = uuid4()
            return post(view, request, *args, **kwargs)
        begun = _begin(request, _clean(sent), timezone.now())
        if isinstance(begun, Response):
            return begun
        request.operation_token = begun.token
        try:
            response = post(view, request, *args, **kwargs)
        except Exception as error:
            response = view.handle_exception(error)
        _keep(begun, response)
        return response

    return answered


@dataclass(frozen=True)
class _Begun:
    """The row is ours as long as nobody has begun it since."""

    pk: int
    begun_at: datetime
    token: UUID


def _clean(sent: str) -> str:
    """As it is, or quoted as a string of RFC 9651."""
    text = sent[1:-1] if len(sent) >= 2 and sent[0] == sent[-1] == '"' else sent
    if not 0 < len(text) <= LONGEST or not text.isascii() or not text.isprintable():
        raise Refusal(Problem.HEADER, f"Idempotency-Key: give 1 to {LONGEST} printable ASCII characters.")
    return text


def _begin(request: KeyRequest, sent: str, at: datetime) -> _Begun | Response:
    """What is to be done, or the answer that is known already. Raises `Refusal`."""
    fingerprint = _fingerprint(request)
    token = uuid4()
    try:
        with transaction.atomic():
            IdempotentRequest.objects.filter(begun_at__lt=at - KEPT).delete()
            row = IdempotentRequest.objects.create(
                key_id=request.auth.pk, sent=sent, fingerprint=fingerprint, begun_at=at, token=token
            )
        return _Begun(row.pk, at, token)
    except IntegrityError:
        known = IdempotentRequest.objects.filter(key=request.auth.pk, sent=sent).first()
    if known is None:  # It has just ended without an answer to keep.
        raise Refusal(Problem.UNDER_WAY, headers={"Retry-After": "1"})
    if known.fingerprint != fingerprint:
        raise Refusal(Problem.OTHER_BODY)
    return _known(known, at)


def _known(known: IdempotentRequest, at: datetime) -> _Begun | Response:
    if known.status is None:
        dead = IdempotentRequest.objects.filter(pk=known.pk, status=None, begun_at__lte=at - _DEAD)
        if dead.update(begun_at=at):
            return _Begun(known.pk, at, known.token)
        raise Refusal(Problem.UNDER_WAY, headers={"Retry-After": "1"})
    if known.secret_of:
        raise Refusal(
            Problem.SECRET_SHOWN, f"It carried the secret of the API key {known.secret_of}, which is shown once."
        )
    headers = {"Idempotency-Replayed": "true"}
    if known.location:
        headers["Location"] = known.location
    return Response(json.loads(known.body) if known.body else None, known.status, headers=headers)


def _fingerprint(request: KeyRequest) -> str:
    text = json.dumps([request.method, request.get_full_path(), request.data], sort_keys=True)
    return salted_hmac("apikeys.idempotency", text, algorithm="sha256").hexdigest()


def _keep(begun: _Begun, response: HttpResponse) -> None:
    ours = IdempotentRequest.objects.filter(pk=begun.pk, status=None, begun_at=begun.begun_at)
    if response.status_code >= 500:
        ours.delete()
        return
    secret_of = response.name if isinstance(response, SecretResponse) else ""
    data = getattr(response, "data", None)
    ours.update(
        status=response.status_code,
        location=response.headers.get("Location", ""),
        body="" if secret_of or data is None else json.dumps(data, default=str),
        secret_of=secret_of,
    )
