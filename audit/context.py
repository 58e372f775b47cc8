"""What is known of the request under way, so that every event of it carries the same facts."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from uuid import uuid4


@dataclass(frozen=True)
class RequestContext:
    """`authentication` says how the actor proved who they are: `session`, `API key`, `command line` or empty."""

    request_id: str = ""
    address: str = ""
    user_agent: str = ""
    authentication: str = ""


_NO_REQUEST = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("audit_request", default=_NO_REQUEST)


def current() -> RequestContext:
    return _current.get()


def new_request_id() -> str:
    return uuid4().hex


def authenticated_by(authentication: str) -> None:
    """How the actor of the request under way proved who they are, where that is found out after it began."""
    _current.set(replace(_current.get(), authentication=authentication))


@contextmanager
def request_context(context: RequestContext) -> Iterator[None]:
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
