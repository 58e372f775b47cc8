"""API keys in a real browser, by keyboard: make, copy, rotate, pause, revoke; and what axe finds on their pages."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.tests.factory import make_source
from apikeys import checking
from apikeys.models import ApiKey, ApiKeyUse
from apikeys.tests.factory import make_key
from console.tests.factory import PASSWORD, make_person
from console.tests.test_browser import CHROMIUM, check, chromium, tab, url  # noqa: F401

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason="No Chromium on this machine: the pages of API keys are not tried in a browser."
)


@pytest.fixture
def manager(tab):  # noqa: F811
    """A key manager who has signed in by typing the password."""
    make_person("kim", "Key manager")
    tab.goto("/accounts/login/")
    tab.fill("[name=login]", "kim")
    tab.fill("[name=password]", PASSWORD)
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".side .account")
    return tab


def press(page, key, times=1):
    for _ in range(times):
        page.keyboard.press(key)


def enters(text):
    try:
        return checking.authenticate(text, address="", at=datetime.now(UTC)).name
    except checking.BadKey as bad:
        return str(bad.reason)


def test_the_whole_life_of_a_key_by_keyboard(manager):
    olga = make_person("olga", "Operator")
    manager.context.grant_permissions(["clipboard-read", "clipboard-write"])
    manager.goto("/api-keys/")
    manager.get_by_role("link", name="Make a key").first.focus()
    press(manager, "Enter")
    manager.wait_for_url("**/add/")
    manager.get_by_label("Name").focus()
    manager.keyboard.type("nightly")
    press(manager, "Tab")
    manager.keyboard.type("olga")
    for scope in ["Agent: Get", "Agent: Disconnect"]:
        manager.get_by_label(scope, exact=True).focus()
        press(manager, "Space")
    manager.get_by_role("button", name="Make the key").focus()
    press(manager, "Enter")

    text = manager.input_value("#api-key")
    assert enters(text) == "nightly"
    key = ApiKey.objects.get()
    assert (key.owner, key.scopes) == (olga, ["agent:get", "agent:disconnect"])
    manager.get_by_role("button", name="Copy").focus()
    press(manager, "Enter")
    manager.wait_for_selector("button:has-text('Copied')")
    assert manager.evaluate("navigator.clipboard.readText()") == text
    assert text not in manager.url

    manager.get_by_role("link", name="I have copied it").focus()
    press(manager, "Enter")
    manager.wait_for_url(f"**/api-keys/{key.pk}/")
    assert text[16:] not in manager.content()
    manager.get_by_role("link", name="Rotate").focus()
    press(manager, "Enter")
    manager.wait_for_url("**/rotate/")
    manager.get_by_role("button", name="Make the new secret").focus()
    press(manager, "Enter")
    manager.wait_for_selector("#api-key")
    newer = manager.input_value("#api-key")
    assert (enters(text), enters(newer)) == ("nightly", "nightly")

    manager.goto(f"/api-keys/{key.pk}/")
    assert "The old secret is still good" in manager.inner_text("main")
    manager.focus("#end-overlap")
    press(manager, "Enter")
    manager.wait_for_selector("text=has ended")
    assert (enters(text), enters(newer)) == ("replaced by a newer secret", "nightly")

    manager.focus("#pause")
    press(manager, "Enter")
    manager.wait_for_selector("#resume")
    assert enters(newer) == "paused"
    manager.focus("#resume")
    press(manager, "Enter")
    manager.wait_for_selector("#pause")

    manager.get_by_role("link", name="Revoke").focus()
    press(manager, "Enter")
    manager.wait_for_url("**/revoke/")
    manager.get_by_label("The name of the key").focus()
    manager.keyboard.type("nightly")
    press(manager, "Enter")
    manager.wait_for_selector("text=nightly is revoked")
    assert enters(newer) == "revoked"


def test_without_javascript_the_key_can_still_be_copied(chromium, url):  # noqa: F811
    make_person("kim", "Key manager")
    context = chromium.new_context(base_url=url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/accounts/login/?next=/api-keys/add/")
    page.fill("[name=login]", "kim")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.fill("[name=name]", "nightly")
    page.check("[value='agent:get']")
    page.click("main button[type=submit]")

    assert enters(page.input_value("#api-key")) == "nightly"
    assert page.is_hidden("[data-copy]")
    context.close()


def test_pages_of_keys_are_open_to_everybody(manager):
    make_source("Tokyo")
    olga = make_person("olga", "Operator")
    key, _ = make_key(
        "nightly", "agent:get", "agent:disconnect", owner=olga, addresses=("192.0.2.0/24", "2001:db8::/32")
    )
    make_key("ending", owner=olga, expires_at=datetime.now(UTC) + timedelta(days=3))
    today = datetime.now(UTC).date()
    for days in range(0, 30, 3):
        day = today - timedelta(days=days)
        ApiKeyUse.objects.create(key=key, day=day, endpoint="GET /api/v2/agent/status", requests=days * 7 + 1)

    pages = ["", "add/", "?show=revoked", *(f"{key.pk}/{act}" for act in ["", "edit/", "rotate/", "revoke/"])]
    for path in pages:
        check(manager, f"/api-keys/{path}")
