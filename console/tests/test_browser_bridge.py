"""The pages of bridges in a real browser: followed as they change, worked by keyboard, and what axe finds."""

from datetime import timedelta

import pytest

from agents.models import AgentSession, Disconnection
from agents.portions import Portion
from agents.readings import read_source
from agents.sending import send_operation
from bridge import link
from bridge.tests.fake import FakeServer, agent, app, channel, make_bridge, member
from console.tests.test_browser import CHROMIUM, administrator, check, chromium, tab, url  # noqa: F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="No Chromium on this machine: bridges are not tried in a browser.")

LONG = "trading floor " * 9


@pytest.fixture
def server(settings):
    settings.CONSOLE_BRIDGE_SILENCE = timedelta(hours=1)  # However slow this machine is at the moment.
    settings.CONSOLE_CONFIRM_PAUSE = timedelta(0)
    trader = member(app("trader", "agent-B"), events=["disconnect"], contexts=["fdc3.instrument", None])
    channels = [
        channel("prices-1", app("pricer", "agent-A"), trader),
        channel(LONG, app("chat", LONG), app("chat", "agent-B")),
    ]
    yield FakeServer(agent("agent-A"), agent("agent-B"), agent(LONG), agent("社員" * 20), channels=channels)
    link._links.clear()


def work(bridge):
    """What the bridge's own process does once somebody has pressed the button."""
    row = Disconnection.objects.get()
    assert send_operation(row.operation_id, Portion(bridge.pk))
    read_source(bridge.pk)


def press_disconnect(page, session, reason):
    page.focus(f"#disconnect-{session.pk}")
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] textarea")
    said = page.inner_text("dialog")
    page.keyboard.type(reason)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operations/**")
    return said


def test_its_pages_are_open_to_everybody(administrator, server):  # noqa: F811
    bridge = make_bridge("desk", server=server)
    make_bridge("a bridge with nobody", server=FakeServer())
    make_bridge("stopped", runs=False)
    trader = AgentSession.objects.get(agent_id="trader of agent-B")
    long = AgentSession.objects.get(agent_id=LONG)

    for path in [
        "/bridge/",
        f"/bridge/channels/{bridge.pk}/{trader.part_of}/",
        long.get_absolute_url(),
        f"/sessions/{trader.pk}/disconnect/",
        "/sources/add/?kind=bridge",
    ]:
        check(administrator, path)


def test_an_agent_is_disconnected_by_keyboard_and_leaves_the_drawing(administrator, server):  # noqa: F811
    bridge = make_bridge("desk", server=server)
    administrator.goto("/bridge/")
    assert administrator.locator(".wiring text:has-text('agent-A')").count() == 1

    said = press_disconnect(administrator, AgentSession.objects.get(agent_id="agent-A"), "replaced")
    assert "created them: prices-1" in said
    work(bridge)
    administrator.wait_for_selector("#outcome:has-text('Confirmed')")

    administrator.goto("/bridge/")
    assert administrator.locator(".wiring text:has-text('agent-A')").count() == 0
    assert administrator.locator(".wiring text:has-text('agent-B')").count() == 1


def test_an_app_is_put_out_and_its_channel_says_by_whom(administrator, server):  # noqa: F811
    bridge = make_bridge("desk", server=server)
    trader = AgentSession.objects.get(agent_id="trader of agent-B")
    page = f"/bridge/channels/{bridge.pk}/{trader.part_of}/"
    administrator.goto(page)

    said = press_disconnect(administrator, trader, "leaks prices")
    assert "as if it left the private channel prices-1" in said
    work(bridge)
    administrator.wait_for_selector("#outcome:has-text('Confirmed')")
    assert "The refusal is in force" in administrator.inner_text(".outcome")

    administrator.goto(page)
    assert "disconnected by alice" in administrator.inner_text("main")


def test_the_page_follows_who_comes(administrator, server):  # noqa: F811
    bridge = make_bridge("desk", server=FakeServer())
    administrator.goto("/bridge/")
    administrator.wait_for_selector("h3:has-text('No desktop agent is connected')")

    link.Link(bridge.pk, server)
    read_source(bridge.pk)

    administrator.wait_for_selector(".wiring text:has-text('agent-A')", timeout=15_000)
    assert administrator.locator("table a:has-text('prices-1')").count() == 1
