"""API keys for tests of every app, made the way that the console makes them."""

from datetime import UTC, datetime, timedelta
from itertools import count

from apikeys.actors import command_line_actor
from apikeys.models import ApiKey
from apikeys.services import Terms, issue_key

_numbers = count(1)


def make_key(name: str = "", *scopes: str, **overrides: object) -> tuple[ApiKey, str]:
    """A live key (the console's own unless `owner` is given) and its text for the header."""
    at = overrides.pop("at", datetime.now(UTC))
    values = {
        "name": name or f"key {next(_numbers)}",
        "owner": None,
        "scopes": frozenset(scopes or ("agent:get",)),
        "expires_at": at + timedelta(days=100),
    } | overrides
    key, token = issue_key(terms=Terms(**values), actor=command_line_actor(), at=at)
    return key, token.text


def bearer(text: str) -> dict[str, str]:
    """For a test client: `client.get(path, headers=bearer(text))`."""
    return {"Authorization": f"Bearer {text}"}
