"""The OpenAPI 3.1 document of the management API, made from the models that the routes really use."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from functions.admin_api.accounts.contract import Account, AccountCreate, AccountUpdate, RemovedAccount
from functions.admin_api.api_tokens.contract import ApiToken, ApiTokenCreate, MintedApiToken, RemovedApiToken
from functions.admin_api.contract import Body, ErrorBody, Page
from functions.admin_api.ids import ID
from functions.admin_api.log import service as call_log
from functions.admin_api.servers.contract import (
    McpServer,
    MintedServer,
    Preview,
    RemovedServer,
    Rotate,
    ServerCreate,
    ServerPreview,
    ServerUpdate,
)
from functions.admin_api.tools.contract import AgentTool
from functions.gateway import json_text
from functions.gateway.errors import phrase
from functions.gateway.json_text import Json

VERSION = "1"
"""Version of the contract: raised when a client that followed the earlier one would break."""

ACCOUNT = "/integrated-account/{account_id}"
SERVER = f"{ACCOUNT}/mcp/{{server_id}}"
VERBS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb of one path. `answer` is a model, or the schema itself; `errors` come on top of 401, 403 and 5xx."""

    verb: str
    path: str
    name: str
    summary: str
    answer: type[BaseModel] | Mapping[str, Json]
    body: type[Body] | Mapping[str, Json] | None = None
    body_required: bool = True
    status: int = 200
    errors: Sequence[int] = ()
    query: Sequence[Mapping[str, Json]] = ()


def _parameter(name: str, description: str, schema: Mapping[str, Json], **extra: Json) -> dict[str, Json]:
    return {"name": name, "in": "query", "description": description, "schema": dict(schema), **extra}


_PAGING = (
    _parameter("limit", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}),
    _parameter("next_cursor", "`next_cursor` of the page before, unchanged.", {"type": "string"}),
)
_ANY_OBJECT: dict[str, Json] = {"type": "object"}
_WORDS = {"type": "array", "items": {"type": "string"}}
_AS_COMMAS = {"style": "form", "explode": False}
_TOOLS_QUERY = (
    _parameter("methods", "read, write, custom, or names of methods or tools.", _WORDS, **_AS_COMMAS),
    _parameter("tags", "A tool must have one of them.", _WORDS, **_AS_COMMAS),
    _parameter("format", "The shape that a model's API takes.", {"type": "string", "enum": ["openai", "anthropic"]}),
    _parameter("has_description", "Accepted and without effect: every tool has one.", {"type": "boolean"}),
)
_LOG_QUERY = (
    _parameter("integrated_account_id", "Only this account; without it, all.", {"type": "string"}),
    *(_parameter(name, "Only calls with this value.", {"type": "string"}) for name in call_log.FILTERS),
    _parameter("created_at[gt]", "Only calls after this time.", {"type": "string", "format": "date-time"}),
    _parameter("created_at[lt]", "Only calls before this time.", {"type": "string", "format": "date-time"}),
    *_PAGING,
)
_PROXY_QUERY = (
    _parameter("integrated_account_id", "The account whose tool it is.", {"type": "string"}, required=True),
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A write that is repeated with the same key is answered again, not carried out again, for 24 h.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    },
)
_TOOLS_ANSWER = {
    "type": "object",
    "required": ["result"],
    "properties": {
        "result": {"type": "array", "items": {"anyOf": [{"$ref": "#/components/schemas/AgentTool"}, _ANY_OBJECT]}}
    },
}
_LOG_ANSWER = {
    "type": "object",
    "required": ["result", "next_cursor"],
    "properties": {
        "result": {"type": "array", "items": _ANY_OBJECT},
        "next_cursor": {"type": ["string", "null"]},
    },
}

