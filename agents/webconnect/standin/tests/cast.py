"""A service without a socket, and what to ask it."""

import json
import random
from typing import Any

from agents.webconnect.standin.connections import Connections
from agents.webconnect.standin.keys import SCOPES, Key, KeyRing
from agents.webconnect.standin.service import BASE, Answer, Request, Service
from agents.webconnect.standin.sessions import Agent, Session
from agents.webconnect.standin.switches import Switches

NOON = 1_790_000_000.0
TOKYO = "service2.tokyo.webconnect.hulft.com"
FULL_KEY = "full-access-key"


def make_service(**switches: str) -> Service:
    values = Switches({name.replace("_", "-"): value for name, value in switches.items()})
    rng = random.Random(1)
    return Service(values, KeyRing([make_key()]), Connections(values, rng), rng)


def make_key(name: str = "full", secret: str = FULL_KEY, scopes: tuple[str, ...] = SCOPES, **more: bool) -> Key:
    return Key(name, secret, frozenset(scopes), **more)


def connect(service: Service, session_id: str = "s1", at: float = NOON, **more: Any) -> Session:
    values = {
        "agent_id": f"agent-{session_id}",
        "direction": "send",
        "connection_ids": ("id1",),
        "endpoint": TOKYO,
        "version": "3.1.0",
        "supports_disconnection": True,
    }
    return service.connections.connect(Agent(**(values | more)), at, session_id)


def get(service: Service, path: str = "/agent/status", query: str = "", at: float = NOON, key=FULL_KEY) -> Answer:
    return service.answer(Request("GET", BASE + path, query, f"Bearer {key}"), at)


def post(service: Service, at: float = NOON, key: str = FULL_KEY, **body: object) -> Answer:
    order = json.dumps({"sessionId": "s1", "endpoint": TOKYO} | body).encode()
    return service.answer(Request("POST", f"{BASE}/agent/disconnection", "", f"Bearer {key}", order), at)


def listed(service: Service, query: str = "", at: float = NOON, path: str = "/agent/status") -> list[str]:
    answer = get(service, path, query, at)
    return [row["sessionId"] for row in json.loads(answer.body)["status"]] if answer.body else []


def problem(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]
