"""What an operator forces on or supplies to a tool's arguments.

One precedence: defaults < the caller's arguments < fixed arguments < pins. A rule for a tool by name wins over one for
every tool ("*"). A rule for an argument that the tool does not have does nothing there, and a strict server does not
show a tool that a fixed argument for every tool cannot reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from functions.gateway import pins
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from tool_catalog.catalog import Tool

EVERY_TOOL = "*"
"""In `fixed` and `defaults`, the name that stands for every tool."""


def fixed(tool: Tool, config: ServerConfig) -> dict[str, Json]:
    """Arguments that are sent whatever the caller says; the schema a caller sees does not have them."""
    return _for_tool(config.fixed, tool)


def defaults(tool: Tool, config: ServerConfig) -> dict[str, Json]:
    """Arguments that are sent where the caller says nothing; the schema shows them as defaults."""
    return _for_tool(config.defaults, tool)


def merged(tool: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with defaults and fixed arguments put in; pins come after."""
    return {**defaults(tool, config), **arguments, **fixed(tool, config)}


def pinned(tool: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments as they are sent: with all that the server puts in. Raises OutsidePins."""
    return pins.apply(tool, config.pins, merged(tool, config, arguments), write_ids=config.write_ids)


def reached(tool: Tool, config: ServerConfig) -> bool:
    """True when the tool takes every argument that is fixed for every tool."""
    every = config.fixed.get(EVERY_TOOL, {})
    return not every or every.keys() <= tool.definition["inputSchema"]["properties"].keys()


def unreached(tools: Iterable[Tool], config: ServerConfig) -> dict[str, list[str]]:
    """Argument that is fixed for every tool -> names of the tools that do not take it, and so are called without it."""
    every = config.fixed.get(EVERY_TOOL, {})
    if not every:
        return {}
    taken = [(tool.name, tool.definition["inputSchema"]["properties"]) for tool in tools]
    missed = {argument: [name for name, properties in taken if argument not in properties] for argument in every}
    return {argument: names for argument, names in missed.items() if names}


def _for_tool(rules: Mapping[str, Mapping[str, Json]], tool: Tool) -> dict[str, Json]:
    known = tool.definition["inputSchema"]["properties"]
    both = {**rules.get(EVERY_TOOL, {}), **rules.get(tool.name, {})}
    return {name: value for name, value in both.items() if name in known}
