"""The description of the API: whole, and true of a live console."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.views import APIView

from agents.models import AgentSession
from agents.states import State
from agents.tests.make import make_disconnection, make_operation, make_row, make_session, make_source
from apikeys import throttling
from apikeys.rights import Right
from apikeys.scopes import all_scopes
from apikeys.tests.factory import bearer, make_key
from audit.actors import Actor
from audit.exports import making
from audit.exports.models import Export
from audit.exports.services import request_export
from bridge.tests.fake import FakeServer, agent, app, channel, make_bridge
from console.api_docs import description
from console.metrics import Metrics
from console.tests.factory import make_person, signed_in
from console.tests.live_server import serving

METHODS = ("get", "post", "put", "patch", "delete")


def api_views(patterns=None) -> list[type[APIView]]:
    found = []
    for pattern in patterns if patterns is not None else get_resolver("console.urls").url_patterns:
        if isinstance(pattern, URLResolver):
            found += api_views(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and hasattr(pattern.callback, "view_class"):
            view = pattern.callback.view_class
            # /metrics is described by its own format.
            found += [view] if issubclass(view, APIView) and view is not Metrics else []
    return found


def operations() -> list[tuple[str, str, dict]]:
    return [(path, method, found[method]) for path, found in description()["paths"].items() for method in found]


def test_every_view_declares_a_scope_for_each_of_its_methods():
    known = {scope.name for scope in all_scopes()}

    assert len(api_views()) > 20
    for view in api_views():
        methods = {method.upper() for method in METHODS if hasattr(view, method)}
        assert set(view.scopes) == methods, view
        assert set(view.scopes.values()) <= known, view


def test_every_scope_opens_something():
    declared = {scope for view in api_views() for scope in view.scopes.values()}

    assert {scope.name for scope in all_scopes()} - declared == set()


def test_the_description_has_every_view():
    assert description()["openapi"].startswith("3.1")
    assert len(operations()) == sum(len(view.scopes) for view in api_views())
    for path, method, operation in operations():
        assert "Needs the scope" in operation["description"], (method, path)
        assert {"401", "403", "429"} < set(operation["responses"]), (method, path)


@pytest.mark.django_db
def test_it_can_be_fetched_and_read():
    assert Client().get("/api/schema/").json() == json.loads(json.dumps(description()))
    page = signed_in(make_person("vera", "Viewer")).get("/api/docs/")
    assert page.status_code == 200
    for path, _, operation in operations():
        assert path in page.text and operation["operationId"] in page.text
    assert Client().get("/api/docs/").status_code == 302


def some_things() -> dict[str, dict]:
    """Something for each operation to find, as examples by its ID."""
    source = make_source("Tokyo")
    for number in range(3):
        make_session(source, f"s{number}")
    wanted = [make_session(source, f"w{number}") for number in range(4)]
    row = make_row("v2")
    make_session(source, "v2", row=row)
    operation = make_operation(size=2)
    queued = [make_disconnection(make_session(source, f"q{number}"), operation=operation) for number in range(2)]
    alone = make_disconnection(make_session(source, "q9"))
    make_disconnection(make_session(source, "old"), State.CONFIRMED)
    body = {"reason": "a whole reason"}
    prices = channel("prices", app("pricer", "agent-A"), app("trader", "agent-B"))
    bridge = make_bridge(server=FakeServer(agent("agent-A"), agent("agent-B"), channels=[prices]))
    first, second, _, trader = AgentSession.objects.filter(source=bridge).order_by("part_of", "agent_id")
    unsent = make_disconnection(second)
    ready, waiting = make_export(), make_export(make=False)
    return {
        "agent_status_of_direction": {"direction": "send"},
        "agent_disconnection": {"body": {"sessionId": "v2", "endpoint": row["endpoint"]}},
        "agent_session": {"id": wanted[0].pk},
        "source": {"pk": source.pk},
        "audit_event": {"sequence": 1},
        "disconnect": {"body": {"session": wanted[1].pk, **body}},
        "disconnect_many": {"body": {"sessions": [each.pk for each in wanted[2:]], **body}},
        "operation": {"pk": str(operation.pk), "id": str(operation.pk)},
        "cancel_operation": {"pk": str(queued[0].operation_id), "id": str(operation.pk)},
        "disconnection": {"pk": str(alone.pk), "id": str(alone.pk)},
        "cancel_disconnection": {"pk": str(alone.pk), "id": str(alone.pk)},
        "bridge": {"pk": bridge.pk},
        "bridge_address": {"pk": bridge.pk},
        "desktop_agents": {"pk": bridge.pk},
        "private_channel": {"pk": bridge.pk, "key": trader.part_of},
        "bridge_disconnect": {"body": {"session": first.pk, **body}},
        "audit_export": {"pk": str(ready.pk)},
        "audit_export_file": {"pk": str(ready.pk)},
        "end_audit_export": {"pk": str(waiting.pk)},
        "mark_reviewed": {"body": {"events": [1], "note": "seen"}},
        "make_audit_export": {"body": {"query": "", "format": "csv"}},
        "cancel_bridge_disconnection": {"pk": str(unsent.pk), "id": str(unsent.pk)},
    }


def make_export(*, make: bool = True) -> Export:
    reader = Actor("person", "4711", "bob", frozenset({Right.AUDIT_GET}))
    export = request_export(query="", format="csv", actor=reader)
    if make:
        making.make(export.pk)
    return export


def with_examples(examples: dict[str, dict]) -> dict:
    described = json.loads(json.dumps(description()))
    for methods in described["paths"].values():
        for operation in methods.values():
            values = examples.get(operation["operationId"], {})
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path" and values:
                    parameter["example"] = values.get(parameter["name"], values.get("id", values.get("pk")))
            if "body" in values:
                operation["requestBody"]["content"]["application/json"]["example"] = values["body"]
    return described


CONFIG = """
seed = 20261121
[generation]
max-examples = 5
deterministic = true
[checks.positive_data_acceptance]
# Of the right form, and yet no cursor of ours, no session, no zone, or a period that ends before it begins.
expected-statuses = ["2xx", "400", "404", "409", "422"]
[checks.negative_data_rejection]
expected-statuses = ["400", "404", "415", "422"]
[phases.coverage]
unexpected-methods = ["PUT", "TRACE"]
"""


def test_schemathesis_finds_nothing_on_a_live_console(committed_db, tmp_path: Path):
    examples = some_things()
    kate = make_person("kate", "Administrator")
    scopes = [scope.name for scope in all_scopes() if scope.name != Right.APIKEY_MANAGE]
    key, text = make_key("all but manage keys", *scopes, owner=kate, requests_per_minute=60_000)
    examples["api_key"] = {"id": key.pk}
    Export.objects.update(actor_kind="API key", actor_id=key.pk)
    (tmp_path / "schema.json").write_text(json.dumps(with_examples(examples)))
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    # It tries each operation with bad keys too, which are many by now.
    many = patch.multiple("apikeys.refusals", MOST_OF_ADDRESS=10_000, MOST_OF_ALL=10_000)
    with serving() as url, patch("agents.services.nudge"), patch("audit.nudging.nudge"), many:
        command = [sys.executable, "-m", "schemathesis.cli", "run", "schema.json", "--url", url]
        command += ["-H", f"Authorization: Bearer {text}", "--report", "ndjson", "--report-ndjson-path", "run.ndjson"]
        command += ["--phases", "examples,coverage,fuzzing", "--max-failures", "20", "--continue-on-failure"]
        command += ["--exclude-operation-id-regex", "_api_key$", "--include-method", "GET", "--include-method", "POST"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert accepted(tmp_path / "run.ndjson") == {
        f"{method.upper()} {path}"
        for path, method, operation in operations()
        if not operation["operationId"].endswith("_api_key")
    }


def accepted(report: Path) -> set[str]:
    """The operations that were answered with a 2xx."""
    found = set()
    for line in report.read_text().splitlines():
        scenario = json.loads(line).get("ScenarioFinished", {})
        for exchange in scenario.get("recorder", {}).get("interactions", {}).values():
            if exchange["response"] and exchange["response"]["status_code"] < 300:
                found.add(scenario["recorder"]["label"])
    return found


def test_a_key_without_rights_is_refused_everywhere(committed_db):
    examples = some_things()
    nobody = make_person("nobody", "Administrator")
    _, text = make_key("no rights", *[scope.name for scope in all_scopes()], owner=nobody)
    nobody.is_superuser = False
    nobody.save()
    cache.clear()
    throttling._portions.clear()

    answers = defaultdict(set)
    for path, method, operation in operations():
        values = examples.get(operation["operationId"], {"id": 1, "pk": 1})
        for name in ("id", "pk", "sequence", "direction", "key"):
            path = path.replace("{" + name + "}", str(values.get(name, values.get("id", values.get("pk", "1")))))
        send = getattr(Client(), method)
        body = {"data": json.dumps(values.get("body", {})), "content_type": "application/json"}
        answer = send(path, headers=bearer(text), **(body if method == "post" else {}))
        answers[answer.status_code, answer.json()["code"]].add(path)

    assert set(answers) == {(403, "C403002")}, answers
