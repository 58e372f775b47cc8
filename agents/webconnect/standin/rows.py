"""Sessions as somebody wrote them, in the properties of the list."""

import re
from collections.abc import Mapping
from dataclasses import replace

from agents.webconnect.standin.connections import Connections
from agents.webconnect.standin.population import Population, supports_disconnection
from agents.webconnect.standin.sessions import DIRECTIONS, Session, parse_time
from agents.webconnect.standin.wanted import BadInput

VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,4}){2}")
PROPERTIES = frozenset(
    {
        "agentId",
        "direction",
        "connectionId",
        "endpoint",
        "startConnection",
        "sessionId",
        "agentVersion",
        "willBeClosed",
        "supportingDisconnectApi",
    }
)


def make_session(connections: Connections, population: Population, row: Mapping[str, object], at: float) -> Session:
    """Not connected yet. What the row lacks is made up; a value no agent could have is listed as it is."""
    if row.keys() - PROPERTIES:
        raise BadInput(f"A session has no {', '.join(sorted(row.keys() - PROPERTIES))[:80]}.")
    agent = population.next_agent()
    overrides = dict(row)

    session_id = overrides.pop("sessionId", "")
    if not isinstance(session_id, str) or len(session_id) > 10_000:
        raise BadInput("sessionId is a text.")
    if row.get("direction") in DIRECTIONS:
        agent = replace(agent, direction=str(overrides.pop("direction")))
    if isinstance(endpoint := row.get("endpoint"), str):
        agent = replace(agent, endpoint=endpoint)
        del overrides["endpoint"]
    if isinstance(agent_id := row.get("agentId"), str):
        agent = replace(agent, agent_id=agent_id)
        del overrides["agentId"]
    if isinstance(version := row.get("agentVersion"), str) and VERSION.fullmatch(version):
        agent = replace(agent, version=version, supports_disconnection=supports_disconnection(version))
        del overrides["agentVersion"]
    if isinstance(supports := row.get("supportingDisconnectApi"), bool):
        agent = replace(agent, supports_disconnection=supports)
        del overrides["supportingDisconnectApi"]
    if (names := _connection_ids(row.get("connectionId"))) is not None:
        agent = replace(agent, connection_ids=names)
        del overrides["connectionId"]
    if (started := _started(row.get("startConnection"))) is not None:
        del overrides["startConnection"]
    closing = overrides.pop("willBeClosed") if isinstance(row.get("willBeClosed"), bool) else False

    return Session(
        agent,
        session_id or connections.new_session_id(),
        at if started is None else started,
        bool(closing),
        overrides,
    )


def _connection_ids(value: object) -> tuple[str, ...] | None:
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    return None


def _started(value: object) -> float | None:
    try:
        return parse_time(value) if isinstance(value, str) else None
    except ValueError:
        return None
