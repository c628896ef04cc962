"""`postern tools` and `postern call`: what an agent sees, and what it gets."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from functions.cli import call_arguments, tool_calls
from functions.cli.connection import read_local
from functions.cli.invocation import Failed, Invocation, Misuse
from functions.cli.management_api import open_api
from functions.cli.tables import count, table
from functions.gateway.json_text import Json


def add(commands: Any, remote: argparse.ArgumentParser) -> None:
    """Add both commands."""
    door = argparse.ArgumentParser(add_help=False, parents=[remote])
    either = door.add_mutually_exclusive_group()
    either.add_argument(
        "--url", metavar="MCP_URL", help="through this MCP URL (else POSTERN_MCP_URL), as an agent would"
    )
    either.add_argument("--account", metavar="ID", help="through the proxy on this account, with the API token")
    door.add_argument(
        "--second-factor",
        metavar="TOKEN",
        help="an API token for a server that asks for one (else POSTERN_SECOND_FACTOR)",
    )
    one = commands.add_parser("tools", parents=[door], help="the tools of a server or an account")
    one.add_argument("--methods", default="", metavar="M,...", help="of an account: only these")
    one.add_argument("--tags", default="", metavar="T,...", help="of an account: only with one of these")
    one.add_argument(
        "--format", default="", choices=["openai", "anthropic"], help="of an account: JSON that a model takes as is"
    )
    one.set_defaults(run=_tools)
    one = commands.add_parser(
        "call",
        parents=[door],
        help="call a tool",
        epilog=call_arguments.__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    one.add_argument("tool", metavar="TOOL")
    one.add_argument("words", nargs="*", metavar="KEY=VALUE", help="arguments; see below")
    one.add_argument("--arguments", metavar="JSON", help="an object that the words are added to")
    one.set_defaults(run=_call)


def mcp_url(invocation: Invocation) -> str | None:
    """The MCP URL that was given or, where nothing else was named, that of the local endpoint."""
    options, environment = invocation.options, invocation.environment
    given: str | None = options.url or environment.get("POSTERN_MCP_URL") or None
    if given or options.account or options.endpoint or environment.get("POSTERN_ENDPOINT"):
        return None if options.account else given
    local = read_local(environment)
    return local.mcp_url if local else None


def _second_factor(invocation: Invocation) -> str:
    return invocation.options.second_factor or invocation.environment.get("POSTERN_SECOND_FACTOR", "")


def _tools(invocation: Invocation) -> None:
    options = invocation.options
    shaped = options.methods or options.tags or options.format
    if options.url and shaped:
        raise Misuse("--methods, --tags and --format are for an account; a server shows what it was minted with")
    url = None if shaped else mcp_url(invocation)
    if url:
        tools = asyncio.run(_list_through_mcp(invocation, url))
        rows = [[tool["name"], tool.get("title")] for tool in tools]
        invocation.terminal.result(tools, f"{table(('name', 'title'), rows)}\n{count(len(tools), 'tool')}")
        return
    with open_api(invocation) as api:
        account_id = api.account_id(options.account)
        query = {"methods": options.methods, "tags": options.tags, "format": options.format}
        tools = tool_calls.account_tools(api, account_id, **query)
    if options.format:
        invocation.terminal.line(json.dumps(tools, indent=2, ensure_ascii=False))
        return
    shown = ("name", "method", "access", "tags", "call")
    rows = [[tool[name] for name in shown] for tool in tools]
    invocation.terminal.result(tools, f"{table(shown, rows)}\n{count(len(tools), 'tool')}")


async def _list_through_mcp(invocation: Invocation, url: str) -> list[dict[str, Json]]:
    with invocation.terminal.waiting("waiting for the MCP server"):
        async with tool_calls.connect(url, _second_factor(invocation)) as client:
            return await tool_calls.list_tools(client)


def _call(invocation: Invocation) -> int:
    url = mcp_url(invocation)
    answer = asyncio.run(_call_through_mcp(invocation, url)) if url else _call_through_proxy(invocation)
    text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body, indent=2, ensure_ascii=False)
    invocation.terminal.result(answer.body, text)
    limits = answer.rate_limit
    if limits and limits.get("remaining") is not None:
        invocation.terminal.note(f"rate limit: {limits['remaining']} of {limits['limit']} left")
    return 1 if answer.failed else 0


async def _call_through_mcp(invocation: Invocation, url: str) -> tool_calls.Answer:
    options = invocation.options
    with invocation.terminal.waiting(f"waiting for {options.tool}"):
        async with tool_calls.connect(url, _second_factor(invocation)) as client:
            schema: Json = {}
            if options.words:
                listed = {tool["name"]: tool["inputSchema"] for tool in await tool_calls.list_tools(client)}
                schema = listed.get(options.tool, {})
            arguments = call_arguments.read(options.words, options.arguments, schema)
            return await tool_calls.call_tool(client, options.tool, arguments)


def _call_through_proxy(invocation: Invocation) -> tool_calls.Answer:
    options = invocation.options
    with open_api(invocation) as api:
        account_id = api.account_id(options.account)
        tools = {tool["name"]: tool for tool in tool_calls.account_tools(api, account_id)}
        if options.tool not in tools:
            raise Failed(
                f'no tool "{options.tool}" on account {account_id}; `postern tools --account {account_id}` lists them'
            )
        tool = tools[options.tool]
        arguments = call_arguments.read(options.words, options.arguments, tool["input_schema"])
        return tool_calls.proxied_call(api, account_id, tool, arguments)
