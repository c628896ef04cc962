"""`postern tools` and `postern call`: list the tools that an agent sees, and call one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from functions.cli import completers, tool_arguments, tool_clients
from functions.cli.command import Remote, argument, declaration, option, remaining
from functions.cli.connection import read_local
from functions.cli.invocation import Failed, Invocation, UsageError
from functions.cli.management_api import open_api
from functions.cli.tables import Table, count
from functions.gateway import json_text
from functions.gateway.json_text import Json

TOOLS = declaration("tools")
CALL = declaration("call", more=tool_arguments.__doc__)


@dataclass(frozen=True, kw_only=True)
class Reach(Remote):
    """How the tools are reached."""

    url: str | None = option("use this MCP URL, like an agent (default: POSTERN_MCP_URL)", "MCP_URL", either="reach")
    account: str | None = option(
        "use the proxy on this account, with the API token", "ID", either="reach", completer=completers.accounts
    )
    second_api_token: str | None = option(
        "an API token with the scope connect, for a server that requires one (default: POSTERN_SECOND_API_TOKEN)",
        "TOKEN",
    )


@dataclass(frozen=True, kw_only=True)
class Tools(Reach):
    """The words of `tools`."""

    methods: str = option("with --account: only tools of these methods", "M,...", default="")
    tags: str = option(
        "with --account: only tools with one of these tags", "T,...", default="", completer=completers.tags
    )
    format: str = option(
        "with --account: JSON in the format of a model API",
        default="",
        choices=("openai", "anthropic"),
        show_choices=True,
    )


@dataclass(frozen=True, kw_only=True)
class Call(Reach):
    """The words of `call`."""

    tool: str = argument("TOOL", completer=completers.tools)
    words: tuple[str, ...] = remaining("KEY=VALUE", "arguments of the tool; see below")
    arguments: str | None = option("arguments as a JSON object; KEY=VALUE words are added to it", "JSON")


def mcp_url(invocation: Invocation[Reach]) -> str | None:
    """The MCP URL that was given, else the URL of the local endpoint unless the options name another place."""
    options, environment = invocation.options, invocation.environment
    given: str | None = options.url or environment.get("POSTERN_MCP_URL") or None
    if given or options.account or options.endpoint or environment.get("POSTERN_ENDPOINT"):
        return None if options.account else given
    local = read_local(environment)
    return local.mcp_url if local else None


def _second_api_token(invocation: Invocation[Reach]) -> str:
    return invocation.options.second_api_token or invocation.environment.get("POSTERN_SECOND_API_TOKEN", "")


@TOOLS.alone(Tools)
def _tools(invocation: Invocation[Tools]) -> None:
    options = invocation.options
    shaped = options.methods or options.tags or options.format
    if options.url and shaped:
        raise UsageError(
            "--methods, --tags and --format work on an account only; a server shows the tools it was minted with"
        )
    url = None if shaped else mcp_url(invocation)
    if url:
        tools = asyncio.run(_list_through_mcp(invocation, url))
        rows = [[tool["name"], tool.get("title")] for tool in tools]
        invocation.terminal.result(tools, Table(("name", "title"), rows), count(len(tools), "tool"))
        return
    with open_api(invocation) as api:
        account_id = api.account_id(options.account)
        query = {"methods": options.methods, "tags": options.tags, "format": options.format}
        tools = tool_clients.account_tools(api, account_id, **query)
    if options.format:
        invocation.terminal.line(json_text.readable(tools))
        return
    shown = ("name", "method", "access", "tags", "call")
    rows = [[tool[name] for name in shown] for tool in tools]
    invocation.terminal.result(tools, Table(shown, rows), count(len(tools), "tool"))


async def _list_through_mcp(invocation: Invocation[Tools], url: str) -> list[dict[str, Json]]:
    with invocation.terminal.waiting("waiting for the MCP server"):
        async with tool_clients.connect(url, _second_api_token(invocation)) as client:
            return await tool_clients.list_tools(client)


@CALL.alone(Call)
def _call(invocation: Invocation[Call]) -> int:
    url = mcp_url(invocation)
    answer = asyncio.run(_call_through_mcp(invocation, url)) if url else _call_through_proxy(invocation)
    text = answer.body if isinstance(answer.body, str) else json_text.readable(answer.body)
    invocation.terminal.result(answer.body, text)
    limits = answer.rate_limit
    if limits and limits.get("remaining") is not None:
        invocation.terminal.note(f"rate limit: {limits['remaining']} of {limits['limit']} left")
    return 1 if answer.failed else 0


async def _call_through_mcp(invocation: Invocation[Call], url: str) -> tool_clients.ToolResult:
    options = invocation.options
    with invocation.terminal.waiting(f"waiting for {options.tool}"):
        async with tool_clients.connect(url, _second_api_token(invocation)) as client:
            schema: Json = {}
            if options.words:
                listed = {tool["name"]: tool["inputSchema"] for tool in await tool_clients.list_tools(client)}
                schema = listed.get(options.tool, {})
            arguments = tool_arguments.read(options.words, options.arguments, schema)
            return await tool_clients.call_tool(client, options.tool, arguments)


def _call_through_proxy(invocation: Invocation[Call]) -> tool_clients.ToolResult:
    options = invocation.options
    with open_api(invocation) as api:
        account_id = api.account_id(options.account)
        tools = {tool["name"]: tool for tool in tool_clients.account_tools(api, account_id)}
        if options.tool not in tools:
            raise Failed(
                f'no tool "{options.tool}" on account {account_id}; `postern tools --account {account_id}` lists them'
            )
        tool = tools[options.tool]
        arguments = tool_arguments.read(options.words, options.arguments, tool["input_schema"])
        return tool_clients.proxied_call(api, account_id, tool, arguments)
