"""/api/console/v1: bridges, private channels, and disconnections of both."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.cache import cache

from agents.models import AgentSession, Disconnection
from agents.states import State
from agents.tests.make import make_session, make_source
from apikeys import throttling
from apikeys.rights import Right
from apikeys.tests.factory import bearer, make_key
from bridge import link
from bridge.models import BridgeProcess
from bridge.tests.fake import FakeServer, agent, app, channel, make_bridge, member

V1 = "/api/console/v1"
ALL = [Right.BRIDGE_GET, Right.BRIDGE_DISCONNECT, Right.BRIDGE_CONNECT, Right.OPERATION_GET]


@pytest.fixture
def api(db, client):
    """Asks with a key of the given scopes."""
    cache.clear()
    throttling._portions.clear()
    keys = {}

    def ask(method, path, body=None, *, scopes=tuple(ALL), sources=None, **headers):
        if (scopes, sources) not in keys:
            held = {} if sources is None else {"all_sources": False, "sources": frozenset(sources)}
            _, keys[scopes, sources] = make_key(f"key {len(keys)}", *scopes, **held)
        headers = bearer(keys[scopes, sources]) | headers
        if method == "GET":
            return client.get(V1 + path, headers=headers)
        return client.post(V1 + path, json.dumps(body or {}), content_type="application/json", headers=headers)

    return ask


@pytest.fixture
def bridge(db, settings):
    settings.CONSOLE_BRIDGE_SILENCE = timedelta(hours=1)  # However slow this machine is at the moment.
    link._links.clear()
    prices = channel(
        "prices-1", app("pricer", "agent-A"), member(app("trader", "agent-B", ""), contexts=["fdc3.x", None])
    )
    yield make_bridge("desk", server=FakeServer(agent("agent-A"), agent("agent-B"), channels=[prices]))
    link._links.clear()


def test_it_lists_bridges(api, bridge):
    [shown] = api("GET", "/bridges").json()

    assert (shown["name"], shown["state"], shown["agents"]) == ("desk", "fresh", 2)
    assert (shown["address"], shown["authentication"]) == ("ws://127.0.0.1:4475", "off")
    assert api("GET", f"/bridges/{bridge.pk}").json() == shown


def test_a_bridge_that_does_not_run_has_no_address(api, bridge):
    BridgeProcess.objects.update(token=None)

    assert api("GET", f"/bridges/{bridge.pk}").json()["address"] == ""


def test_it_lists_desktop_agents(api, bridge):
    items = api("GET", f"/bridges/{bridge.pk}/agents").json()["items"]

    assert [each["agent_id"] for each in items] == ["agent-A", "agent-B"]
    assert items[0]["bridge"]["provider"] == "Sail" and items[0]["bridge"]["traffic"]["received"] == 12


def test_it_lists_private_channels(api, bridge):
    [shown] = api("GET", "/private-channels").json()

    assert (shown["id"], shown["creator"]["appId"], shown["messages"]) == ("prices-1", "pricer", 3)
    assert [each["is_creator"] for each in shown["members"]] == [True, False]
    assert shown["members"][1]["contexts"] == ["fdc3.x", None]
    assert api("GET", f"/private-channels/{bridge.pk}/{shown['key']}").json() == shown
    assert api("GET", f"/private-channels?bridge={bridge.pk + 1}").json() == []


@pytest.mark.parametrize("agent_id", ["agent-A", "trader of agent-B"])
def test_it_disconnects_an_agent_and_an_app(api, bridge, agent_id):
    session = AgentSession.objects.get(agent_id=agent_id)

    answer = api("POST", "/bridges/disconnections", {"session": session.pk, "reason": "leaks"})

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert Disconnection.objects.get().session == session
    assert api("GET", answer["Location"].partition(V1)[2]).json()["session_id"] == session.session_id
    again = api("POST", "/bridges/disconnections", {"session": session.pk, "reason": "leaks"})
    assert (again.status_code, again["Location"]) == (200, answer["Location"])


def test_a_request_that_is_sent_again_is_one(api, bridge):
    body = {"session": AgentSession.objects.get(agent_id="agent-A").pk, "reason": "leaks"}
    key = str(uuid4())

    first = api("POST", "/bridges/disconnections", body, **{"Idempotency-Key": key})
    again = api("POST", "/bridges/disconnections", body, **{"Idempotency-Key": key})

    assert first.json()["id"] == again.json()["id"] and again["Idempotency-Replayed"] == "true"


def test_an_order_is_taken_back(api, bridge):
    body = {"session": AgentSession.objects.get(agent_id="agent-A").pk, "reason": "leaks"}
    pk = api("POST", "/bridges/disconnections", body).json()["id"]

    assert api("POST", f"/bridges/disconnections/{pk}/cancel").json()["state"] == "cancelled"
    assert api("POST", f"/bridges/disconnections/{pk}/cancel").status_code == 409


def test_each_scope_opens_its_own(api, bridge):
    body = {"session": AgentSession.objects.get(agent_id="agent-A").pk, "reason": "leaks"}
    see, end, connect = (Right.BRIDGE_GET,), (Right.BRIDGE_DISCONNECT,), (Right.BRIDGE_CONNECT,)

    assert api("POST", "/bridges/disconnections", body, scopes=see).status_code == 403
    assert api("GET", "/bridges", scopes=end).status_code == 403
    assert api("GET", "/private-channels", scopes=connect).status_code == 403
    assert api("GET", f"/bridges/{bridge.pk}/address", scopes=connect).json() == {
        "name": "desk",
        "address": "ws://127.0.0.1:4475",
        "authentication": "off",
    }
    assert api("GET", f"/bridges/{bridge.pk}/address", scopes=see).status_code == 403


def test_the_scopes_of_agents_open_no_bridge(api, bridge):
    agents = (Right.AGENT_GET, Right.AGENT_DISCONNECT)
    session = AgentSession.objects.get(agent_id="agent-A")

    assert api("GET", "/sessions", scopes=agents).json()["items"] == []
    assert api("GET", f"/sessions/{session.pk}", scopes=agents).status_code == 404
    answer = api("POST", "/disconnections", {"session": session.pk, "reason": "x"}, scopes=agents)
    assert (answer.status_code, answer.json()["code"]) == (403, "C403003")
    assert not Disconnection.objects.exists()


def test_with_both_scopes_agents_are_among_the_sessions_and_memberships_are_not(api, bridge):
    items = api("GET", "/sessions", scopes=(Right.AGENT_GET, Right.BRIDGE_GET)).json()["items"]

    assert [each["agent_id"] for each in items] == ["agent-A", "agent-B"]


def test_the_scope_of_bridges_ends_no_other_agent(api, bridge):
    other = make_session(make_source("Tokyo"))

    answer = api("POST", "/bridges/disconnections", {"session": other.pk, "reason": "x"})

    assert (answer.status_code, answer.json()["code"]) == (400, "C400101")


def test_a_key_sees_and_ends_only_what_is_of_its_sources(api, bridge):
    session = AgentSession.objects.get(agent_id="agent-A")
    make_source("Tokyo")
    held = {"sources": ("Tokyo",)}

    assert api("GET", "/bridges", **held).json() == [] == api("GET", "/private-channels", **held).json()
    key = AgentSession.objects.get(agent_id="trader of agent-B").part_of
    for path in (f"/bridges/{bridge.pk}", f"/bridges/{bridge.pk}/agents", f"/private-channels/{bridge.pk}/{key}"):
        assert api("GET", path, **held).status_code == 404
    assert api("GET", f"/bridges/{bridge.pk}/address", **held).status_code == 404
    assert api("POST", "/bridges/disconnections", {"session": session.pk, "reason": "x"}, **held).status_code == 400
    pk = api("POST", "/bridges/disconnections", {"session": session.pk, "reason": "x"}).json()["id"]
    assert api("POST", f"/bridges/disconnections/{pk}/cancel", **held).status_code == 404
    assert Disconnection.objects.get().state == State.QUEUED


@pytest.mark.parametrize(
    "body", [{}, {"session": "x", "reason": "y"}, {"session": 2**64, "reason": "y"}, {"session": 1}]
)
def test_a_bad_body_is_told(api, bridge, body):
    answer = api("POST", "/bridges/disconnections", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "C400002")


def test_the_webconnect_api_knows_no_bridge(api, bridge, client):
    make_session(make_source("Tokyo"), "s1")
    _, text = make_key("old program", Right.AGENT_GET, Right.BRIDGE_GET)

    listed = client.get("/api/v2/agent/status", headers=bearer(text)).json()

    assert [row["sessionId"] for row in listed["status"]] == ["s1"]
