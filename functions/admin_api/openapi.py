"""The OpenAPI 3.1 document of the management API, made from the table of operations."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from functions.admin_api.contract import ErrorBody
from functions.admin_api.ids import ID
from functions.admin_api.operations import OPERATIONS, Operation
from functions.admin_api.tools.contract import AgentTool
from functions.gateway.errors import phrase
from functions.gateway.json_text import Json, readable

VERSION = "1"
"""Version of the contract: raised when a client that followed the earlier one would break."""

_API_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API token. Each operation lists the scopes that admit a token to it.",
}

_IDENTITY_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": "An OpenID Connect identity token that a trust admits, e.g. of a GitHub Actions workflow.",
}

_IDS = ("account_id", "token_id", "trust_id")
"""Path parameters that hold an id and nothing else."""

_PATH_PARAMETERS = {
    "integration": "Name of an integration, e.g. mem0.",
    "account_id": "Id of an integrated account.",
    "server_id": "Id of an MCP server, or its name if no other server of the account has it.",
    "token_id": "Id of an API token.",
    "trust_id": "Id of a trust.",
    "resource": "Resource of the integration, e.g. memories.",
    "id_or_method": "Id of an object, or with POST the name of a method.",
}


def document(origin: str) -> dict[str, Json]:
    """The document for a deployment whose API is at `origin`."""
    return {**deepcopy(_document()), "servers": [{"url": origin}]}


@functools.cache
def _document() -> dict[str, Json]:
    wanted: list[tuple[type[BaseModel], JsonSchemaMode]] = [(AgentTool, "serialization"), (ErrorBody, "serialization")]
    for operation in OPERATIONS:
        if isinstance(operation.body, type):
            wanted.append((operation.body, "validation"))
        if isinstance(operation.answer, type):
            wanted.append((operation.answer, "serialization"))
    references, definitions = models_json_schema(wanted, ref_template="#/components/schemas/{model}")
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.verb] = _operation(operation, references)
    paths["/openapi.json"] = {
        "get": {
            "operationId": "describe",
            "summary": "This document",
            "security": [],
            "responses": {"200": _response(phrase(200), {"type": "object"})},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Postern management API",
            "version": VERSION,
            "description": "Accounts, MCP servers, API tokens, tools and calls of one Postern deployment.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {"apiToken": _API_TOKEN, "identityToken": _IDENTITY_TOKEN},
        },
    }


def _operation(operation: Operation, references: Mapping[Any, Mapping[str, Json]]) -> dict[str, Json]:
    answer = operation.answer
    schema = references[answer, "serialization"] if isinstance(answer, type) else answer
    responses = {str(operation.status): _response(phrase(operation.status), schema)}
    for media_type in operation.also:
        responses[str(operation.status)]["content"][media_type] = {"schema": {"type": "string"}}
    if operation.relays:
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
            *(parameter.described() for parameter in operation.query),
            *(dict(header) for header in operation.headers),
        ],
        "security": [
            *({"apiToken": [scope]} for scope in operation.scopes),
            *([{"identityToken": []}] if operation.workloads else []),
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
    return {"type": "string", "pattern": f"^{ID.pattern}$"} if name in _IDS else {"type": "string"}


def _response(description: str, schema: Mapping[str, Json]) -> dict[str, Json]:
    return {"description": description, "content": {"application/json": {"schema": dict(schema)}}}


if __name__ == "__main__":
    sys.stdout.write(readable(document("https://postern.example")) + "\n")
