"""Who may connect to the bridge: what a desktop agent shows in its handshake is looked at here.

An API key is checked as at the REST API: nothing is cached, and what is turned down is on record. A connection lasts
longer than a request, so the keys of those that are connected are looked at again and again: an agent whose key has
ended, or no longer has the scope, is disconnected within `CONSOLE_BRIDGE_KEY_CHECK_SECONDS`.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from django.db import close_old_connections
from django.utils import timezone

from agents.models import Source
from apikeys import use
from apikeys.checking import BadKey, LiveKey, authenticate, live_key
from apikeys.refusals import record_not_allowed, refuse_bad_key
from apikeys.rights import Right
from bridge.models import BridgeSource
from bridge.server.tokens import TokenCheck, public_keys

type Verify = Callable[[str], Awaitable[str | None]]

#: Every desktop agent is on this machine.
ADDRESS = "127.0.0.1"
_ENDPOINT = "bridge: handshake"
_PREFIX = "ac_"
_PRINCIPAL = re.compile(r"API key \d+: ")
#: Keys that are looked up at once: a storm of handshakes waits here, and not for the loop.
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="handshake")


def verifier(bridge: BridgeSource, token_age: float) -> Verify | None:
    """As the bridge's settings want it; None where nobody has to show anything. Raises `BadSetting`.

    `token_age`: seconds that a JWT is good for.
    """
    if bridge.authentication == BridgeSource.Authentication.OFF:
        return None
    check_jwt = TokenCheck(public_keys(Path(bridge.public_keys)), token_age) if bridge.takes_jwts else None
    source = bridge.source

    async def verify(token: str) -> str | None:
        if token.startswith(_PREFIX):
            if not bridge.takes_api_keys:
                return None
            return await asyncio.get_running_loop().run_in_executor(_THREADS, _holder_of, token, source)
        return await check_jwt(token) if check_jwt else None

    return verify


def _holder_of(token: str, source: Source) -> str | None:
    close_old_connections()
    at = timezone.now()
    try:
        key = authenticate(token, address=ADDRESS, at=at)
    except BadKey as bad:
        refuse_bad_key(bad, address=ADDRESS, at=at)
        return None
    use.count(key.pk, _ENDPOINT)
    why = _why_not(key, source)
    if why:
        record_not_allowed(key, scope=Right.BRIDGE_CONNECT, why=why, endpoint=_ENDPOINT, at=at)
        return None
    return f"API key {key.pk}: {key.name}"


def _why_not(key: LiveKey, source: Source) -> str:
    if Right.BRIDGE_CONNECT not in key.rights:
        return f"It lacks the scope {Right.BRIDGE_CONNECT}."
    return "" if key.may_touch(source.name) else f"It may not touch the source {source.name}."


def no_longer_welcome(principals: Iterable[str | None], source: Source) -> Iterator[str]:
    """Of those that connected with an API key, who could not any more."""
    for principal in {each for each in principals if each and _PRINCIPAL.match(each)}:
        key = live_key(principal.split()[2].rstrip(":"))
        if key is None or _why_not(key, source):
            yield principal
