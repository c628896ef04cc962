"""awslabs-mcp-lambda-handler with one decorated function per operation and no session store."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.benchmarks.contenders import Built, Setup


def build(setup: Setup, same_work: bool) -> Built:
    """Its handler, whose tools call the upstream with urllib3."""
    import urllib3
    from awslabs.mcp_lambda_handler import MCPLambdaHandler

    with open(setup["definitions"], "rb") as file:
        definitions = json.load(file)
    server = MCPLambdaHandler(name="bench", version="1")
    pool = urllib3.PoolManager(retries=False)
    base = setup["upstream"]

    def tool(definition: dict[str, Any]) -> Callable[..., str]:
        def run(item_id: str, user_id: str, limit: int, include_meta: bool) -> str:
            fields = {"user_id": user_id, "limit": limit, "include_meta": include_meta}
            url = base + definition["_path"] + item_id
            answer = pool.request(definition["_verb"], url, json=fields, redirect=False)
            return answer.data.decode()

        # The handler reads the hints themselves, not their source.
        run.__annotations__ = {"item_id": str, "user_id": str, "limit": int, "include_meta": bool, "return": str}
        run.__name__ = definition["name"]
        run.__doc__ = definition["description"]
        return run

    for definition in definitions:
        server.tool()(tool(definition))
    return Built(server.handle_request)
