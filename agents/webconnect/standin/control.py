"""The control API under /control/: how tests and people steer the stand-in. No part of the vendor's API.

It has no keys, so it answers only programs on this machine: see `same_machine`.
"""

import random
from collections.abc import Callable, Mapping
from datetime import UTC
from itertools import repeat
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agents.webconnect.standin import keys
from agents.webconnect.standin.clock import LONGEST_ADVANCE
from agents.webconnect.standin.problems import Problem, encode
from agents.webconnect.standin.rows import make_session
from agents.webconnect.standin.service import Answer
from agents.webconnect.standin.sessions import Session
from agents.webconnect.standin.wanted import BadInput, Wanted
from agents.webconnect.standin.world import World

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_GENERATED = 100_000
MOST_TEMPO = 60_000
MOST_HAPPENINGS = 1_000_000

type Json = dict[str, Any]


def same_machine(headers: Mapping[str, str]) -> bool:
    """False for a web page that makes a browser on this machine call us.

    A foreign page gives itself away by Origin or Sec-Fetch-Site; one whose own name was made to resolve to
    127.0.0.1 (DNS rebinding) looks same-origin to the browser, but sends its name as Host.
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    return (
        _host_name(host) in LOOPBACK
        and origin in (None, f"http://{host}")
        and headers.get("sec-fetch-site", "none") in ("same-origin", "none")
    )


def _host_name(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


class Control:
    def __init__(self, world: World, release: Callable[[], None]) -> None:
        """`release` ends the connections that faults hold open."""
        self._world = world
        self._release = release
        self._gets: dict[str, Callable[[Mapping[str, str]], object]] = {
            "state": self._state,
            "sessions": self._sessions,
            "requests": self._requests,
        }
        self._posts: dict[str, Callable[[Wanted], object]] = {
            "sessions": self._change_sessions,
            "switches": self._set_switches,
            "faults": self._change_faults,
            "clock": self._set_clock,
            "keys": self._change_keys,
            "transfers": self._begin_transfer,
            "rate-limit": self._block,
            "population": self._set_population,
            "reset": self._reset,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> Answer:
        name = path.removeprefix("/control/")
        self._world.catch_up()
        try:
            if method == "GET" and name in self._gets:
                values = {key: value[-1] for key, value in parse_qs(query, max_num_fields=50).items()}
                return Answer(200, encode(self._gets[name](values)))
            if method == "POST" and name in self._posts:
                return Answer(200, encode(self._posts[name](Wanted.parse(body))))
        except BadInput as error:
            return Answer(400, Problem.CONTROL.body(str(error)))
        except ValueError:
            return Answer(400, Problem.CONTROL.body("A parameter is not a number, or there are too many."))
        if name in self._gets or name in self._posts:
            return Answer(405, Problem.METHOD.body())
        known = f"GET {', '.join(self._gets)}; POST {', '.join(self._posts)}."
        return Answer(404, Problem.NO_SUCH_PATH.body(known))

    # GET

    def _state(self, query: Mapping[str, str]) -> Json:
        world, now = self._world, self._world.clock.now()
        limit = world.service.rate_limit
        return {
            "clock": {"now": now, "ahead": world.clock.ahead},
            "sessions": len(world.connections.sessions),
            "transfers": world.connections.relay_log.running(),
            "requests": world.log.total,
            "switches": world.switches.as_dict(),
            "faults": world.faults.as_dicts(),
            "keys": [{"name": key.name, "scopes": sorted(key.scopes), "expired": key.expired} for key in world.keys],
            "rateLimit": {"counted": limit.counted(now), "blockedFor": max(0.0, limit.blocked_until - now)},
            "population": {"tempo": world.population.tempo, "seed": world.beginning.seed},
        }

    def _sessions(self, query: Mapping[str, str]) -> Json:
        return {"sessions": [session.row(UTC) for session in self._world.connections.sessions.listing()]}

    def _requests(self, query: Mapping[str, str]) -> Json:
        found = self._world.log.find(
            after=int(query.get("after", "0")),
            path=query.get("path", ""),
            session=query.get("session", ""),
            limit=max(1, int(query.get("limit", "50000"))),
        )
        return {"total": self._world.log.total, "requests": [arrival.as_dict() for arrival in found]}

    # POST

    def _change_sessions(self, wanted: Wanted) -> Json:
        """All of it or nothing: who is to go and who is to come is settled before anybody moves."""
        leaving, coming = self._leaving(wanted), self._coming(wanted)
        for session in leaving:
            self._world.connections.end(session, self._world.clock.now())
        for session in coming:
            self._world.connections.sessions.add(session)
        return {
            "sessions": len(self._world.connections.sessions),
            "added": [session.session_id for session in coming],
        }

    def _leaving(self, wanted: Wanted) -> list[Session]:
        listed = list(self._world.connections.sessions.listing())
        some = min(len(listed), wanted.count("endSome", MOST_GENERATED))
        named = [self._session(session_id) for session_id in wanted.texts("remove")]
        return listed if wanted.flag("replace") else named + random.sample(listed, some)

    def _coming(self, wanted: Wanted) -> list[Session]:
        world, now = self._world, self._world.clock.now()
        count, overrides = wanted.count("generate", MOST_GENERATED), wanted.object("overrides")
        rows = [*repeat(overrides, count), *wanted.objects("add")]
        return [make_session(world.connections, world.population, row, now) for row in rows]

    def _session(self, session_id: str) -> Session:
        session = self._world.connections.sessions.get(session_id)
        if session is None:
            raise BadInput(f"There is no session {session_id[:60]!r}.")
        return session

    def _set_switches(self, wanted: Wanted) -> Json:
        self._world.switches.set_all({name: str(value) for name, value in wanted.values.items()})
        return self._world.switches.as_dict()

    def _change_faults(self, wanted: Wanted) -> Json:
        if wanted.flag("clear"):
            self._world.faults.clear()
            self._release()
        for fault in wanted.objects("add"):
            self._world.faults.add(fault)
        return {"faults": self._world.faults.as_dicts()}

    def _set_clock(self, wanted: Wanted) -> Json:
        seconds = wanted.number("advance", 0, LONGEST_ADVANCE)
        if seconds / 60 * self._world.population.tempo > MOST_HAPPENINGS:
            raise BadInput("Too much would happen in that time. Set a slower tempo first.")
        self._world.clock.advance(seconds)
        return {"now": self._world.catch_up(), "ahead": self._world.clock.ahead}

    def _change_keys(self, wanted: Wanted) -> Json:
        added = keys.parse(wanted.objects("add"))
        for name in wanted.texts("remove"):
            self._world.keys.remove(name)
        for key in added:
            self._world.keys.add(key)
        return {"keys": [key.name for key in self._world.keys]}

    def _begin_transfer(self, wanted: Wanted) -> Json:
        sender = self._session(wanted.text("sender"))
        receiver = self._session(wanted.text("receiver", sender.session_id))
        now, relay_log = self._world.clock.now(), self._world.connections.relay_log
        ends = now + wanted.number("seconds", 0, LONGEST_ADVANCE, 60)
        transfer = relay_log.begin(sender, receiver, now)
        self._world.connections.schedule.at(ends, lambda at: relay_log.finish(transfer, at))
        return {"processingId": transfer.processing_id}

    def _block(self, wanted: Wanted) -> Json:
        """As if the limit had been passed just now; 0 ends a block."""
        now, limit = self._world.clock.now(), self._world.service.rate_limit
        limit.blocked_until = now + wanted.number("blockFor", 0, LONGEST_ADVANCE)
        return {"blockedFor": limit.blocked_until - now}

    def _set_population(self, wanted: Wanted) -> Json:
        self._world.population.tempo = wanted.number("tempo", 0, MOST_TEMPO)
        self._world.population.begin(self._world.clock.now())
        return {"tempo": self._world.population.tempo}

    def _reset(self, wanted: Wanted) -> Json:
        self._world.reset()
        self._release()
        return {"sessions": len(self._world.connections.sessions)}
