"""Pages for test_browser.py: one that follows along and one that asks, each as the test wants it at the moment."""

import time
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.utils import timezone

from console.urls import urlpatterns as console_urls

LIVE = """
<div class="live" id="live" data-live-etag="{{ etag }}" data-live-seconds="0.2">
  <p data-found>{{ board.rows|length }} rows</p>
  <details id="more"><summary>More</summary><input id="note" aria-label="Note"></details>
  <p>read <time datetime="{{ board.read_at.isoformat }}" data-relative>then</time></p>
  <ul>
    {% for row in board.rows %}
      <li id="row-{{ row }}">
        <a href="/test/ask/" id="ask-{{ row }}" data-dialog>Ask {{ row }}</a>
        <b id="state-{{ row }}" data-announce="{{ row }}: {{ board.state }}">{{ board.state }}</b>
      </li>
    {% endfor %}
  </ul>
</div>
"""
PAGE = """
{% extends "base.html" %}
{% block title %}Test{% endblock %}
{% block content %}
  <h1>Test</h1>
  <form data-live-filters action="/test/live/"><input name="q" aria-label="Search"></form>
  LIVE
{% endblock %}
""".replace("LIVE", LIVE)
ASK = """
<h2 id="dialog-title">Sure?</h2>
<textarea aria-label="Reason" id="reason" data-first></textarea>
<a href="/test/live/" data-close>No</a>
"""
ASK_PAGE = """
{% extends "base.html" %}
{% block content %}<h1>A page of its own</h1>ASK{% endblock %}
""".replace("ASK", ASK)


@dataclass
class Board:
    """What the page shows, and how the server answers."""

    rows: list[str] = field(default_factory=lambda: [f"agent{number}" for number in range(60)])
    state: str = "Connected"
    status: int = 200
    signed_in: bool = True
    read_at: object = field(default_factory=timezone.now)
    looks: list[int] = field(default_factory=list)

    def set(self, **values):
        for name, value in values.items():
            setattr(self, name, value)

    def await_looks(self, count=2):
        """Until the page has looked that many times more: the last of them saw what is set now."""
        enough, deadline = len(self.looks) + count, time.monotonic() + 10
        while len(self.looks) < enough:
            assert time.monotonic() < deadline, "the page does not look"
            time.sleep(0.02)


board = Board()


def live(request: HttpRequest) -> HttpResponse:
    rows = [row for row in board.rows if request.GET.get("q", "") in row]
    etag = f'"{hash((tuple(rows), board.state))}"'
    looking = request.headers.get("HX-Target") == "live"
    status = 200
    if looking:
        if not board.signed_in:
            status = 302
        elif board.status != 200:
            status = board.status
        elif request.headers.get("If-None-Match") == etag:
            status = 304
        board.looks.append(status)
    if status == 302:
        return redirect("account_login")
    if status != 200:
        return HttpResponse(status=status, headers={"ETag": etag})
    shown = {"board": Board(rows=rows, state=board.state, read_at=board.read_at), "etag": etag}
    text = engines["django"].from_string(LIVE if looking else PAGE).render(shown, request)
    return HttpResponse(text, headers={"ETag": etag})


def ask(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Target") == "dialog":
        return HttpResponse(ASK)
    return HttpResponse(engines["django"].from_string(ASK_PAGE).render({}, request))


urlpatterns = [*console_urls, path("test/live/", live), path("test/ask/", ask)]
