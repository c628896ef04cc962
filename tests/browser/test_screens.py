"""Every screen: with data, empty, refused, ended while open; for a screen reader, and at every width."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import Console

pytestmark = pytest.mark.browser

SCREENS = {
    "servers": "MCP servers",
    "create": "New MCP server",
    "accounts": "Accounts",
    "memory": "Memory",
    "try": "Try a tool",
    "approve": "Approve a call",
    "log": "Log",
    "api-tokens": "API tokens",
    "integrations": "Integrations",
    "about": "About",
}


def test_no_screen_breaks_a_rule_of_axe_in_light_or_dark(console: Console) -> None:
    assert console.page.goto(f"{console.ready.base_url}/console").status == 200
    console.page.get_by_label("API token").wait_for()
    assert console.violations() == []
    console.sign_in()
    for scheme in ("light", "dark"):
        console.page.emulate_media(color_scheme=scheme)
        for place, title in SCREENS.items():
            console.open(place)
            console.page.get_by_role("heading", level=1, name=title).wait_for()
            console.page.get_by_text("Loading…").wait_for(state="detached")
            assert console.violations() == [], (scheme, place)


@pytest.mark.parametrize("width", [360, 768, 2560])
def test_no_screen_is_wider_than_the_window(console: Console, width: int) -> None:
    console.page.set_viewport_size({"width": width, "height": 800})
    console.page.goto(console.api("POST", "/console/sign-in-link")["url"])
    console.page.get_by_role("heading", level=1, name="MCP servers").wait_for()
    for place, title in SCREENS.items():
        console.open(place)
        console.page.get_by_role("heading", level=1, name=title).wait_for()
        console.page.get_by_text("Loading…").wait_for(state="detached")
        assert console.page.evaluate("() => document.documentElement.scrollWidth") <= width, place


def test_a_token_that_may_only_read_sees_no_button_that_changes_anything(console: Console) -> None:
    token = console.api("POST", "/api-token", {"name": "reader", "scopes": ["read"]})["token"]
    console.page.goto(f"{console.ready.base_url}/console")
    console.page.get_by_label("API token").fill(token)
    console.page.get_by_role("button", name="Sign in").click()
    console.shows("My memory")
    for place in ("servers", "accounts", "api-tokens", "integrations"):
        console.open(place)
        console.page.get_by_role("heading", level=1, name=SCREENS[place]).wait_for()
        console.page.get_by_text("Loading…").wait_for(state="detached")
        changing = re.compile("New|Connect|Revoke|Rotate|Make|Extend|Remove")
        assert console.page.get_by_role("button", name=changing).count() == 0
    menu = console.page.get_by_role("navigation", name="Screens")
    assert menu.get_by_role("link", name="Memory").count() == 0


def test_a_wrong_token_is_refused_in_the_words_of_the_api(console: Console) -> None:
    console.page.goto(f"{console.ready.base_url}/console")
    console.page.get_by_label("API token").fill("pst_wrong")
    console.page.get_by_role("button", name="Sign in").click()
    console.shows("this API token is unknown, revoked or expired")


def test_a_used_link_says_so(console: Console) -> None:
    link = console.api("POST", "/console/sign-in-link")["url"]
    console.page.goto(link)
    console.shows("My memory")
    console.page.goto("about:blank")
    console.page.goto(link)
    console.shows("this sign-in link was used")


def test_a_session_that_ends_while_the_console_is_open(console: Console) -> None:
    console.sign_in()
    console.shows("My memory")
    [session] = [one for one in console.api("GET", "/api-token")["result"] if one["name"].startswith("console")]
    console.api("DELETE", f"/api-token/{session['id']}")
    console.open("accounts")
    console.shows("Your session has ended")


@pytest.mark.parametrize(
    ("status", "headers", "message", "shown"),
    [
        (429, {"retry-after": "2"}, "slow down", "Try again in"),
        (403, {}, "this operation needs the scope manage", "Not allowed"),
        (503, {"retry-after": "1"}, "the store is busy; try again", "The endpoint failed"),
        (500, {}, "unexpected error", "The endpoint failed"),
    ],
)
def test_a_refusal_is_shown_with_what_can_be_done(
    console: Console, status: int, headers: dict[str, str], message: str, shown: str
) -> None:
    console.sign_in()
    console.shows("My memory")
    body = {"statusCode": status, "error": "x", "message": message, "details": None}

    def refuse(route: Any) -> None:
        route.fulfill(status=status, headers=headers, json=body)

    console.page.route("**/integration", refuse)
    console.problems.clear()
    console.open("integrations")
    console.shows(shown)
    console.shows(message)
    console.page.unroute("**/integration")
    console.page.get_by_role("button", name="Try again").click()
    console.page.get_by_role("heading", name="Integrations").wait_for()
    console.problems[:] = [text for text in console.problems if "status of 5" not in text]


def test_an_endpoint_that_is_away_is_named_as_such(console: Console) -> None:
    console.sign_in()
    console.page.route("**/integration", lambda route: route.abort())
    console.open("integrations")
    console.shows("The endpoint cannot be reached")
    console.problems[:] = [text for text in console.problems if "Failed to load resource" not in text]


def test_text_of_an_upstream_is_never_markup(console: Console) -> None:
    account = console.ready.account_id
    text = "<img src=x onerror=alert(1)><b>bold</b>"
    body = {"messages": [{"role": "user", "content": text}], "infer": False, "user_id": "me"}
    console.api("POST", f"/proxy/memories?integrated_account_id={account}", body)
    console.sign_in()
    console.open("memory?type=user&id=me")
    console.shows(text)
    assert console.page.locator("main img").count() == 0
