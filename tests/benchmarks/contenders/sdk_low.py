"""The official SDK's low-level server, its tools built once."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.benchmarks.contenders import Built, Setup
from tests.benchmarks.contenders.adapters import CurrentCall, behind_mangum
from tests.benchmarks.contenders.work import Work


def build(setup: Setup, same_work: bool) -> Built:
    """The server behind Mangum; `get_tool_input_schema` is set, without which each call lists all tools again."""
    import httpx2
    import mcp_types as types
    from mcp.server.lowlevel import Server

    with open(setup["definitions"], "rb") as file:
        definitions = {tool["name"]: tool for tool in json.load(file)}
    listing = types.ListToolsResult(
        tools=[
            types.Tool.model_validate({key: value for key, value in tool.items() if not key.startswith("_")})
            for tool in definitions.values()
        ]
    )
    client = httpx2.AsyncClient(base_url=setup["upstream"], trust_env=False)
    work = Work(setup, definitions) if same_work else None
    current = CurrentCall()

    async def list_tools(context: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return listing

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        started = time.perf_counter()
        arguments = dict(params.arguments or {})
        headers = {}
        if work is not None:
            work.check_arguments(params.name, arguments)
            headers["Authorization"] = f"Bearer {work.credential(current.grant, current.token)['api_key']}"
        tool = definitions[params.name]
        item = arguments["item_id"]
        fields = {key: value for key, value in arguments.items() if key != "item_id"}
        before = time.perf_counter()
        response = await client.request(tool["_verb"], tool["_path"] + item, json=fields, headers=headers)
        seconds = time.perf_counter() - before
        answer = response.json()
        if work is not None:
            work.check_answer(params.name, answer)
        text = json.dumps(answer)
        if work is not None:
            work.log(
                current.grant,
                current.token,
                name=params.name,
                arguments=arguments,
                size=len(text),
                started=started,
                seconds=seconds,
            )
        content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
        return types.CallToolResult(content=content, structured_content=answer)

    server: Server[Any] = Server(
        "bench",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: definitions[name]["inputSchema"],
    )
    app = server.streamable_http_app(json_response=True, stateless_http=True, host="0.0.0.0")
    return behind_mangum(app, work, current)
