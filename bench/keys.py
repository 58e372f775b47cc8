"""`GET /api/v2/agent/status?maxResults=1` with a key of the console, against the same view behind other keys.

CPU of this process for whole requests, through all middleware, without a network: the WSGI application is called as
gunicorn calls it. All take turns, round by round. The comparisons with djangorestframework-api-key and django-rest-knox
are made where those are installed (requirements-dev.txt); the console itself needs neither.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from io import BytesIO
from typing import Any
from uuid import uuid4

from django.core.wsgi import get_wsgi_application

from agents.clock import database_now
from agents.models import AgentSession, Contract, Source
from apikeys.actors import command_line_actor
from apikeys.models import ApiKey, ApiKeySecret
from apikeys.services import Terms, issue_key
from bench.measure import Figure, milliseconds, ratios
from console.models import User

SESSIONS, MANY_KEYS = 100, 100_000


def run(*, quick: bool) -> list[Figure]:
    rounds, of = (4, 100) if quick else (12, 300)
    person = User.objects.create(username="bench")
    _make_sessions()
    senders = _senders(person)
    ask = _asker()
    cpu, wall = _measure(ask, senders, rounds, of)
    _make_keys(MANY_KEYS)
    cpu_many, _ = _measure(ask, {name: senders[name] for name in ("ours", "none")}, rounds, of)

    figures = [
        _figure("a request with our key, CPU times the same behind TokenAuthentication", cpu, "token", of, bound=1.15)
    ]
    if "api-key" in cpu:
        figures.append(_figure("the same, times djangorestframework-api-key", cpu, "api-key", of, bound=1.15))
    if "knox" in cpu:
        figures.append(_figure("the same, times django-rest-knox", cpu, "knox", of, bound=1.0))
    throughput = ratios(wall["none"], wall["ours"])
    with_many = ratios(ratios(cpu_many["ours"], cpu_many["none"]), ratios(cpu["ours"], cpu["none"]))
    return [
        *figures,
        Figure(
            "throughput with our key, times the same view without authentication",
            throughput,
            bound=0.7,
            aim=0.8,
            at_least=True,
            detail=f"{of / min(wall['none']):.0f} and {of / min(wall['ours']):.0f} requests a second",
        ),
        Figure(f"a request with {MANY_KEYS:,} keys, CPU times one with 10", with_many, bound=1.1, aim=1.02),
    ]


def _figure(name: str, cpu: dict[str, list[float]], other: str, of: int, *, bound: float) -> Figure:
    each = {kind: milliseconds([value / of for value in cpu[kind]]) for kind in ("none", other, "ours")}
    detail = f"none {each['none']}, {other} {each[other]}, ours {each['ours']}"
    return Figure(name, ratios(cpu["ours"], cpu[other]), bound=bound, aim=1.0, detail=detail)


def _measure(
    ask: Callable[[str, str, int], None], senders: dict[str, str], rounds: int, of: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """CPU and wall seconds of `of` requests, by round, after one round that does not count."""
    cpu: dict[str, list[float]] = {name: [] for name in senders}
    wall: dict[str, list[float]] = {name: [] for name in senders}
    for _ in range(rounds + 1):
        for name, header in senders.items():
            began_cpu, began = time.process_time(), time.perf_counter()
            ask(name, header, of)
            cpu[name].append(time.process_time() - began_cpu)
            wall[name].append(time.perf_counter() - began)
    return {name: each[1:] for name, each in cpu.items()}, {name: each[1:] for name, each in wall.items()}


def _asker() -> Callable[[str, str, int], None]:
    application = get_wsgi_application()
    common = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "maxResults=1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "wsgi.errors": None,
    }

    def ask(name: str, header: str, times: int) -> None:
        answers: list[str] = []
        for _ in range(times):
            environ: dict[str, Any] = {**common, "PATH_INFO": f"/{name}", "wsgi.input": BytesIO()}
            if header:
                environ["HTTP_AUTHORIZATION"] = header
            response = application(environ, lambda status, headers, exc_info=None: answers.append(status))  # type: ignore[arg-type]
            b"".join(response)
            response.close()
        assert set(answers) == {"200 OK"}, (name, set(answers))

    return ask


def _senders(person: User) -> dict[str, str]:
    """The header for each path."""
    from rest_framework.authtoken.models import Token

    at = datetime.now(UTC)
    terms = Terms(
        name="bench",
        owner=None,
        scopes=frozenset({"agent:get"}),
        expires_at=at + timedelta(days=1),
        requests_per_minute=60_000,
    )
    _, text = issue_key(terms=terms, actor=command_line_actor(), at=at)
    senders = {"none": "", "ours": f"Bearer {text.text}"}
    senders["token"] = f"Token {Token.objects.create(user=person).key}"
    if find_spec("rest_framework_api_key"):
        from rest_framework_api_key.models import APIKey

        senders["api-key"] = f"Api-Key {APIKey.objects.create_key(name='bench')[1]}"
    if find_spec("knox"):
        from knox.models import AuthToken

        senders["knox"] = f"Token {AuthToken.objects.create(person)[1]}"
    _make_keys(9)
    return senders


def _make_sessions() -> None:
    at = database_now()
    contract = Contract.objects.create(name="bench")
    source = Source.objects.create(name="bench", kind="webconnect", contract=contract, created_at=at)
    AgentSession.objects.bulk_create(
        AgentSession(
            source=source,
            session_id=f"s{number}",
            agent_id=f"agent{number}",
            received={"agentId": f"agent{number}", "sessionId": f"s{number}", "connectionId": ["id1"]},
            first_seen_at=at,
        )
        for number in range(SESSIONS)
    )


def _make_keys(count: int) -> None:
    at = datetime.now(UTC)
    terms = {"scopes": ["agent:get"], "created_at": at, "expires_at": at + timedelta(days=9)}
    keys = ApiKey.objects.bulk_create([ApiKey(name=uuid4().hex, **terms) for _ in range(count)], batch_size=1_000)
    ApiKeySecret.objects.bulk_create(
        [
            ApiKeySecret(key=key, public_part=uuid4().hex[:12], digest="0" * 64, pepper_id="0" * 12, made_at=at)
            for key in keys
        ],
        batch_size=1_000,
    )
