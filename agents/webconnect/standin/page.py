"""The stand-in's own page: what it holds, what arrived, and which reactions are switched how."""

import html
import unicodedata
from collections.abc import Iterable
from datetime import UTC
from itertools import islice
from pathlib import Path

from agents.webconnect.standin.log import Arrival
from agents.webconnect.standin.service import Answer
from agents.webconnect.standin.sessions import Session, time_text
from agents.webconnect.standin.switches import SWITCHES
from agents.webconnect.standin.world import World

SESSIONS_SHOWN = 200
REQUESTS_SHOWN = 50
REFRESH_SECONDS = 3

SAFE_HEADERS = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'self'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)
STYLE = Answer(
    200,
    Path(__file__).with_name("standin.css").read_bytes(),
    SAFE_HEADERS,
    "text/css; charset=utf-8",
)


def page(world: World) -> Answer:
    now = world.catch_up()
    sections = (_state(world, now), _sessions(world), _requests(world), _switches(world))
    body = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>WebConnect stand-in</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}"><link rel="stylesheet" href="/standin.css">'
        f"</head><body><main><h1>WebConnect stand-in</h1>"
        f"<p>A local imitation for trying and testing. It is not the vendor's service, and nothing here"
        f" reaches one.</p>{''.join(sections)}</main></body></html>"
    )
    return Answer(200, body.encode("utf-8", "replace"), SAFE_HEADERS, "text/html; charset=utf-8")


def _state(world: World, now: float) -> str:
    connections, limit = world.connections, world.service.rate_limit
    blocked = limit.blocked_until
    facts = [
        ("Time", f"{time_text(now)} UTC"),
        ("Sessions", len(connections.sessions)),
        ("Transfers running", connections.relay_log.running()),
        ("Requests in this minute", f"{limit.counted(now)} of {world.switches['rate-limit']}"),
        ("Refusing everything", f"until {time_text(blocked)} UTC" if blocked > now else "no"),
        ("Faults waiting", len(world.faults)),
        ("Keys", ", ".join(key.name for key in world.keys) or "none"),
    ]
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{_shown(value)}</dd>' for name, value in facts)}</dl>"


def _sessions(world: World) -> str:
    sessions = world.connections.sessions.listing()
    heads = (
        "Agent ID",
        "Direction",
        "Connection IDs",
        "Endpoint",
        "Version",
        "Since (UTC)",
        "Session ID",
        "",
    )
    return _table(
        f"Sessions ({min(len(sessions), SESSIONS_SHOWN)} of {len(sessions)})",
        heads,
        (_session_cells(session) for session in islice(sessions, SESSIONS_SHOWN)),
        "No agent is connected.",
    )


def _session_cells(session: Session) -> tuple[object, ...]:
    row = session.row(UTC)
    names = row["connectionId"]
    return (
        row["agentId"],
        row["direction"],
        ", ".join(map(str, names)) if isinstance(names, list | tuple) else names,
        row["endpoint"],
        row["agentVersion"],
        row["startConnection"],
        row["sessionId"],
        "closing" if session.closing else "",
    )


def _requests(world: World) -> str:
    return _table(
        f"Last requests (of {world.log.total})",
        ("Received (UTC)", "Key", "Method", "Path", "Body", "Fault", "Status"),
        (_request_cells(arrival) for arrival in world.log.newest(REQUESTS_SHOWN)),
        "Nothing has arrived yet.",
    )


def _request_cells(arrival: Arrival) -> tuple[object, ...]:
    return (
        time_text(arrival.received),
        arrival.key or "no valid key",
        arrival.method,
        arrival.path + (f"?{arrival.query}" if arrival.query else ""),
        arrival.body[:200].decode("utf-8", "replace"),
        arrival.fault,
        arrival.status or "none",
    )


def _switches(world: World) -> str:
    values = world.switches
    rows = (
        (
            switch.name,
            switch.asks,
            values[switch.name],
            f"{switch.default} ({'documented' if switch.documented else 'ours'})",
            ", ".join(switch.choices) or f"0 to {switch.largest:g}",
        )
        for switch in SWITCHES.values()
    )
    return _table(
        "Switches: what the manual leaves open",
        ("Switch", "The question", "Now", "Default", "Values"),
        rows,
        "",
    )


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[object]], empty: str) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{_shown(cell)}</td>' for cell in row)}</tr>" for row in rows)
    if not lines:
        return f"<h2>{title}</h2><p>{empty}</p>"
    columns = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f'<h2>{title}</h2><div class="scroll" tabindex="0" role="region" aria-label="{title}">'
        f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _shown(value: object) -> str:
    """Any text, harmless: markup escaped, and characters that cannot be seen or that turn the line, named."""
    text = "".join(_visible(character) for character in str(value)[:300])
    return f"<bdi>{html.escape(text)}</bdi>"


def _visible(character: str) -> str:
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"[U+{ord(character):04X}]"
    return character
