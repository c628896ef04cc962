"""The tools of an account for agents without MCP, in our own shape and in those that model APIs accept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from functions.admin_api.accounts.lookup import AccountLookup
from functions.admin_api.servers import config_check
from functions.admin_api.tools import contract
from functions.admin_api.tools.addresses import address
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tool_catalog.catalog import Tool


class Tools:
    """The tools of each account."""

    def __init__(self, accounts: AccountLookup) -> None:
        self._accounts = accounts

    def page(self, account_id: str, methods: Sequence[str], tags: Sequence[str], shape: str | None) -> dict[str, Json]:
        """The selected tools, in one of FORMATS or in our own shape.

        Raises NotFound, and Invalid for an unknown method or tag and for a selection without a tool.
        """
        catalog = self._accounts.catalog(self._accounts.load(account_id))
        selected = config_check.check(catalog, ServerConfig(methods=tuple(methods), tags=tuple(tags)))
        return {"result": [FORMATS[shape](tool) if shape else described(tool).model_dump() for tool in selected]}


def openai(tool: Tool) -> dict[str, Json]:
    """A function tool of OpenAI's chat completions, which LangChain's `bind_tools` accepts too."""
    return {"type": "function", "function": gemini(tool)}


def anthropic(tool: Tool) -> dict[str, Json]:
    """A tool of Anthropic's messages API."""
    return _function(tool, "input_schema")


def gemini(tool: Tool) -> dict[str, Json]:
    """A function declaration of Gemini's API."""
    return _function(tool, "parameters")


def bedrock(tool: Tool) -> dict[str, Json]:
    """A tool of Bedrock's Converse API."""
    return {"toolSpec": {**_function(tool), "inputSchema": {"json": tool.listed["inputSchema"]}}}


def _function(tool: Tool, key: str = "") -> dict[str, Json]:
    """What a model reads of a tool, its input schema under `key`: as an MCP client lists it."""
    shown = tool.listed
    schema = {key: shown["inputSchema"]} if key else {}
    return {"name": tool.name, "description": shown["description"], **schema}


FORMATS: Mapping[str, Callable[[Tool], dict[str, Json]]] = {
    "openai": openai,
    "anthropic": anthropic,
    "gemini": gemini,
    "bedrock": bedrock,
}
"""Values of `format`: the shape that each model API accepts."""


def described(tool: Tool) -> contract.AgentTool:
    """A tool in our own shape."""
    definition = tool.definition
    schema: dict[str, Json] = dict(definition["inputSchema"])
    in_body = {p.argument for p in tool.request.parameters if p.location == "body"}
    return contract.AgentTool(
        name=tool.name,
        title=definition.get("title", tool.name),
        description=definition["description"],
        resource=tool.resource,
        method=tool.method,
        access=tool.access,
        tags=list(tool.tags),
        required=list(schema.get("required", ())),
        query_schema=_part(schema, lambda name: name not in in_body),
        body_schema=_part(schema, lambda name: name in in_body),
        input_schema=schema,
        response_schema=definition.get("outputSchema"),
        call=str(address(tool)),
    )


def _part(schema: Mapping[str, Json], belongs: Callable[[str], bool]) -> dict[str, Json]:
    """The input schema with only the properties that belong."""
    return {
        **schema,
        "properties": {name: value for name, value in schema["properties"].items() if belongs(name)},
        "required": [name for name in schema.get("required", ()) if belongs(name)],
    }
