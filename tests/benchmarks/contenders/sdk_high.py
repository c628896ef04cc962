"""The official SDK's MCPServer with one async function per operation."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from tests.benchmarks.contenders import Built, Setup
from tests.benchmarks.contenders.adapters import CurrentCall, behind_mangum
from tests.benchmarks.contenders.work import Work


def build(setup: Setup, same_work: bool) -> Built:
    """The server behind Mangum."""
    import httpx2
    from mcp.server.mcpserver import MCPServer

    with open(setup["definitions"], "rb") as file:
        definitions = {tool["name"]: tool for tool in json.load(file)}
    client = httpx2.AsyncClient(base_url=setup["upstream"], trust_env=False)
    work = Work(setup, definitions) if same_work else None
    current = CurrentCall()

    def tool(definition: dict[str, Any]) -> Callable[..., Awaitable[dict[str, Any]]]:
        name, verb, path = definition["name"], definition["_verb"], definition["_path"]

        async def run(item_id: str, user_id: str, limit: int = 10, include_meta: bool = False) -> dict[str, Any]:
            started = time.perf_counter()
            fields = {"user_id": user_id, "limit": limit, "include_meta": include_meta}
            headers = {}
            if work is not None:
                work.check_arguments(name, {"item_id": item_id, **fields})
                headers["Authorization"] = f"Bearer {work.credential(current.grant, current.token)['api_key']}"
            before = time.perf_counter()
            response = await client.request(verb, path + item_id, json=fields, headers=headers)
            seconds = time.perf_counter() - before
            answer: dict[str, Any] = response.json()
            if work is not None:
                work.check_answer(name, answer)
                work.log(
                    current.grant,
                    current.token,
                    name=name,
                    arguments={"item_id": item_id, **fields},
                    size=len(response.content),
                    started=started,
                    seconds=seconds,
                )
            return answer

        run.__annotations__ = {
            "item_id": str,
            "user_id": str,
            "limit": int,
            "include_meta": bool,
            "return": dict[str, Any],
        }
        return run

    server = MCPServer("bench")
    for definition in definitions.values():
        server.add_tool(tool(definition), name=definition["name"], description=definition["description"])
    app = server.streamable_http_app(json_response=True, stateless_http=True, host="0.0.0.0")
    return behind_mangum(app, work, current)
