"""The control API under /control/: how tests and people steer the stand-in. No part of the vendor's API.

It has no keys, so it answers only programs on this machine: see `same_machine`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agents.webconnect.standin import keys
from agents.webconnect.standin.clock import LONGEST_ADVANCE
from agents.webconnect.standin.faults import BadFault
from agents.webconnect.standin.problems import Problem, Refused, encode
from agents.webconnect.standin.rows import BadRow, add_row
from agents.webconnect.standin.service import Answer
from agents.webconnect.standin.sessions import Session
from agents.webconnect.standin.switches import BadSwitch
from agents.webconnect.standin.world import World

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_GENERATED = 100_000
MOST_TEMPO = 60_000

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
        self._posts: dict[str, Callable[[Json], object]] = {
            "sessions": self._change_sessions,
            "switches": self._set_switches,
            "faults": self._change_faults,
            "clock": self._set_clock,
            "keys": self._change_keys,
            "transfers": self._begin_transfer,
            "population": self._set_population,
            "reset": self._reset,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> Answer:
        name = path.removeprefix("/control/")
        self._world.service.schedule.run_until(self._world.clock.now())
        try:
            if method == "GET" and name in self._gets:
                values = {key: value[-1] for key, value in parse_qs(query, max_num_fields=50).items()}
                return Answer(200, encode(self._gets[name](values)))
            if method == "POST" and name in self._posts:
                return Answer(200, encode(self._posts[name](_read(body))))
            raise Refused(*self._missing(name))
        except (BadSwitch, BadFault, BadRow, keys.BadKeys) as error:
            return _refusal(Refused(Problem.CONTROL, 400, str(error)))
        except ValueError:
            return _refusal(Refused(Problem.CONTROL, 400, "A value is of the wrong kind."))
        except Refused as refused:
            return _refusal(refused)

    def _missing(self, name: str) -> tuple[Problem, int, str]:
        if name in self._gets or name in self._posts:
            return Problem.METHOD, 405, ""
        return Problem.NO_SUCH_PATH, 404, f"GET {', '.join(self._gets)}; POST {', '.join(self._posts)}."

    def _state(self, query: Mapping[str, str]) -> Json:
        world, now = self._world, self._world.clock.now()
        limit = world.service.rate_limit
        return {
            "clock": {"now": now, "ahead": world.clock.ahead},
            "sessions": len(world.service.sessions),
            "transfers": world.service.relay_log.running(),
            "requests": world.log.total,
            "switches": world.service.switches.as_dict(),
            "faults": world.faults.as_dicts(),
            "keys": [
                {"name": key.name, "scopes": sorted(key.scopes), "expired": key.expired} for key in world.service.keys
            ],
            "rateLimit": {"counted": limit.counted(now), "blockedFor": max(0.0, limit.blocked_until - now)},
            "population": {"tempo": world.population.tempo, "seed": world.beginning.seed},
        }

    def _sessions(self, query: Mapping[str, str]) -> Json:
        return {"sessions": [session.row(UTC) for session in self._world.service.sessions.listing()]}

    def _requests(self, query: Mapping[str, str]) -> Json:
        found = self._world.log.find(
            after=int(query.get("after", "0")),
            path=query.get("path", ""),
            session=query.get("session", ""),
            limit=max(1, int(query.get("limit", "50000"))),
        )
        return {"total": self._world.log.total, "requests": [arrival.as_dict() for arrival in found]}

    def _change_sessions(self, wanted: Json) -> Json:
        """In this order: replace, remove, end some, generate, add."""
        world, now = self._world, self._world.clock.now()
        generate = _count(wanted, "generate", MOST_GENERATED)
        rows = _rows(wanted, "add")
        overrides = _object(wanted, "overrides")
        if wanted.get("replace") is True:
            self._end(list(world.service.sessions.listing()))
        self._end([self._session(session_id) for session_id in _texts(wanted, "remove")])
        listed = world.service.sessions.listing()
        self._end(world.service.rng.sample(listed, min(len(listed), _count(wanted, "endSome", MOST_GENERATED))))
        if overrides:
            made = [add_row(world.service, world.population, overrides, now) for _ in range(generate)]
        else:
            made = world.population.add(generate, now)
        made += [add_row(world.service, world.population, row, now) for row in rows]
        return {"sessions": len(world.service.sessions), "added": [session.session_id for session in made]}

    def _end(self, sessions: list[Session]) -> None:
        for session in sessions:
            self._world.service.end(session, self._world.clock.now())

    def _session(self, session_id: str) -> Session:
        session = self._world.service.sessions.get(session_id)
        if session is None:
            raise BadRow(f"There is no session {session_id[:60]!r}.")
        return session

    def _set_switches(self, wanted: Json) -> Json:
        self._world.service.switches.set_all({name: str(value) for name, value in wanted.items()})
        return self._world.service.switches.as_dict()

    def _change_faults(self, wanted: Json) -> Json:
        if wanted.get("clear") is True:
            self._world.faults.clear()
            self._release()
        for fault in _rows(wanted, "add"):
            self._world.faults.add(fault)
        return {"faults": self._world.faults.as_dicts()}

    def _set_clock(self, wanted: Json) -> Json:
        seconds = wanted.get("advance")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise Refused(Problem.CONTROL, 400, "advance is a number of seconds.")
        if not 0 <= seconds <= LONGEST_ADVANCE:
            raise Refused(Problem.CONTROL, 400, f"advance is 0 to {LONGEST_ADVANCE:.0f} seconds.")
        self._world.clock.advance(seconds)
        now = self._world.clock.now()
        self._world.service.schedule.run_until(now)
        return {"now": now, "ahead": self._world.clock.ahead}

    def _change_keys(self, wanted: Json) -> Json:
        for name in _texts(wanted, "remove"):
            self._world.service.keys.remove(name)
        for key in keys.parse(wanted.get("add", [])):
            self._world.service.keys.add(key)
        return {"keys": [key.name for key in self._world.service.keys]}

    def _begin_transfer(self, wanted: Json) -> Json:
        sender = self._session(str(wanted.get("sender", "")))
        receiver = self._session(str(wanted.get("receiver", sender.session_id)))
        seconds = float(wanted.get("seconds", 60))
        now = self._world.clock.now()
        service = self._world.service
        transfer = service.relay_log.begin(sender, receiver, now)
        service.schedule.at(now + seconds, lambda at: service.relay_log.finish(transfer, at))
        return {"processingId": transfer.processing_id}

    def _set_population(self, wanted: Json) -> Json:
        self._world.population.tempo = float(_count(wanted, "tempo", MOST_TEMPO))
        self._world.population.begin(self._world.clock.now())
        return {"tempo": self._world.population.tempo}

    def _reset(self, wanted: Json) -> Json:
        self._world.reset()
        self._release()
        return {"sessions": len(self._world.service.sessions)}


def _refusal(refused: Refused) -> Answer:
    return Answer(refused.status, refused.problem.body(refused.detail), refused.headers)


def _read(body: bytes) -> Json:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise Refused(Problem.CONTROL, 400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refused(Problem.CONTROL, 400, "The body is not a JSON object.")
    return value


def _count(wanted: Json, name: str, most: int) -> int:
    value = wanted.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Refused(Problem.CONTROL, 400, f"{name} is a whole number from 0 to {most}.")
    return value


def _object(wanted: Json, name: str) -> Json:
    value = wanted.get(name, {})
    if not isinstance(value, dict):
        raise Refused(Problem.CONTROL, 400, f"{name} is an object.")
    return value


def _rows(wanted: Json, name: str) -> list[Json]:
    value = wanted.get(name, [])
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Refused(Problem.CONTROL, 400, f"{name} is a list of objects.")
    return value


def _texts(wanted: Json, name: str) -> list[str]:
    value = wanted.get(name, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise Refused(Problem.CONTROL, 400, f"{name} is a list of texts.")
    return value
