"""From sign-in to revocation by clicking, with the official client using the URL in between."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from tests.browser.conftest import Console

pytestmark = pytest.mark.browser


async def _remember_and_find(url: str) -> tuple[list[str], str]:
    """The names of the tools, and the text that a search returns, through the official client."""
    async with streamable_http_client(url) as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        names = [tool.name for tool in (await session.list_tools()).tools]
        await session.call_tool(
            "create_a_mem_0_memory",
            {"messages": [{"role": "user", "content": "I like window seats."}], "infer": False},
        )
        found: Any = await session.call_tool("mem_0_memories_search", {"query": "window seats"})
        return names, found.content[0].text


def client(url: str) -> tuple[list[str], str]:
    """The official client, on a thread of its own: the driver of the browser keeps an event loop on this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(_remember_and_find(url))).result()


def test_the_whole_way_from_sign_in_to_revocation(console: Console) -> None:
    page = console.page
    console.sign_in()
    assert console.page.url == f"{console.ready.base_url}/console"

    clicks = 0

    def click(locator: Any) -> None:
        nonlocal clicks
        clicks += 1
        locator.click()

    click(page.get_by_role("link", name="New MCP server"))
    click(page.get_by_role("button", name="One person"))
    page.get_by_role("region", name="Tools of this server").get_by_role("heading").wait_for()
    click(page.get_by_role("button", name="Make the MCP server"))
    page.get_by_label("MCP URL").wait_for()
    click(page.get_by_role("button", name="Copy", exact=True))
    console.shows("Copied")
    assert clicks <= 6
    url = page.evaluate("() => navigator.clipboard.readText()")
    assert url == page.get_by_label("MCP URL").input_value()

    names, found = client(url)
    assert "mem_0_memories_search" in names
    assert "window seats" in found

    click(page.get_by_role("link", name="The server", exact=True))
    name = page.get_by_role("heading", level=1).inner_text()
    click(page.get_by_role("tab", name="Calls"))
    page.get_by_role("button", name="mem_0_memories_search").first.wait_for()

    click(page.get_by_role("tab", name="Rotate or revoke"))
    click(page.get_by_role("button", name="Revoke this server"))
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Revoke").is_disabled()
    dialog.get_by_role("textbox").fill(name)
    click(dialog.get_by_role("button", name="Revoke"))
    page.get_by_role("heading", name="MCP servers").wait_for()
    with pytest.raises(BaseExceptionGroup):
        client(url)


def test_the_token_is_in_no_storage_and_no_cookie(console: Console) -> None:
    console.sign_in()
    console.shows("My memory")
    state = console.page.context.storage_state(indexed_db=True)
    assert state == {"cookies": [], "origins": []}
    console.page.reload()
    console.page.get_by_role("heading", name="Postern console").wait_for()
