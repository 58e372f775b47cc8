import json

import pytest

from agents.webconnect.standin.faults import KINDS, Faults
from agents.webconnect.standin.hostile import with_hostile_rows
from agents.webconnect.standin.misbehaviour import MISBEHAVIOURS
from agents.webconnect.standin.wanted import BadInput


def kinds(faults, endpoint="agent-status", body=b""):
    return [fault.kind for fault in faults.meet(endpoint, body)]


def test_a_fault_meets_one_request_of_its_endpoint():
    faults = Faults()
    faults.add({"kind": "hang", "endpoint": "agent-status"})

    assert kinds(faults, "agent-disconnection") == []
    assert kinds(faults) == ["hang"]
    assert kinds(faults) == []


def test_it_may_let_some_pass_and_then_stay():
    faults = Faults()
    faults.add({"kind": "hang", "skip": 2, "times": None})

    assert [kinds(faults) for _ in range(5)] == [[], [], ["hang"], ["hang"], ["hang"]]


def test_they_come_in_order_and_latency_comes_along():
    faults = Faults()
    faults.add({"kind": "cut-after"})
    faults.add({"kind": "latency", "times": None})
    faults.add({"kind": "status", "times": 2})

    assert kinds(faults) == ["latency", "cut-after"]
    assert kinds(faults) == ["latency", "status"]
    assert kinds(faults) == ["latency", "status"]
    assert kinds(faults) == ["latency"]


def test_it_may_wait_for_one_session():
    faults = Faults()
    faults.add({"kind": "hang", "session": "s7"})

    assert kinds(faults, body=b'{"sessionId": "s1"}') == []
    assert kinds(faults, body=b'{"sessionId": "s7"}') == ["hang"]


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"kind": "tea"},
        {"kind": "hang", "endpoint": "nowhere"},
        {"kind": "hang", "times": 0},
        {"kind": "hang", "times": True},
        {"kind": "hang", "seconds": 1},
        {"kind": "hang", "applies": "yes"},
        {"kind": "status", "status": 100},
        {"kind": "status", "retry_after": "1\r\nX: y"},
        {"kind": "latency", "seconds": float("nan")},
    ],
)
def test_bad_faults_are_refused(wanted):
    with pytest.raises(BadInput):
        Faults().add(wanted)


def test_every_kind_is_done():
    assert KINDS.keys() == MISBEHAVIOURS.keys()


def has_text(row):
    return isinstance(row, dict) and isinstance(row.get("agentId"), str)


def test_hostile_rows_come_before_the_true_ones():
    body = with_hostile_rows(b'{"totalSize":1,"status":[{"sessionId":"true"}]}')

    rows = json.loads(body)["status"]
    assert rows[-1] == {"sessionId": "true"}
    assert {"<script>alert(1)</script>"} <= {row["agentId"] for row in rows if has_text(row)}
    assert any("\u202e" in row["agentId"] for row in rows if has_text(row))
    assert None in rows
