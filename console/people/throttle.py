"""How long somebody who tried too often has to wait. allauth counts (in the cache that all processes share); this
reads its counters."""

import math
import time
from http import HTTPStatus

from allauth.core.internal.ratelimit import get_cache_key, get_rates
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

APP = "allauth.account"
#: What allauth's own views count, by the name of their URL.
COUNTED_PAGES = {
    "account_login": "login",
    "account_reauthenticate": "reauthenticate",
    "account_change_password": "change_password",
}


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """The project's `handler429`, which allauth calls for its pages."""
    match = request.resolver_match
    action = COUNTED_PAGES.get(match.url_name or "", "") if match else ""
    return wait_page(request, seconds_to_wait(request, action))


def seconds_to_wait(request: HttpRequest, action: str, key: str = "") -> int:
    """Until the counters of this action let the next try through; at least one second."""
    now = time.time()
    waits = [1.0]
    for rate in get_rates(app=APP, action=action):
        tries = cache.get(get_cache_key(request, app=APP, action=action, rate=rate, key=key), [])
        if len(tries) >= rate.amount:
            waits.append(tries[rate.amount - 1] + rate.duration - now)
    return math.ceil(max(waits))


def wait_page(request: HttpRequest, seconds: int) -> HttpResponse:
    response = render(
        request, "429.html", {"seconds": seconds, "minutes": -(-seconds // 60)}, status=HTTPStatus.TOO_MANY_REQUESTS
    )
    response["Retry-After"] = str(seconds)
    return response
