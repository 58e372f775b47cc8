"""Pages that follow along: one token says all that could have changed; unchanged means 304 before anything is loaded.

`static/console/live.js` asks a page's own URL again and again with `If-None-Match`. The token is taken before the
page's own queries, so that what changes meanwhile costs one look too many and is never missed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers

from audit.models import Head

#: Between two looks while something that is shown is in motion.
IN_MOTION_SECONDS = 1


@dataclass(frozen=True)
class Live:
    """What the page says of itself to live.js."""

    etag: str
    seconds: float


def is_look(request: Any) -> bool:
    """Whether live.js asks, and not a person who opens the page."""
    return bool(request.htmx) and request.htmx.target == "live"


def token(request: HttpRequest, *seen: object) -> str:
    """Of the newest event, of who looks, of the address, and of what else the page shows."""
    newest_event = Head.objects.values_list("sequence", flat=True).get()
    rights = sorted(request.actor.rights)  # type: ignore[attr-defined]
    who = request.user.pk, rights, timezone.get_current_timezone_name()
    everything = newest_event, *seen, who, request.get_full_path(), timezone.localdate()
    return f'"{blake2b(repr(everything).encode(), digest_size=16).hexdigest()}"'


def follow[R: HttpResponse](request: HttpRequest, etag: str, page: Callable[[], R]) -> HttpResponse | R:
    """304 where `etag` is the one that the browser has already, else `page()`."""
    response = get_conditional_response(request, etag=etag) or page()
    if response.status_code in (200, 304):
        response["ETag"] = etag
    # Not kept anywhere: it may carry messages meant for once, and live.js keeps the token itself.
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["HX-Request", "HX-Target", "Cookie"])
    return response


def show(
    request: HttpRequest, etag: str, template: str, context: dict[str, Any], *, in_motion: bool, status: int = 200
) -> HttpResponse:
    """The page, or to live.js only the part of it that changes."""
    seconds = IN_MOTION_SECONDS if in_motion else settings.CONSOLE_LIVE_SECONDS
    part = "#live" if is_look(request) else ""
    return render(request, template + part, {**context, "live": Live(etag, seconds)}, status=status)
