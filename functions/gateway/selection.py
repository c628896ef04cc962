"""Which tools a server shows. Listing and calling use the same function, so a hidden tool cannot be called.

`methods` and `tags` are each a union of their entries, and both must let a tool pass; empty means no restriction.
`read` = list, get, and every custom method that its record marks read-only; `write` = create, update and delete;
`custom` = every custom method; anything else is the exact name of a method or of a tool.
A pinned server shows only tools on which the pin can be enforced.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from functions.gateway import arguments as argument_rules
from functions.gateway import scope
from functions.gateway.errors import Invalid, OutOfScope, UnknownTool, invalid
from functions.gateway.grants import ServerConfig
from functions.gateway.wording import did_you_mean, one_of, shown
from tool_catalog.catalog import Catalog, Tool

PIN_CHARS = 256
"""Longest id of an entity that a server can be pinned to."""

METHOD_GROUPS = ("read", "write", "custom")
"""Entries of `methods` that stand for several methods."""


def visible(catalog: Catalog, config: ServerConfig) -> tuple[Tool, ...]:
    """The tools of this server, in catalogue order."""
    return tuple(tool for tool in catalog.tools.values() if _passes(tool, config))


def find(catalog: Catalog, config: ServerConfig, name: str) -> Tool:
    """The visible tool of that name. Raises UnknownTool, with the nearest names this server does have."""
    tool = catalog.tools.get(name)
    if tool is not None and _passes(tool, config):
        return tool
    names = [tool.name for tool in visible(catalog, config)]
    hint = did_you_mean(name, names, instead="call tools/list for the tools of this server")
    raise UnknownTool(f"no tool {shown(name)} on this server{hint}")


def check(catalog: Catalog, config: ServerConfig) -> tuple[Tool, ...]:
    """What a server with this config would show.

    Raises Invalid, with every problem in the message and in `details`: an entry names nothing that exists, a pin is not
    the id of one entity, a fixed or default argument fits no tool, has a wrong value or contradicts a pin, or the
    filters together match no tool.
    """
    problems = [
        *_unknown("methods", config.methods, (*METHOD_GROUPS, *catalog.methods), also=catalog.tools),
        *_unknown("tags", config.tags, catalog.tags),
        *_unknown("pins", tuple(config.pins), catalog.pinnable),
        *_wrong_pins(config.pins),
        *_unknown_arguments("fixed", config.fixed, catalog),
        *_unknown_arguments("defaults", config.defaults, catalog),
    ]
    if problems:
        raise invalid(problems)
    tools = visible(catalog, config)
    problems = [
        *_wrong_values("fixed", config.fixed, catalog, tools),
        *_wrong_values("defaults", config.defaults, catalog, tools),
        *_contradictions(config, tools),
    ]
    if problems:
        raise invalid(problems)
    if not tools:
        raise Invalid(
            _no_tool(catalog, config),
            details={
                "methods": [*METHOD_GROUPS, *catalog.methods],
                "tags": list(catalog.tags),
                "tools": [
                    {"name": tool.name, "method": tool.method, "access": tool.access, "tags": list(tool.tags)}
                    for tool in catalog.tools.values()
                ],
            },
        )
    return tools


def _no_tool(catalog: Catalog, config: ServerConfig) -> str:
    """Why nothing is left: the filters alone, or the pin that is there or that is missing."""
    chosen = [tool.name for tool in catalog.tools.values() if _is_chosen(tool, config)]
    if not chosen:
        return "the filters match no tool; a tool must pass methods and tags"
    if config.pins:
        return (
            f"no chosen tool can be kept within config.pins: {', '.join(chosen)}; choose others, or leave out the pin"
        )
    return f"the chosen tools work only on a server with a pin: {', '.join(chosen)}; give config.pins, as an id of " + (
        " or ".join(catalog.pinnable)
    )


def _passes(tool: Tool, config: ServerConfig) -> bool:
    return _is_chosen(tool, config) and _enforceable(tool, config.pins)


def _is_chosen(tool: Tool, config: ServerConfig) -> bool:
    return (not config.methods or any(_is_method(tool, entry) for entry in config.methods)) and (
        not config.tags or not set(tool.tags).isdisjoint(config.tags)
    )


def _is_method(tool: Tool, entry: str) -> bool:
    if entry == "read":
        return tool.access == "read"
    if entry == "write":
        return tool.method in ("create", "update", "delete")
    if entry == "custom":
        return tool.custom
    return entry in (tool.method, tool.name)


def _enforceable(tool: Tool, pins: Mapping[str, str]) -> bool:
    """False for a tool on which these pins cannot be put; without pins, for one that cannot work unpinned."""
    if not pins:
        return tool.pin is None or not tool.pin.required
    if tool.pin is None:
        return False
    if len(pins.keys() & set(tool.pin.splits)) > 1:
        return False
    if tool.pin.kind == "arguments":
        return set(pins) <= {parameter.argument for parameter in tool.request.parameters}
    if tool.pin.kind == "entity":
        # Under two pins a record is inside when it carries both ids; one entity's records reach beyond that.
        types = tool.definition["inputSchema"]["properties"][tool.pin.argument].get("enum")
        return len(pins) == 1 and all(types is None or scope.entity_type(name) in types for name in pins)
    return True


def _unknown(field: str, entries: Sequence[str], valid: Sequence[str], also: Iterable[str] = ()) -> list[str]:
    named = [*valid, *also]
    return [
        f"config.{field}: {shown(entry)} is unknown{did_you_mean(entry, named, instead=f'valid: {one_of(valid)}')}"
        for entry in entries
        if entry not in named
    ]


def _unknown_arguments(field: str, rules: Mapping[str, Mapping[str, Any]], catalog: Catalog) -> list[str]:
    problems = []
    for name, arguments in rules.items():
        if name != "*" and name not in catalog.tools:
            hint = did_you_mean(name, catalog.tools, instead='valid: "*" or a tool name')
            problems.append(f"config.{field}: no tool {shown(name)}{hint}")
            continue
        tools = catalog.tools.values() if name == "*" else [catalog.tools[name]]
        known = sorted({argument for tool in tools for argument in tool.definition["inputSchema"]["properties"]})
        valid = f"valid: {one_of(known)}"
        problems += [
            f"config.{field}.{name}: no argument {shown(argument)}{did_you_mean(argument, known, instead=valid)}"
            for argument in arguments
            if argument not in known
        ]
    return problems


def _wrong_pins(pins: Mapping[str, str]) -> list[str]:
    return [
        f"config.pins.{name}: must be the id of one entity: 1 to {PIN_CHARS} printable characters and not the "
        'wildcard "*"'
        for name, pinned in pins.items()
        if not (isinstance(pinned, str) and 0 < len(pinned) <= PIN_CHARS and pinned.isprintable() and pinned != "*")
    ]


def _wrong_values(
    field: str, rules: Mapping[str, Mapping[str, Any]], catalog: Catalog, tools: Sequence[Tool]
) -> list[str]:
    """What the tools' own schemas say against the forced values; the schema a caller sees has them no longer."""
    return [
        f"config.{field}.{name}: {problem} (tool {tool.name})"
        for name, values in rules.items()
        for tool in tools
        if name in ("*", tool.name)
        for problem in argument_rules.check_values(tool, catalog, values)
    ]


def _contradictions(config: ServerConfig, tools: Sequence[Tool]) -> list[str]:
    problems = []
    for tool in tools:
        try:
            scope.apply(tool, config, {})
        except OutOfScope as foreign:
            problems.append(f"config.fixed or config.defaults: {foreign.message}")
    return problems
