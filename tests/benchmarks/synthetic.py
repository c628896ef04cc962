"""The synthetic API that every contender serves: `count` operations, one call of them, and the answer to it."""

from __future__ import annotations

import json
from typing import Any

Json = Any

VERBS = ("get", "post", "put", "delete")

DESCRIPTION = (
    "Reads or changes one entry of this collection. The answer holds the entry as it is stored, with its owner and the "
    "time of its last change; entries of other owners are never part of it, whatever the arguments say."
)

ARGUMENTS: dict[str, tuple[str, str, bool]] = {
    "user_id": ("string", "Owner of the entry.", True),
    "limit": ("integer", "Most entries to return.", False),
    "include_meta": ("boolean", "Also return metadata.", False),
}

CALLED = 1
"""Number of the operation that is called: a POST with a JSON body."""

ENTRY = {"user_id": "usr_1", "limit": 10, "include_meta": False}

OUTPUT = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "description": "Id."},
        "owner": {"type": "string", "description": "Owner."},
        "data": {"type": "object", "description": "Content."},
    },
}

ANSWER = json.dumps(
    {
        "id": "item-1",
        "owner": "usr_1",
        "data": {f"member_{n:02}": "Prefers tea over coffee in the morning." for n in range(16)},
    }
).encode()

LIST_ANSWER = json.dumps(
    {
        "count": 7,
        "next": None,
        "previous": None,
        "results": [
            {"id": f"00000000-0000-4000-8000-{n:012d}", "memory": "Prefers tea over coffee in the morning. " * 2}
            for n in range(7)
        ],
    }
).encode()
"""What a Mem0 listing answers; `make run` and `bench_endpoint` call one."""

FOUND = "Prefers tea"
"""Words of both answers: a result that does not hold them did not come from the upstream."""


def operation_name(number: int) -> str:
    """The operationId, by which every peer names its tool."""
    return f"op_{number:04d}"


def verb(number: int) -> str:
    """HTTP verb of an operation."""
    return VERBS[number % len(VERBS)]


def specification(count: int) -> dict[str, Json]:
    """An OpenAPI 3.1 document of `count` operations, each on a path of its own."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Bench", "version": "1"},
        "servers": [{"url": "https://bench.example"}],
        "paths": {f"/v1/c{number}/{{item_id}}": {verb(number): _operation(number)} for number in range(count)},
        "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
        "security": [{"key": []}],
    }


def _operation(number: int) -> dict[str, Json]:
    operation: dict[str, Json] = {
        "operationId": operation_name(number),
        "summary": f"Operation {number}",
        "description": DESCRIPTION,
        "tags": [f"group{number % 7}"],
        "parameters": [
            {
                "name": "item_id",
                "in": "path",
                "required": True,
                "description": "Id of the entry.",
                "schema": {"type": "string"},
            }
        ],
        "responses": {"200": {"description": "The entry.", "content": {"application/json": {"schema": OUTPUT}}}},
    }
    if verb(number) in ("get", "delete"):
        operation["parameters"] += [
            {"name": name, "in": "query", "required": required, "description": text, "schema": {"type": kind}}
            for name, (kind, text, required) in ARGUMENTS.items()
        ]
    else:
        properties = {name: {"type": kind, "description": text} for name, (kind, text, _) in ARGUMENTS.items()}
        schema = {"type": "object", "required": ["user_id"], "properties": properties}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def definitions(count: int) -> list[dict[str, Json]]:
    """The same operations as MCP tools, for the contenders whose authors write them by hand. `_verb` and `_path` say
    where a call goes."""
    properties = {"item_id": {"type": "string", "description": "Id of the entry."}}
    properties |= {name: {"type": kind, "description": text} for name, (kind, text, _) in ARGUMENTS.items()}
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["item_id", "user_id"],
        "additionalProperties": False,
    }
    return [
        {
            "name": operation_name(number),
            "title": f"Operation {number}",
            "description": DESCRIPTION,
            "inputSchema": schema,
            "outputSchema": OUTPUT,
            "_verb": verb(number).upper(),
            "_path": f"/v1/c{number}/",
        }
        for number in range(count)
    ]


def event(token: str, era: str, method: str, params: dict[str, Json]) -> dict[str, Json]:
    """An API Gateway HTTP API event (payload 2.0) of one request, era "modern" (2026-07-28) or "legacy"
    (2025-11-25)."""
    headers, body = request(era, method, params)
    path = f"/mcp/{token}"
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "127.0.0.1:443", **headers},
        "requestContext": {
            "domainName": "127.0.0.1",
            "stage": "$default",
            "http": {"method": "POST", "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
        },
        "body": body,
        "isBase64Encoded": False,
    }


def request(era: str, method: str, params: dict[str, Json]) -> tuple[dict[str, str], str]:
    """Headers and body of one MCP request."""
    headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    if era == "modern":
        headers |= {"mcp-protocol-version": "2026-07-28", "mcp-method": method}
        if "name" in params:
            headers["mcp-name"] = params["name"]
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        }
        params = {**params, "_meta": meta}
    else:
        headers["mcp-protocol-version"] = "2025-11-25"
    return headers, json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


def check(content: str, method: str) -> None:
    """Raises AssertionError for an answer that is not the result it must be."""
    assert '"result"' in content, content[:500]
    if method == "tools/call":
        assert FOUND in content, content[:500]
        assert '"isError":true' not in content, content[:500]
    else:
        assert '"tools"' in content, content[:500]
