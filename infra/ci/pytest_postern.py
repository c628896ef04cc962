"""A pytest plugin with an MCP server for each test that requests one. `pytest -p infra.ci.pytest_postern`

    @pytest.mark.postern(methods=["read"], tags=["memories"], pins={"user_id": "usr_1"}, expires_in=300)
    def test_the_agent_reads_only(postern_server):
        names = [tool.name for tool in postern_server.list_tools()]
        result = postern_server.call_tool("mem_0_memories_search", {"query": "tea"})

The server is minted before the test, revoked after it, and expires in any case. It is on the endpoint that
POSTERN_ENDPOINT, POSTERN_API_TOKEN and POSTERN_ACCOUNT name. Without POSTERN_ENDPOINT, the plugin starts an embedded
endpoint with an embedded memory once for the whole run, and removes it afterwards.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from infra.ci.ephemeral_server import DEFAULT_SECONDS, CiError, Endpoint, endpoint_from, mint, revoke

if TYPE_CHECKING:
    from mcp import Client
    from mcp_types import CallToolResult, Tool

MARKER = "postern(methods, tags, pins, expires_in): which tools the server of this test shows, and for how long"
ARGUMENTS = ("methods", "tags", "pins", "expires_in")


@dataclass(frozen=True)
class PosternServer:
    """The server of one test. An agent needs only `url`."""

    url: str = field(repr=False)
    id: str
    expires_at: str
    tool_count: int

    def client(self) -> Client:
        """The official MCP client, for `async with`."""
        from mcp import Client

        return Client(self.url)

    def list_tools(self) -> list[Tool]:
        """Every tool that the server shows."""

        async def listed() -> list[Tool]:
            async with self.client() as client:
                page = await client.list_tools()
                tools = list(page.tools)
                while page.next_cursor:
                    page = await client.list_tools(cursor=page.next_cursor)
                    tools += page.tools
                return tools

        return asyncio.run(listed())

    def call_tool(self, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
        """One call. A failed call returns a result with `is_error`; an unknown tool raises."""

        async def called() -> CallToolResult:
            async with self.client() as client:
                return await client.call_tool(name, dict(arguments))

        return asyncio.run(called())


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture(scope="session")
def postern_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """Where servers are minted: the deployment that the environment names, or an embedded endpoint."""
    if os.environ.get("POSTERN_ENDPOINT"):
        try:
            yield endpoint_from(os.environ)
        except CiError as error:
            pytest.fail(str(error), pytrace=False)
        return
    from functions import local
    from functions.gateway.settings import Settings

    settings = Settings(state_dir=str(tmp_path_factory.mktemp("postern")))
    with local.start(settings, {}) as ready:
        yield Endpoint(ready.base_url, ready.api_token, ready.account_id)


@pytest.fixture
def postern_server(postern_endpoint: Endpoint, request: pytest.FixtureRequest) -> Iterator[PosternServer]:
    """The MCP server of this test."""
    marker = request.node.get_closest_marker("postern")
    wanted = dict(marker.kwargs) if marker else {}
    unknown = [*(str(value) for value in (marker.args if marker else ())), *(set(wanted) - set(ARGUMENTS))]
    if unknown:
        pytest.fail(f"postern: {', '.join(unknown)} unknown; valid by name: {', '.join(ARGUMENTS)}", pytrace=False)
    try:
        server = mint(postern_endpoint, name=request.node.name[:100], **{"expires_in": DEFAULT_SECONDS, **wanted})
    except CiError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        yield PosternServer(server.url, server.id, server.expires_at, server.tool_count)
    finally:
        revoke(postern_endpoint, server.id)
