import re

import requests

from agents.webconnect.standin.switches import SWITCHES


def page(standin, path="/"):
    return requests.get(f"http://127.0.0.1:{standin.port}{path}", timeout=5)


def test_it_shows_sessions_requests_and_every_switch(standin, client):
    standin.add_rows({"sessionId": "shown-session", "agentId": "shown-agent"})
    client.get(f"{standin.base_url}/agent/status?maxResults=7", timeout=5)
    standin.switch("order", "shuffled")

    text = page(standin).text

    assert "shown-session" in text and "shown-agent" in text
    assert "/api/v2/agent/status?maxResults=7" in text
    assert all(f"<bdi>{name}</bdi>" in text for name in SWITCHES)
    assert "stable (ours)" in text
    assert "100 (documented)" in text


def test_hostile_text_is_harmless(standin):
    standin.add_rows({"agentId": '<img src=x onerror="alert(1)">\u202egnp.exe\x1b[31m', "sessionId": "x" * 9000})
    requests.get(f"{standin.base_url}/agent/status?<script>alert(2)</script>", timeout=5)

    text = page(standin).text

    assert "<img" not in text and "<script" not in text
    assert "\u202e" not in text and "[U+202E]gnp.exe[U+001B]" in text
    assert len(text) < 100_000


def test_it_needs_no_script_and_no_other_place(standin):
    answer = page(standin)

    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'self'"
    assert re.findall(r"\b(?:src|href|style|on\w+)=", answer.text) == ["href="]
    style = page(standin, "/standin.css")
    assert style.headers["Content-Type"].startswith("text/css")
    assert "light dark" in style.text
