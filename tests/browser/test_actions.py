"""What can be done by clicking, beyond the whole way: many servers, a change, tools, tokens, memories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import Console

pytestmark = pytest.mark.browser


def test_a_change_shows_its_difference_before_it_is_saved(console: Console) -> None:
    console.sign_in()
    console.page.get_by_role("link", name="My memory").click()
    console.page.get_by_role("tab", name="Change").click()
    console.page.get_by_role("button", name="read", exact=True).click()
    preview = console.page.get_by_role("region", name="Tools of this server")
    preview.get_by_text("What changes").wait_for()
    preview.get_by_text("removed").first.wait_for()
    console.page.get_by_role("button", name="Save the change").click()
    console.page.get_by_role("button", name="Saving…").wait_for(state="detached")
    server = console.api("GET", f"/integrated-account/{console.ready.account_id}/mcp/{console.ready.server_id}")
    assert server["config"]["methods"] == ["read"]


def test_a_link_to_a_server_opens_its_page(console: Console) -> None:
    link = console.api("POST", "/console/sign-in-link")["url"]
    console.page.goto(f"{link}/servers/{console.ready.account_id}/{console.ready.server_id}")
    console.page.get_by_role("heading", name="My memory").wait_for()
    assert "sign-in" not in console.page.url


def test_a_wrong_config_is_refused_beside_the_form(console: Console) -> None:
    console.sign_in()
    console.page.get_by_role("link", name="New MCP server").click()
    console.page.get_by_text("Fixed arguments, defaults and a limit").click()
    console.page.get_by_label("Fixed arguments (JSON)").fill("{not json")
    console.shows("Fixed arguments is not JSON")
    assert console.page.get_by_role("button", name="Make the MCP server").is_disabled()


def test_writes_ask_first_and_show_their_result(console: Console) -> None:
    console.sign_in()
    console.open(f"try?account={console.ready.account_id}&tool=create_a_mem_0_memory")
    console.page.get_by_label("messages, as JSON").fill('[{"role": "user", "content": "I live in Riga."}]')
    console.page.get_by_label("user_id (optional)").fill("me")
    console.page.get_by_role("button", name="Run", exact=True).click()
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_text("This changes something").wait_for()
    dialog.get_by_role("button", name="Run it").click()
    console.shows("event_id")


def test_an_api_token_is_made_shown_once_and_revoked(console: Console) -> None:
    console.sign_in()
    console.open("api-tokens")
    console.page.get_by_role("button", name="New API token").click()
    dialog = console.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("desk")
    dialog.get_by_role("checkbox", name="connect").check()
    dialog.get_by_role("button", name="Make").click()
    secret = dialog.get_by_label("desk").input_value()
    assert secret.startswith("pst_")
    dialog.get_by_role("button", name="Done").click()
    row = console.page.get_by_role("row").filter(has_text="desk").filter(has_text="connect")
    row.get_by_role("button", name="Revoke").click()
    confirm = console.page.get_by_role("dialog")
    confirm.get_by_role("textbox").fill("desk")
    confirm.get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    assert secret not in console.page.content()


def test_memories_are_added_edited_searched_exported_imported_and_deleted(console: Console, tmp_path: Path) -> None:
    page = console.page
    console.sign_in()
    console.open("memory?type=user&id=ana")
    console.shows("There is no memory yet.")
    for text in ("Ana likes window seats.", "Ana lives in Riga."):
        page.get_by_label("Add a memory").fill(text)
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("button", name=text).wait_for()
    page.get_by_role("button", name="Ana lives in Riga.").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Text").fill("Ana lives in Vilnius.")
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Ana lives in Vilnius.").click()
    page.get_by_role("dialog").get_by_text("Ana lives in Riga.").first.wait_for()
    page.get_by_role("button", name="Close").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export JSON Lines").click()
    exported = downloading.value.path().read_text(encoding="utf-8")
    assert "Ana lives in Vilnius." in exported
    search = page.get_by_label("Search", exact=True)
    search.fill("seats")
    search.press("Enter")
    console.shows("score")
    search = page.get_by_label("Search", exact=True)
    search.fill("")
    search.press("Enter")
    page.get_by_role("checkbox", name="Choose: Ana likes window seats.").check()
    page.get_by_role("group", name="Chosen memories").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Ana likes window seats.").wait_for(state="detached")
    brought = tmp_path / "facts.md"
    brought.write_text("# Facts\n\n- Ana plays chess.\n- Ana speaks Latvian.\n", encoding="utf-8")
    page.locator("input[type=file]").set_input_files(brought)
    page.get_by_role("dialog").get_by_role("button", name="Import").click()
    page.get_by_role("button", name="Ana speaks Latvian.").wait_for()
    page.get_by_role("button", name="Delete all").click()
    confirm = page.get_by_role("dialog")
    confirm.get_by_role("textbox").fill("ana")
    confirm.get_by_role("button", name="Delete all").click()
    page.get_by_role("heading", name="Memory").wait_for()


def test_every_control_of_a_form_can_be_reached_by_keyboard(console: Console) -> None:
    console.page.goto(f"{console.ready.base_url}/console")
    console.page.get_by_label("API token").wait_for()
    console.page.keyboard.type(console.ready.api_token)
    console.page.keyboard.press("Enter")
    console.shows("My memory")
    reached = set()
    for _ in range(30):
        console.page.keyboard.press("Tab")
        reached.add(console.page.evaluate("() => document.activeElement.textContent.trim()"))
    assert {"Skip to the content", "MCP servers", "Sign out", "New MCP server", "My memory"} <= reached


def test_many_servers_are_made_labelled_found_and_revoked_at_once(console: Console) -> None:
    page = console.page
    console.sign_in()
    page.get_by_role("link", name="New MCP server").click()
    page.get_by_label("How many").fill("3")
    page.get_by_label("Name (optional)").fill("agent")
    page.get_by_role("button", name="Make 3 MCP servers").click()
    console.shows("3 MCP servers are ready")
    urls = [page.get_by_label(f"agent-{number}").input_value() for number in (1, 2, 3)]
    assert len(set(urls)) == 3
    console.open("servers")
    for number in (1, 2, 3):
        page.get_by_role("checkbox", name=f"Choose agent-{number}").check()
    page.get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("dialog").get_by_label("Labels").fill("team=support")
    page.get_by_role("dialog").get_by_role("button", name="Label", exact=True).click()
    page.get_by_role("link", name="team=support").first.click()
    page.get_by_role("link", name="Show all").wait_for()
    page.get_by_role("link", name="My memory").wait_for(state="detached")
    page.get_by_role("checkbox", name="Choose all").check()
    page.get_by_role("button", name="Revoke", exact=True).click()
    confirm = page.get_by_role("dialog")
    confirm.get_by_role("textbox").fill("3")
    confirm.get_by_role("button", name="Revoke").click()
    console.shows("There is no MCP server with this label.")


def test_trusts_are_listed_where_there_are_some(console: Console) -> None:
    console.sign_in()
    console.open("api-tokens")
    console.page.get_by_role("button", name="New API token").wait_for()
    assert console.page.get_by_role("heading", name="Trusts").count() == 0
    claims = {"repository": ["octo/agent", "octo/<b>other</b>"], "ref": ["refs/heads/main"]}
    limits = {"account_ids": [console.ready.account_id], "mint": {"max_lifetime_seconds": 3600}}
    trust = console.api("POST", "/trust", {"name": "agent CI", "issuer": "github", "claims": claims, **limits})
    console.open("accounts")
    console.page.get_by_role("heading", level=1, name="Accounts").wait_for()
    console.open("api-tokens")
    console.page.get_by_role("heading", name="Trusts").wait_for()
    row = console.page.get_by_role("row").filter(has_text=trust["id"])
    assert "repository: octo/agent, octo/<b>other</b>; ref: refs/heads/main" in row.inner_text()
    assert "3600 s" in row.inner_text()
    for width in (360, 1280):
        console.page.set_viewport_size({"width": width, "height": 800})
        assert console.violations() == []
        assert console.page.evaluate("() => document.documentElement.scrollWidth") <= width
    console.api("DELETE", f"/trust/{trust['id']}")
