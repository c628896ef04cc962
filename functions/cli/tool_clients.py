"""Two clients for tools: the official MCP client on an MCP URL, and the proxy of the management API on an account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from functions.cli.invocation import Failed
from functions.cli.management_api import CLIENT_NAME, ManagementApi, is_loopback, path, verification, version
from functions.cli.terminal import printable
from functions.gateway import json_text
from functions.gateway.json_text import Json

if TYPE_CHECKING:
    from mcp import Client

RATE_LIMIT = "postern/rate-limit"
"""The key of `_meta` that holds the rate limit of the upstream."""


@dataclass(frozen=True)
class ToolResult:
    """What a call returned. `rate_limit`: {limit, remaining, reset_seconds, retry_after_seconds} or None."""

    body: Json
    failed: bool
    rate_limit: Mapping[str, int | None] | None


@asynccontextmanager
async def connect(url: str, api_token: str = "", mode: str = "auto") -> AsyncIterator[Client]:
    """The official client on an MCP URL. `api_token` is the second token of a server that requires one.

    Raises Failed when the endpoint cannot be reached or refuses. An exception from inside the context is raised
    unchanged, although the task groups of the client wrap it.
    """
    import httpx2
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp_types import Implementation

    headers = {"authorization": f"Bearer {api_token}"} if api_token else None
    named = Implementation(name=CLIENT_NAME, version=version())
    timeout = httpx2.Timeout(60.0, connect=10.0)
    try:
        async with (
            httpx2.AsyncClient(
                headers=headers, timeout=timeout, trust_env=not is_loopback(url), verify=verification(url)
            ) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode, client_info=named) as client,
        ):
            yield client
    except Exception as error:
        raise _explained(_first(error)) from None


async def list_tools(client: Client) -> list[dict[str, Json]]:
    """Every tool of the server, from all pages, as MCP tool objects."""
    tools: list[dict[str, Json]] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools += [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return tools


async def call_tool(client: Client, name: str, arguments: Mapping[str, Json]) -> ToolResult:
    """One call through MCP. Raises MCPError of the client when the tool is unknown or the server is dead."""
    result = await client.call_tool(name, dict(arguments))
    body = result.structured_content
    if body is None:
        text = "".join(block.text for block in result.content if block.type == "text")
        try:
            body = json_text.decode(text)
        except ValueError:
            body = text
    return ToolResult(body, bool(result.is_error), (result.meta or {}).get(RATE_LIMIT))


def proxied_call(
    api: ManagementApi, account_id: str, tool: Mapping[str, Json], arguments: Mapping[str, Json]
) -> ToolResult:
    """One call through the proxy. `tool` is from the tool list of the account; its `call` is the verb and path."""
    verb, template = tool["call"].split(" ", 1)
    left = dict(arguments)
    place = template
    while "{" in place:
        before, rest = place.split("{", 1)
        name, after = rest.split("}", 1)
        if name not in left:
            raise Failed(f'{tool["name"]}: "{name}" is missing; the path of the request needs it')
        place = before + quote(str(left.pop(name)), safe="") + after
    query = {"integrated_account_id": account_id}
    body: Json = None
    if verb in ("GET", "DELETE"):
        query |= {name: value if isinstance(value, str) else json_text.text(value) for name, value in left.items()}
    else:
        body = left
    answer, headers = api.request(verb, place, query=query, body=body)
    return ToolResult(answer, False, _limits(headers))


def account_tools(api: ManagementApi, account_id: str, **query: str) -> list[Json]:
    """The tools of an account, from the management API. `methods` and `tags` narrow the list; `format` shapes it."""
    given = {name: value for name, value in query.items() if value}
    found: list[Json] = api.get(path("integrated-account", account_id, "tools"), given)["result"]
    return found


def _limits(headers: Mapping[str, str]) -> dict[str, int | None] | None:
    names = {
        "limit": "ratelimit-limit",
        "remaining": "ratelimit-remaining",
        "reset_seconds": "ratelimit-reset",
        "retry_after_seconds": "retry-after",
    }
    found = {name: int(headers[header]) if header in headers else None for name, header in names.items()}
    return found if any(value is not None for value in found.values()) else None


def _first(error: BaseException) -> BaseException:
    """The first error inside nested exception groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _explained(error: BaseException) -> BaseException:
    """Errors of the client as Failed; any other error unchanged."""
    import httpx2
    from mcp import MCPError

    if isinstance(error, MCPError):
        return Failed(f"the MCP server answered: {printable(error.message)} ({error.code})", error.error.model_dump())
    if isinstance(error, httpx2.HTTPError):
        return Failed(f"the MCP URL cannot be reached ({type(error).__name__}); check the address")
    return error
