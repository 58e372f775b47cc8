"""The pages in a real browser: what the scripts promise, what the policy forbids, and what axe finds."""

import os
import shutil

import pytest
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.db import transaction
from django.test import Client
from django.test.testcases import LiveServerThread
from django.utils import timezone

from agents.models import Disconnection
from agents.states import State
from agents.tests.factory import make_operation, make_session, make_source
from audit import services as audit
from audit.actions import Action
from audit.actors import CONSOLE
from console.tests import site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="No Chromium on this machine: its pages are not tried in a browser."
)


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright keeps an event loop in this thread, where Django then suspects every query.
        patch.setitem(os.environ, "DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def url(committed_db, settings):
    """The console of this database, served by threads."""
    settings.ROOT_URLCONF = "console.tests.site"
    site.board.__init__()
    server = LiveServerThread("127.0.0.1", StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None, server.error
    yield f"http://127.0.0.1:{server.port}"
    server.terminate()


@pytest.fixture
def tab(chromium, url):
    """A page of the browser; nothing may go wrong in it."""
    context = chromium.new_context(base_url=url, viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(5000)
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if "Content Security" in message.text else None)
    yield page
    context.close()
    assert not problems


@pytest.fixture
def live(tab):
    tab.goto("/test/live/")
    return tab


@pytest.fixture
def administrator(tab, url):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("alice"))
    tab.context.add_cookies(
        [{"name": name, "value": cookie.value, "url": url} for name, cookie in client.cookies.items()]
    )
    return tab


def focused(page):
    return page.evaluate("document.activeElement.id")


def test_what_changed_is_shown_and_what_one_was_at_stays(live):
    live.click("summary:has-text('More')")
    live.fill("#note", "half a sentence")
    live.evaluate("scrollTo(0, 500)")

    site.board.set(state="Closing", rows=["new", *site.board.rows])
    live.wait_for_selector("#state-new:has-text('Closing')")

    assert live.inner_text("#state-agent7") == "Closing"
    assert live.input_value("#note") == "half a sentence"
    assert focused(live) == "note"
    assert live.evaluate("document.getElementById('more').open")
    assert live.evaluate("scrollY") >= 500


def test_nothing_is_sent_twice_while_nothing_changes(live):
    site.board.await_looks(4)

    assert set(site.board.looks) == {304}


def test_the_focus_stays_in_the_list_when_its_row_ends(live):
    live.focus("#ask-agent3")

    site.board.set(rows=["agent4"])
    live.wait_for_selector("#row-agent3", state="detached")

    live.wait_for_function("document.activeElement.id === 'live'")


def test_outcomes_are_announced_once_and_together(live):
    site.board.set(state="Confirmed")
    live.wait_for_selector("#announcer:has-text('agent0: Confirmed')")

    assert live.inner_text("#announcer").endswith("And 57 more.")


def test_a_dialog_outlives_updates_and_gives_the_focus_back(live):
    live.focus("#ask-agent2")
    live.keyboard.press("Enter")
    live.wait_for_selector("dialog[open] #reason")
    assert focused(live) == "reason"
    live.keyboard.type("a duplicate")

    site.board.set(state="Closing")
    live.wait_for_selector("#state-agent2:has-text('Closing')")
    assert live.input_value("#reason") == "a duplicate"

    live.keyboard.press("Escape")
    live.wait_for_selector("dialog[open]", state="detached")
    assert focused(live) == "ask-agent2"


def test_filters_apply_as_they_are_typed_and_stay_in_the_address(live):
    live.fill("[name=q]", "agent1")
    live.wait_for_selector("#row-agent2", state="detached")

    assert live.url.endswith("/test/live/?q=agent1")
    assert live.inner_text("#announcer") == live.inner_text("[data-found]") == "11 rows"
    assert live.evaluate("document.activeElement.name") == "q"


def test_a_lost_connection_is_said_and_ends_by_itself(live):
    site.board.set(status=503)
    live.wait_for_selector("#connection:has-text('Connection lost')")

    site.board.set(status=200, state="Closing")
    live.wait_for_selector("#state-agent0:has-text('Closing')", timeout=15_000)
    assert live.inner_text("#connection") == ""


def test_signed_out_is_said_and_the_page_left_as_it_was(live):
    site.board.set(signed_in=False)
    live.wait_for_selector("#connection:has-text('You are signed out')")

    assert live.get_attribute("#connection a", "href") == "/accounts/login/?next=%2Ftest%2Flive%2F"
    assert live.is_visible("#row-agent0")
    looks = len(site.board.looks)
    live.wait_for_timeout(700)
    assert len(site.board.looks) == looks


def test_times_tick(live):
    assert live.inner_text("time").endswith("ago") or live.inner_text("time") == "just now"
    live.wait_for_selector("time:has-text('3 s ago')")


def test_without_javascript_links_lead_to_pages(chromium, url):
    context = chromium.new_context(base_url=url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/test/live/")
    page.click("#ask-agent1")

    assert page.inner_text("h1") == "A page of its own"
    context.close()


SIGNED_OUT = ["/accounts/login/", "/nothing/"]
SIGNED_IN = ["/", "/people/", "/people/add/", "/people/1/", "/accounts/", "/accounts/password/change/", "/audit/"]


def violations(page):
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found]


def check(page, path):
    """Axe, and no sideways scrolling: wide and light, narrow and dark."""
    for scheme, width in [("light", 1440), ("dark", 360)]:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(path)
        assert violations(page) == [], (path, scheme, width)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)


@pytest.mark.parametrize("path", SIGNED_OUT)
def test_signed_out_pages_are_open_to_everybody(tab, path):
    check(tab, path)


def test_signed_in_pages_are_open_to_everybody(administrator):
    for path in SIGNED_IN:
        check(administrator, path)


def test_pages_of_agents_are_open_to_everybody(administrator):
    source = make_source("Tokyo")
    free, old, asked = make_session(source), make_session(source, version="1.1.0"), make_session(source)
    operation = make_operation(asked, state=State.ACCEPTED)
    many = make_operation(free, old, state=State.STILL_CONNECTED)

    for page in [free, operation, many]:
        check(administrator, page.get_absolute_url())
    for path in ["/sessions/", "/sessions/?q=nothing", f"/sessions/{free.pk}/disconnect/", "/operations/"]:
        check(administrator, path)


def test_an_agent_is_disconnected_with_the_keyboard_alone(administrator):
    session = make_session(make_source("Tokyo"), "agent1")
    administrator.goto("/sessions/")
    administrator.focus(f"#disconnect-{session.pk}")
    administrator.keyboard.press("Enter")
    administrator.wait_for_selector("dialog[open] textarea")
    assert "ends abnormally" in administrator.inner_text("dialog")

    administrator.keyboard.type("moving the hall")
    administrator.keyboard.press("Tab")
    administrator.keyboard.press("Tab")
    administrator.keyboard.press("Enter")
    administrator.wait_for_url("**/operations/**")

    assert administrator.inner_text("#outcome") == "Queued"
    Disconnection.objects.update(state=State.CONFIRMED, finished_at=timezone.now(), explanation="It is gone.")
    with transaction.atomic():
        audit.record(Action.DISCONNECTION_CONFIRMED, actor=CONSOLE, target=Disconnection.objects.get().target)
    administrator.wait_for_selector("#outcome:has-text('Confirmed')")
    assert "Confirmed" in administrator.inner_text("#announcer")
