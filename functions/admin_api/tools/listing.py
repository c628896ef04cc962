"""The tools of an account for agents without MCP: what to bind to a model, in the shapes that frameworks take as is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from functions.admin_api.tools import contract
from functions.admin_api.tools.proxy import address
from functions.gateway import selection
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tool_catalog.catalog import Catalog, Tool


def tools(catalog: Catalog, methods: Sequence[str], tags: Sequence[str]) -> list[contract.AgentTool]:
    """The tools that pass the filters. Raises Invalid for an unknown method or tag, and when nothing is left."""
    return [_tool(tool) for tool in selection.check(catalog, ServerConfig(methods=tuple(methods), tags=tuple(tags)))]


def openai(tool: contract.AgentTool) -> dict[str, Json]:
    """A function tool of OpenAI's chat completions, which LangChain's `bind_tools` takes too."""
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
    }


def anthropic(tool: contract.AgentTool) -> dict[str, Json]:
    """A tool of Anthropic's messages API."""
    return {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}


FORMATS: Mapping[str, Callable[[contract.AgentTool], dict[str, Json]]] = {"openai": openai, "anthropic": anthropic}
"""Values of `format`."""


def _tool(tool: Tool) -> contract.AgentTool:
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
        call=" ".join(address(tool)),
    )


def _part(schema: Mapping[str, Json], belongs: Callable[[str], bool]) -> dict[str, Json]:
    """The input schema with only the properties that belong."""
    return {
        **schema,
        "properties": {name: value for name, value in schema["properties"].items() if belongs(name)},
        "required": [name for name in schema.get("required", ()) if belongs(name)],
    }
