"""What somebody else's tests look like: an agent, and an MCP server for each test."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from mcp_types import ListToolsResult
from pytest_postern import PosternServer
from pytest_postern.ephemeral_server import Endpoint, revoke


@pytest.mark.postern(methods=["read"], tags=["memories"], expires_in=60)
def test_a_reading_agent_cannot_write(postern_server: PosternServer) -> None:
    names = {tool["name"] for tool in postern_server.list_tools()}
    assert "mem_0_memories_search" in names
    assert "create_a_mem_0_memory" not in names
    found = postern_server.call_tool("mem_0_memories_search", {"query": "tea", "filters": {"user_id": "usr_1"}})
    assert not found["isError"]


@pytest.mark.postern(pins={"user_id": "usr_ci"})
def test_an_agent_remembers_for_its_own_user(postern_server: PosternServer) -> None:
    message = {"role": "user", "content": "I drink green tea."}
    added = postern_server.call_tool("create_a_mem_0_memory", {"messages": [message]})
    [text] = added["content"]
    assert json.loads(text["text"])["event_id"]


def test_an_agent_that_brings_its_own_client(postern_server: PosternServer) -> None:
    async def ask() -> ListToolsResult:
        async with postern_server.client() as client:
            listed: ListToolsResult = await client.list_tools()
            return listed

    assert len(asyncio.run(ask()).tools) == postern_server.tool_count


def test_every_test_has_a_url_of_its_own(postern_server: PosternServer) -> None:
    assert postern_server.url.startswith(("http://127.0.0.1:", "https://"))
    assert postern_server.url not in repr(postern_server)
    with open(os.environ["SEEN_URLS"], "a") as seen:
        seen.write(postern_server.url + "\n")


def test_a_server_that_ended_during_its_test_is_revoked_without_a_fuss(
    postern_server: PosternServer, postern_endpoint: Endpoint
) -> None:
    revoke(postern_endpoint, postern_server.id)
    with open(os.environ["SEEN_URLS"], "a") as seen:
        seen.write(postern_server.url + "\n")
