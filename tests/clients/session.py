"""One session of a Python MCP client, told step by step: a JSON line in on standard input, one out on standard output.

    python session.py '{"library": a key of LIBRARIES, "url": "", "headers": {}, "program": [...], "environment": {}}'
    {"step": "connect"} {"step": "list"} {"step": "call", "name": ..., "arguments": {...}} {"step": "close"}
    -> {"value": ...} or {"error": "all messages of what the client raises"}

`list` answers the names of tools, `call` the text of the result. Runs in the environment that has the library.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

Json = Any  # not from the product, which is not installed where this program runs


class Session(Protocol):
    async def connect(self) -> None: ...

    async def list(self) -> list[str]: ...

    async def call(self, name: str, arguments: Json) -> str: ...


class FastMcp:
    """The FastMCP client."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told, self._stack = told, stack

    async def connect(self) -> None:
        from fastmcp import Client
        from fastmcp.client.transports import StreamableHttpTransport

        transport = StreamableHttpTransport(self._told["url"], headers=self._told["headers"])
        self._client = await self._stack.enter_async_context(Client(transport))

    async def list(self) -> list[str]:
        return [tool.name for tool in await self._client.list_tools()]

    async def call(self, name: str, arguments: Json) -> str:
        result = await self._client.call_tool(name, arguments, raise_on_error=False)
        return str(result.content[0].text)


class LangChain:
    """LangChain's MCP adapters: tools for an agent, a session for each call."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told = told

    async def connect(self) -> None:
        from langchain_mcp_adapters.client import MultiServerMCPClient

        connection = {"transport": "streamable_http", "url": self._told["url"], "headers": self._told["headers"]}
        client = MultiServerMCPClient({"postern": connection})
        self._tools = {tool.name: tool for tool in await client.get_tools()}

    async def list(self) -> list[str]:
        return list(self._tools)

    async def call(self, name: str, arguments: Json) -> str:
        content = await self._tools[name].ainvoke(arguments)
        return str(content if isinstance(content, str) else content[0]["text"])


class OpenAiAgents:
    """The OpenAI Agents SDK."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told, self._stack = told, stack

    async def connect(self) -> None:
        from agents.mcp import MCPServerStreamableHttp

        parameters = {"url": self._told["url"], "headers": self._told["headers"]}
        server = MCPServerStreamableHttp(params=parameters, client_session_timeout_seconds=30)
        self._server = await self._stack.enter_async_context(server)

    async def list(self) -> list[str]:
        return [tool.name for tool in await self._server.list_tools()]

    async def call(self, name: str, arguments: Json) -> str:
        return str((await self._server.call_tool(name, arguments)).content[0].text)


class PydanticAi:
    """Pydantic AI's toolset of an MCP server."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told, self._stack = told, stack

    async def connect(self) -> None:
        from pydantic_ai.mcp import MCPToolset

        toolset: Any = MCPToolset(self._told["url"], headers=self._told["headers"])
        self._toolset = await self._stack.enter_async_context(toolset)

    async def list(self) -> list[str]:
        return [tool.name for tool in await self._toolset.list_tools()]

    async def call(self, name: str, arguments: Json) -> str:
        result = await self._toolset.direct_call_tool(name, arguments)
        return result if isinstance(result, str) else json.dumps(result)


class GoogleAdk:
    """The toolset of an MCP server in Google's Agent Development Kit."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told, self._stack = told, stack

    async def connect(self) -> None:
        from google.adk.tools.mcp_tool import McpToolset, StreamableHTTPConnectionParams

        parameters = StreamableHTTPConnectionParams(url=self._told["url"], headers=self._told["headers"])
        self._toolset = McpToolset(connection_params=parameters)
        self._stack.push_async_callback(self._toolset.close)
        self._tools = {tool.name: tool for tool in await self._toolset.get_tools()}

    async def list(self) -> list[str]:
        return list(self._tools)

    async def call(self, name: str, arguments: Json) -> str:
        from unittest.mock import MagicMock

        result: Any = await self._tools[name].run_async(args=arguments, tool_context=MagicMock(tool_confirmation=None))
        return str(result["content"][0]["text"]) if "content" in result else json.dumps(result)


