"""What an operator forces on or supplies to a tool's arguments, apart from pins.

One precedence: defaults < the caller's arguments < fixed arguments < pins. A rule for a tool by name wins over one for
every tool ("*"); a rule for an argument that the tool does not have does nothing there.
"""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tool_catalog.catalog import Tool


def fixed(tool: Tool, config: ServerConfig) -> dict[str, Json]:
    """Arguments that are sent whatever the caller says; the schema a caller sees does not have them."""
    return _for_tool(config.fixed, tool)


def defaults(tool: Tool, config: ServerConfig) -> dict[str, Json]:
    """Arguments that are sent where the caller says nothing; the schema shows them as defaults."""
    return _for_tool(config.defaults, tool)


def merged(tool: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with defaults and fixed arguments put in; pins come after."""
    return {**defaults(tool, config), **arguments, **fixed(tool, config)}


def _for_tool(rules: Mapping[str, Mapping[str, Json]], tool: Tool) -> dict[str, Json]:
    known = tool.definition["inputSchema"]["properties"]
    both = {**rules.get("*", {}), **rules.get(tool.name, {})}
    return {name: value for name, value in both.items() if name in known}
