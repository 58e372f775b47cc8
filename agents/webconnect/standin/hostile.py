import json
from typing import Any

from agents.webconnect.standin.problems import encode

USUAL = {
    "agentId": "hostile",
    "direction": "send",
    "connectionId": ["hostile"],
    "endpoint": "california-service1.webconnect.hulft.com",
    "startConnection": "2026-01-31 14:22:00.942",
    "sessionId": "hostile",
    "agentVersion": "3.1.0",
    "willBeClosed": False,
    "supportingDisconnectApi": True,
}

ODD_VALUES: tuple[dict[str, object], ...] = (
    {"agentId": "<script>alert(1)</script>"},
    {"agentId": "\"><img src=x onerror=alert(1)>'"},
    {"agentId": "{{ 7*7 }}{% debug %}"},
    {"agentId": "bell\x07null\x00escape\x1b[31mline\nreturn\r\ttab"},
    {"agentId": "invoice\u202egnp.exe\u2066mixed\u2069"},
    {"agentId": "zero\u200bwidth\ufeff"},
    {"agentId": "=cmd|' /C calc'!A0"},
    {"agentId": "a" * 100_000},
    {"agentId": ""},
    {"agentId": None},
    {"agentId": 12},
    {"agentId": "\ud800 lone surrogate"},
    {"connectionId": "not a list"},
    {"connectionId": []},
    {"connectionId": [None, 3, {"id": "x"}]},
    {"connectionId": ["<b>bold</b>"] * 500},
    {"direction": "sideways"},
    {"direction": ["send"]},
    {"endpoint": None},
    {"endpoint": "http://169.254.169.254/latest/meta-data"},
    {"startConnection": "yesterday"},
    {"startConnection": "9999-99-99 99:99:99.999"},
    {"startConnection": 1_467_296_520},
    {"agentVersion": "3"},
    {"agentVersion": "1.10.0-beta+<i>"},
    {"agentVersion": 3.1},
    {"willBeClosed": "false"},
    {"supportingDisconnectApi": "no"},
    {"supportingDisconnectApi": None},
    {"sessionId": ""},
    {"sessionId": 7},
    {"sessionId": "../../etc/passwd?x=1#y"},
    {"sessionId": "s" * 5000},
    {"extra": {"deep": [[[[[["deeper"]]]]]]}},
)


def hostile_rows() -> list[object]:
    """Rows with one thing wrong each, rows that lack one property each, and things that are no rows."""
    odd = [USUAL | {"sessionId": f"hostile-{number}"} | row for number, row in enumerate(ODD_VALUES)]
    lacking = [
        {name: value for name, value in USUAL.items() if name != missing} | {"note": f"without {missing}"}
        for missing in USUAL
    ]
    return [*odd, *lacking, {}, None, "a text", 5, ["a", "list"]]


def with_hostile_rows(body: bytes) -> bytes:
    """The list in `body` with the hostile rows before its own; the counts are left as they were."""
    value: dict[str, Any] = (
        json.loads(body) if body else {"totalSize": 0, "fetchSize": 0, "startIndex": 0, "maxResults": 30}
    )
    if "code" not in value:
        value["status"] = [*hostile_rows(), *value.get("status", [])]
    return encode(value)