OPERATIONS = (
    Operation(
        "post", "/integrated-account", "connectAccount", "Connect an account; its credential is proved first",
        Account, AccountCreate, status=201, errors=(400, 409, 413, 415, 502, 504),
    ),
    Operation(
        "get", "/integrated-account", "listAccounts", "List accounts", Page[Account],
        errors=(400,), query=_PAGING,
    ),
    Operation("get", ACCOUNT, "getAccount", "Get an account", Account, errors=(404,)),
    Operation(
        "patch", ACCOUNT, "updateAccount", "Change an account; its servers follow",
        Account, AccountUpdate, errors=(400, 404, 409, 413, 415, 502, 504),
    ),
    Operation(
        "delete", ACCOUNT, "deleteAccount", "Delete an account with its servers", RemovedAccount,
        errors=(404, 409),
    ),
    Operation(
        "get", f"{ACCOUNT}/tools", "listTools", "List tools for agents without MCP", _TOOLS_ANSWER,
        errors=(400, 404, 409), query=_TOOLS_QUERY,
    ),
    Operation(
        "post", f"{ACCOUNT}/mcp", "createServer", "Mint an MCP server", MintedServer, ServerCreate,
        status=201, errors=(400, 404, 409, 413, 415),
    ),
    Operation(
        "get", f"{ACCOUNT}/mcp", "listServers", "List MCP servers", Page[McpServer],
        errors=(400, 404, 409), query=_PAGING,
    ),
    Operation(
        "post", f"{ACCOUNT}/mcp/preview", "previewServer", "Show what a config would let through; nothing is kept",
        ServerPreview, Preview, body_required=False, errors=(400, 404, 409, 413, 415),
    ),
    Operation("get", SERVER, "getServer", "Get an MCP server", McpServer, errors=(404, 409)),
    Operation(
        "patch", SERVER, "updateServer", "Change an MCP server", McpServer, ServerUpdate,
        errors=(400, 404, 409, 413, 415),
    ),
    Operation("delete", SERVER, "deleteServer", "Revoke an MCP server", RemovedServer, errors=(404, 409)),
    Operation(
        "post", f"{SERVER}/rotate", "rotateServer", "Give an MCP server a new token", MintedServer,
        Rotate, body_required=False, errors=(400, 404, 409, 413, 415),
    ),
    Operation(
        "post", "/api-token", "createApiToken", "Make an API token", MintedApiToken, ApiTokenCreate,
        status=201, errors=(400, 413, 415),
    ),
    Operation(
        "get", "/api-token", "listApiTokens", "List API tokens", Page[ApiToken],
        errors=(400,), query=_PAGING,
    ),
    Operation("get", "/api-token/{token_id}", "getApiToken", "Get an API token", ApiToken, errors=(404,)),
    Operation(
        "delete", "/api-token/{token_id}", "revokeApiToken", "Revoke an API token", RemovedApiToken,
        errors=(404,),
    ),
    Operation(
        "get", "/log", "listCalls", "List recent calls, newest first", _LOG_ANSWER, errors=(400,), query=_LOG_QUERY
    ),
    *(
        Operation(
            verb, path, f"{verb}Proxy{suffix}", "Run a tool", _ANY_OBJECT, body=_ANY_OBJECT, body_required=False,
            errors=(400, 404, 409, 413, 415, 502, 504), query=_PROXY_QUERY,
        )
        for path, suffix in (("/proxy/{resource}", ""), ("/proxy/{resource}/{id_or_method}", "Item"))
        for verb in VERBS
    ),
)  # fmt: skip

_PATH_PARAMETERS = {
    "account_id": "Id of an integrated account.",
    "server_id": "Id of an MCP server.",
    "token_id": "Id of an API token.",
    "resource": "Resource of the integration, as memories.",
    "id_or_method": "Id of a record, or with POST the name of a method.",
}


def document(origin: str) -> dict[str, Json]:
    """The document for a deployment whose API is at `origin`."""
    return {**deepcopy(_document()), "servers": [{"url": origin}]}


@functools.cache
def _document() -> dict[str, Json]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        (AgentTool, "serialization"),
        (ErrorBody, "serialization"),
    ]
    for operation in OPERATIONS:
        if isinstance(operation.body, type):
            wanted.append((operation.body, "validation"))
        if isinstance(operation.answer, type):
            wanted.append((operation.answer, "serialization"))
    references, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    schemas = definitions["$defs"]
    for name in ("AccountUpdate", "ServerUpdate"):
        for schema in schemas[name]["properties"].values():
            schema.pop("default", None)  # absent means unchanged
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.verb] = _operation(operation, references)
    paths["/openapi.json"] = {
        "get": {
            "operationId": "describe",
            "summary": "This document",
            "security": [],
            "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": _ANY_OBJECT}}}},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postern management API",
            "version": VERSION,
            "description": "Accounts, MCP servers, API tokens, tools and calls of one Postern deployment.",
        },
        "security": [{"apiToken": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiToken": {"type": "http", "scheme": "bearer", "description": "An API token with the scope manage."}
            },
        },
    }


def _operation(operation: Operation, references: Mapping[Any, Mapping[str, Json]]) -> dict[str, Json]:
    answer = operation.answer
    schema = references[answer, "serialization"] if isinstance(answer, type) else answer
    responses = {str(operation.status): _response(phrase(operation.status), schema)}
    if operation.path.startswith("/proxy/"):
        responses = {str(status): _response(phrase(status), schema) for status in (200, 201, 202)}
        responses["default"] = _response("The upstream's own status", references[ErrorBody, "serialization"])
    for status in sorted({401, 403, 500, 503, *operation.errors}):
        responses[str(status)] = _response(phrase(status), references[ErrorBody, "serialization"])
    described: dict[str, Json] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "description": text, "schema": _path_schema(name)}
                for name, text in _PATH_PARAMETERS.items()
                if f"{{{name}}}" in operation.path
            ),
            *(dict(parameter) for parameter in operation.query),
        ],
        "responses": responses,
    }
    if operation.body is not None:
        body = references[operation.body, "validation"] if isinstance(operation.body, type) else operation.body
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {"application/json": {"schema": dict(body)}},
        }
    return described


def _path_schema(name: str) -> dict[str, Json]:
    return {"type": "string", "pattern": f"^{ID.pattern}$"} if name.endswith("_id") else {"type": "string"}


def _response(description: str, schema: Mapping[str, Json]) -> dict[str, Json]:
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


if __name__ == "__main__":
    import sys

    sys.stdout.write(json_text.readable(document("https://postern.example")) + "\n")
