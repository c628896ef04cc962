"""The approve page: from the link in a refusal to the call that is made once, and the checkboxes that ask for it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.browser.conftest import Console
from tests.patience import STUCK_SECONDS

pytestmark = pytest.mark.browser

DELETE_ALL = "mem_0_memories_bulk_delete_by_filter"


class Agent:
    """A client of one server, without a browser."""

    def __init__(self, url: str) -> None:
        self._url = url

    def call(self, **given: Any) -> tuple[bool, str]:
        """Whether the deletion was an error, and the text of its result."""
        arguments = {"filters": {"user_id": "me"}, **given}
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": DELETE_ALL, "arguments": arguments},
        }
        answer = httpx.post(self._url, json=message, timeout=STUCK_SECONDS, trust_env=False).json()["result"]
        return answer["isError"], answer["content"][0]["text"]

    def refused(self) -> tuple[str, str]:
        """The link and the code of the refusal of a first call."""
        is_error, text = self.call()
        assert is_error
        message = json.loads(text)["message"]
        link = next(word for word in message.split() if "/console#/approve/" in word)
        return link, message.split('"confirmation_code": "')[1].split('"')[0]


def agent(console: Console) -> Agent:
    config = {"confirm": ["destructive"], "confirm_by": "person"}
    body = {"name": "desk", "config": config}
    return Agent(console.api("POST", f"/integrated-account/{console.ready.account_id}/mcp", body)["url"])


def test_a_person_opens_the_link_signs_in_and_approves(console: Console) -> None:
    client = agent(console)
    link, code = client.refused()
    console.page.goto(link)
    console.page.get_by_label("API token").fill(console.ready.api_token)
    console.page.get_by_role("button", name="Sign in").click()
    console.page.get_by_role("heading", level=1, name="Approve a call").wait_for()
    console.shows("Delete all memories of an entity")
    console.shows('{"filters": {"user_id": "me"}}')
    assert console.violations() == []
    assert client.call(confirmation_code=code)[0] is True
    console.page.get_by_role("button", name="Approve this call").click()
    console.shows("Approved. The client can now make this call, once.")
    assert console.violations() == []
    assert client.call(confirmation_code=code)[0] is False
    assert client.call(confirmation_code=code)[0] is True


def test_what_is_not_shown_is_said_whatever_its_characters_are(console: Console) -> None:
    """JavaScript counts two for an emoji, and the management API counts one."""
    client = agent(console)
    is_error, text = client.call(filters={"user_id": "me", "run_id": "\U0001f600" * 2_100})
    assert is_error
    console.page.goto(next(word for word in json.loads(text)["message"].split() if "/console#/approve/" in word))
    console.page.get_by_label("API token").fill(console.ready.api_token)
    console.page.get_by_role("button", name="Sign in").click()
    console.page.get_by_text("These are the first 2,000 of 2,1").wait_for()


def test_a_code_can_be_typed_where_there_is_no_link(console: Console) -> None:
    _, code = agent(console).refused()
    console.sign_in()
    console.open("approve")
    console.page.get_by_label("Server").fill("desk")
    console.page.get_by_label("Code").fill(code)
    assert console.violations() == []
    console.page.get_by_role("button", name="Show the call").click()
    console.shows("Delete all memories of an entity")


def test_a_code_that_is_none_says_so(console: Console) -> None:
    agent(console)
    console.sign_in()
    console.open("approve/desk/nothing")
    console.shows("no call waits for an approval under this code")


def test_a_server_is_made_that_asks(console: Console) -> None:
    console.sign_in()
    console.page.get_by_role("link", name="New MCP server").click()
    console.page.get_by_label("Name").fill("asks")
    console.page.get_by_label("Destructive calls need a confirmation").check()
    console.page.get_by_label("A person must approve them").check()
    assert console.violations() == []
    console.page.get_by_role("button", name="Make the MCP server").click()
    console.shows("/mcp/")
    servers = console.api("GET", f"/integrated-account/{console.ready.account_id}/mcp")["result"]
    [made] = [server for server in servers if server["name"] == "asks"]
    assert (made["config"]["confirm"], made["config"]["confirm_by"]) == (["destructive"], "person")
