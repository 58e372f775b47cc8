import pytest
import requests

from agents.webconnect.standin.process import StandInError


def status(standin, client, key):
    headers = {"Authorization": f"Bearer {key}"}
    return client.get(f"{standin.base_url}/agent/status", headers=headers, timeout=5).status_code


def test_sessions_come_and_go_on_order(standin):
    first, second = standin.add_sessions(2, direction="send")
    standin.add_rows({"sessionId": "exact", "agentId": "mine", "startConnection": "2026-01-31 14:22:00.942"})
    standin.end_sessions(first)

    rows = {row["sessionId"]: row for row in standin.sessions()}

    assert rows.keys() == {second, "exact"}
    assert rows[second]["direction"] == "send"
    assert rows["exact"]["startConnection"] == "2026-01-31 14:22:00.942"
    standin.control("sessions", replace=True, generate=3)
    assert len(standin.session_ids()) == 3


def test_churn_replaces_some(standin):
    before = set(standin.add_sessions(100))

    standin.churn(1)

    assert len(standin.session_ids()) == 100
    assert len(standin.session_ids() & before) == 99


def test_a_version_decides_what_the_agent_supports_unless_it_is_said(standin):
    old, new, odd = standin.add_rows(
        {"agentVersion": "1.1.0"},
        {"agentVersion": "1.2.0"},
        {"agentVersion": "3.1.0", "supportingDisconnectApi": False},
    )

    supports = {row["sessionId"]: row["supportingDisconnectApi"] for row in standin.sessions()}

    assert [supports[one] for one in (old, new, odd)] == [False, True, False]


def test_values_that_no_agent_could_have_are_listed_as_they_are(standin):
    odd = {"sessionId": "odd", "agentId": None, "connectionId": "x", "startConnection": "<b>", "direction": 7}
    standin.add_rows(odd)

    (row,) = standin.sessions()

    assert odd.items() <= row.items()
    assert requests.get(f"http://127.0.0.1:{standin.port}/", timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("sessions", {"remove": ["nobody"], "generate": 5}),
        ("sessions", {"generate": 5, "add": [{"colour": "red"}]}),
        ("sessions", {"generate": -1}),
        ("sessions", {"generate": 1e9}),
        ("sessions", {"generate": 1.5}),
        ("sessions", {"generate": True}),
        ("sessions", {"add": {}}),
        ("switches", {"order": "sideways"}),
        ("faults", {"add": [{"kind": "tea"}]}),
        ("clock", {}),
        ("clock", {"advance": -1}),
        ("clock", {"advance": "1"}),
        ("keys", {"add": [{"key": "x"}]}),
        ("population", {"tempo": float("nan")}),
        ("transfers", {"sender": "nobody"}),
        ("nowhere", {}),
    ],
)
def test_it_refuses_bad_wishes_and_does_nothing(standin, path, wanted):
    before = standin.state()

    with pytest.raises(StandInError, match='"code":"E9'):
        standin.control(path, **wanted)

    after = standin.state()
    assert {name: after[name] for name in ("sessions", "switches", "faults", "keys")} == {
        name: before[name] for name in ("sessions", "switches", "faults", "keys")
    }


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b"[" * 100_000])
def test_it_refuses_bodies_that_are_no_wish(standin, body):
    answer = requests.post(f"http://127.0.0.1:{standin.port}/control/sessions", data=body, timeout=5)

    assert (answer.status_code, answer.json()["code"]) == (400, "E990001")


def test_keys_are_replaced_and_removed(standin, client):
    standin.set_key("reader", "a-later-secret", ["agent:get"])
    assert status(standin, client, standin.read_key) == 401
    assert status(standin, client, "a-later-secret") == 200

    standin.remove_key("reader")
    assert status(standin, client, "a-later-secret") == 401


def test_the_clock_passes_a_block(standin, client):
    standin.switch("rate-limit", 1)
    assert [status(standin, client, standin.full_key) for _ in range(2)] == [200, 429]
    standin.advance(599)
    assert status(standin, client, standin.full_key) == 429
    standin.advance(1)
    assert status(standin, client, standin.full_key) == 200


def test_a_block_may_begin_and_end_on_order(standin, client):
    standin.switch("rate-limit", 100)
    standin.block(30)
    assert status(standin, client, standin.full_key) == 429
    standin.block(0)
    assert status(standin, client, standin.full_key) == 200


def test_time_that_would_hold_too_much_is_refused(standin):
    standin.control("population", tempo=60_000)

    with pytest.raises(StandInError, match="tempo"):
        standin.advance(86_400)


def test_a_transfer_is_cut_by_the_disconnection(standin, client):
    (session_id,) = standin.add_sessions(1, agentVersion="3.1.0", direction="send")
    processing_id = standin.transfer(session_id, seconds=3600)
    (row,) = standin.sessions()
    order = {"sessionId": session_id, "endpoint": row["endpoint"]}
    client.post(f"{standin.base_url}/agent/disconnection", json=order, timeout=5)
    standin.advance(3)

    (log,) = client.get(f"{standin.base_url}/relay/log/{processing_id}", timeout=5).json()["logs"]

    assert (log["status"], log["senderAgentId"]) == ("2", row["agentId"])


def test_reset_begins_again(standin, client):
    standin.add_sessions(5)
    standin.switch("order", "shuffled")
    standin.fault("hang")
    standin.advance(1000)
    standin.remove_key("all")

    standin.reset()

    state = standin.state()
    assert (state["sessions"], state["faults"], state["requests"], state["clock"]["ahead"]) == (0, [], 0, 0)
    assert state["switches"]["order"] == "stable"
    assert status(standin, client, standin.full_key) == 200