class LlamaIndex:
    """LlamaIndex's tools of an MCP server."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told = told

    async def connect(self) -> None:
        from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

        self._client = BasicMCPClient(self._told["url"], headers=self._told["headers"])
        self._tools = await McpToolSpec(client=self._client).to_tool_list_async()

    async def list(self) -> list[str]:
        return [str(tool.metadata.name) for tool in self._tools]

    async def call(self, name: str, arguments: Json) -> str:
        result: Any = await self._client.call_tool(name, arguments)
        return str(result.content[0].text)


class Strands:
    """The MCP client of Strands Agents, which runs on a thread of its own."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told, self._stack = told, stack

    async def connect(self) -> None:
        from strands.tools.mcp import MCPClient

        self._client = MCPClient(url=self._told["url"], headers=self._told["headers"])
        await asyncio.to_thread(self._client.start)
        self._stack.push_async_callback(asyncio.to_thread, self._client.stop, None, None, None)

    async def list(self) -> list[str]:
        return [tool.tool_name for tool in await asyncio.to_thread(self._client.list_tools_sync)]

    async def call(self, name: str, arguments: Json) -> str:
        result: Any = await asyncio.to_thread(self._client.call_tool_sync, "1", name, arguments)
        return str(result["content"][0]["text"])


class Bridge:
    """A program that hosts without HTTP start in place of a server; here the official Python client starts it."""

    def __init__(self, told: Json, stack: AsyncExitStack) -> None:
        self._told, self._stack = told, stack

    async def connect(self) -> None:
        from mcp import Client, StdioServerParameters

        command, *arguments = self._told["program"]
        program = StdioServerParameters(command=command, args=arguments, env=self._told["environment"])
        self._client = await self._stack.enter_async_context(Client(program, mode="legacy"))

    async def list(self) -> list[str]:
        return [tool.name for tool in (await self._client.list_tools()).tools]

    async def call(self, name: str, arguments: Json) -> str:
        result: Any = await self._client.call_tool(name, arguments)
        return str(result.content[0].text)


LIBRARIES: dict[str, Callable[[Json, AsyncExitStack], Session]] = {
    "fastmcp": FastMcp,
    "langchain": LangChain,
    "openai-agents": OpenAiAgents,
    "pydantic-ai": PydanticAi,
    "google-adk": GoogleAdk,
    "llama-index": LlamaIndex,
    "strands": Strands,
    "bridge": Bridge,
}


def messages(failure: BaseException) -> str:
    """Every message in an exception, its groups and its causes: what a person finds in a client's log."""
    seen: list[BaseException] = []
    ahead: list[BaseException | None] = [failure]
    while ahead:
        one = ahead.pop(0)
        if one is None or one in seen:
            continue
        seen.append(one)
        ahead += [*(one.exceptions if isinstance(one, BaseExceptionGroup) else ()), one.__cause__, one.__context__]
    return " | ".join(dict.fromkeys(f"{type(one).__name__}: {one}" for one in seen))


async def main() -> None:
    told = json.loads(sys.argv[1])
    async with AsyncExitStack() as stack:
        session = LIBRARIES[told["library"]](told, stack)
        while line := await asyncio.to_thread(sys.stdin.readline):
            step = json.loads(line)
            answer: Json
            try:
                match step["step"]:
                    case "connect":
                        await session.connect()
                        answer = {"value": None}
                    case "list":
                        answer = {"value": await session.list()}
                    case "call":
                        answer = {"value": await session.call(step["name"], step["arguments"])}
                    case _:
                        return
            except BaseException as failure:  # what the client raises is what is asked for
                answer = {"error": messages(failure)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main())
