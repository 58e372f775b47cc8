"""Searching the audit log in a real browser: the chart by mouse and by keyboard, names, and what is newer."""

from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from django.db import transaction

from audit.actors import Actor
from audit.services import record_many
from audit.tests.make import ALICE, commit_events, make_entry
from console.tests.test_browser import CHROMIUM, administrator, check, chromium, tab, url  # noqa: F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="No Chromium on this machine: no search is tried in a browser.")
FIRST = datetime(2026, 11, 1, tzinfo=UTC)
#: Ten minutes, of which the first five are alice's; times given, so that nothing else is found.
LINE = "after:2026-11-01T00:00Z before:2026-11-01T00:10Z"
SEARCH = f"/audit/?q={LINE}"
BOB = Actor("person", "2", "bob <b>")


@pytest.fixture
def page(administrator):  # noqa: F811
    for minute in range(10):
        with (
            mock.patch("audit.services.timezone.now", return_value=FIRST + timedelta(minutes=minute)),
            transaction.atomic(),
        ):
            record_many([make_entry(actor=ALICE if minute < 5 else BOB, data={"reason": "flooded"})])
    administrator.goto(SEARCH)
    return administrator


def line(page):
    return page.input_value("[name=q]")


def found(page):
    return page.locator("table.events tbody tr").count()


def test_dragging_over_the_chart_narrows_the_search(page):
    box = page.locator("svg.spread").bounding_box()
    bar, height = box["width"] / 10, box["y"] + box["height"] / 2

    page.mouse.move(box["x"] + 2.5 * bar, height)
    page.mouse.down()
    page.mouse.move(box["x"] + 4.5 * bar, height, steps=4)
    assert page.inner_text("#spread-help").endswith("3 events")
    with page.expect_navigation():
        page.mouse.up()

    assert line(page) == "after:2026-11-01T00:02Z before:2026-11-01T00:05Z"
    assert found(page) == 3
    page.get_by_role("link", name="All times").click()
    page.wait_for_selector("table.events")
    assert line(page) == ""


def test_the_keyboard_narrows_it_too(page):
    page.focus("svg.spread a:last-of-type")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Shift+ArrowLeft")
    assert page.locator("svg.spread a[data-chosen]").count() == 3
    assert "Enter narrows the search" in page.inner_text("#announcer")

    page.keyboard.press("Escape")
    assert page.locator("svg.spread a[data-chosen]").count() == 0
    page.keyboard.press("Shift+ArrowRight")
    with page.expect_navigation():
        page.keyboard.press("Enter")

    assert line(page) == "after:2026-11-01T00:06Z before:2026-11-01T00:08Z"
    assert found(page) == 2


def test_a_bar_is_a_link(page):
    with page.expect_navigation():
        page.locator("svg.spread a").nth(3).click()

    assert line(page) == "after:2026-11-01T00:03Z before:2026-11-01T00:04Z"


def test_a_name_narrows_it_and_is_taken_out_again(page):
    page.locator(".facets").get_by_role("link", name="bob <b>", exact=True).click()
    page.wait_for_selector(".facets [aria-current]")

    assert line(page) == f'actor:"bob <b>" {LINE}'
    assert found(page) == 5
    page.click(".facets [aria-current]")
    page.wait_for_selector(".facets:not(:has([aria-current]))")
    assert found(page) == 10


def test_the_form_says_the_same_as_the_line(page):
    page.goto('/audit/?q=-source:demo "is full" actor:alice after:2026-11-01T00:00Z')
    page.click("summary:has-text('As a form')")
    assert page.input_value("[name=source]") == "-demo"
    assert page.input_value("[name=words]") == '"is full"'

    page.fill("[name=words]", "flooded")
    page.press("[name=words]", "Enter")
    page.wait_for_url("**/audit/?q=*flooded*")

    assert line(page) == "actor:alice -source:demo after:2026-11-01T00:00Z flooded"
    assert found(page) == 5


def test_newer_events_are_counted_and_nothing_moves(page):
    page.goto("/audit/?q=actor:alice")
    before = page.inner_text("table.events tbody")

    commit_events(2)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_selector("#newer a:has-text('2 newer events')")

    assert page.inner_text("table.events tbody") == before
    page.click("#newer a")
    page.wait_for_selector("table.events tbody tr:nth-child(7)")


def test_the_pages_are_open_to_everybody(page):
    for path in [SEARCH, "/audit/?q=foo:bar", "/audit/?q=actor:nobody", "/audit/5/"]:
        check(page, path)
