"""Is a server's config one that works? Every problem at once, each with what is valid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from functions.gateway import arguments as argument_rules
from functions.gateway import confirmation, forced, selection
from functions.gateway.errors import Invalid, OutsidePins, invalid
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.pins import ids
from functions.gateway.wording import did_you_mean, one_of, shown, unknown_names
from tool_catalog.catalog import Catalog, Tool


def check(catalog: Catalog, config: ServerConfig) -> tuple[Tool, ...]:
    """What a server with this config would show.

    Raises Invalid, with every problem in the message and in `details`: an entry names nothing that exists, a pin is not
    the id of one entity, a fixed or default argument fits no tool, has a wrong value or contradicts a pin, or methods,
    tags and pins together leave no tool.
    """
    methods = (*selection.METHOD_GROUPS, *catalog.methods)
    problems = [
        *unknown_names("config.methods", config.methods, methods, also=catalog.tools),
        *unknown_names("config.tags", config.tags, catalog.tags),
        *_unknown_ids("pins", config.pins, catalog),
        *_wrong_pins(config.pins),
        *_unknown_ids("write_ids", config.write_ids, catalog),
        *_wrong_write_ids(config),
        *_unknown_arguments("fixed", config.fixed, catalog),
        *_unknown_arguments("defaults", config.defaults, catalog),
        *_strict_without_effect(config),
        *_wrong_confirm(config, catalog),
    ]
    if problems:
        raise invalid(problems)
    tools = selection.visible(catalog, config)
    problems = [
        *_wrong_values("fixed", config.fixed, tools),
        *_wrong_values("defaults", config.defaults, tools),
        *_contradictions(config, tools),
    ]
    if problems:
        raise invalid(problems)
    if not tools:
        raise Invalid(
            _no_tool(catalog, config),
            details={
                "methods": [*selection.METHOD_GROUPS, *catalog.methods],
                "tags": list(catalog.tags),
                "tools": [
                    {"name": tool.name, "method": tool.method, "access": tool.access, "tags": list(tool.tags)}
                    for tool in catalog.tools.values()
                ],
            },
        )
    return tools


def _no_tool(catalog: Catalog, config: ServerConfig) -> str:
    """Why no tool is left: methods and tags alone, strict, or the pin that is there or that is missing."""
    tools = [tool for tool in catalog.tools.values() if selection.is_chosen(tool, config)]
    chosen = [tool.name for tool in tools]
    if config.profile == "core" and not any(tool.core for tool in catalog.tools.values()):
        return (
            f'config.profile "core": the records of {catalog.integration} mark no tool as core; use "full", or '
            '"discovery" for a long list of tools'
        )
    if not chosen and config.profile == "core":
        return "methods, tags and the profile core match no tool together; a tool must pass all three"
    if not chosen:
        return "methods and tags match no tool together; a tool must pass both"
    if config.strict and not any(forced.reached(tool, config) for tool in tools):
        return (
            f'config.strict hides all of the selected tools, because none takes every argument of config.fixed."*": '
            f"{one_of(chosen)}; select others, or leave out strict"
        )
    if config.pins:
        return (
            f"config.pins cannot be enforced on any of the selected tools: {', '.join(chosen)}; select others, or "
            "leave out the pin"
        )
    return (
        f"the selected tools require a pin: {', '.join(chosen)}; set config.pins to an id of "
        f"{' or '.join(catalog.pinnable)}"
    )


def _unknown_ids(field: str, entries: Iterable[str], catalog: Catalog) -> list[str]:
    """Entries that cannot be pinned; where nothing can, what forces an argument all the same."""
    if catalog.pinnable:
        return unknown_names(f"config.{field}", entries, catalog.pinnable)
    return [
        f"config.{field}: {shown(entry)} cannot be pinned; the records of {catalog.integration} name no id that can. "
        f'config.fixed sends an argument on every call, e.g. {{"{forced.EVERY_TOOL}": {{{shown(entry)}: "..."}}}}'
        for entry in entries
    ]


def _strict_without_effect(config: ServerConfig) -> list[str]:
    if config.strict and not config.fixed.get(forced.EVERY_TOOL):
        return [
            f'config.strict has no effect without config.fixed."{forced.EVERY_TOOL}"; it hides the tools that an '
            "argument fixed for every tool cannot reach"
        ]
    return []


def _wrong_confirm(config: ServerConfig, catalog: Catalog) -> list[str]:
    problems = unknown_names("config.confirm", config.confirm, (confirmation.DESTRUCTIVE,), also=catalog.tools)
    reads = [name for name in config.confirm if name in catalog.tools and catalog.tools[name].access == "read"]
    problems += [f"config.confirm: {shown(name)} only reads; name tools that write" for name in reads]
    if config.confirm_by != "code" and not config.confirm:
        example = f'["{confirmation.DESTRUCTIVE}"]'
        problems.append(f"config.confirm_by has no effect without config.confirm, e.g. {example}; null is its default")
    return problems


def _unknown_arguments(field: str, rules: Mapping[str, Mapping[str, Json]], catalog: Catalog) -> list[str]:
    problems = []
    for name, arguments in rules.items():
        if name != forced.EVERY_TOOL and name not in catalog.tools:
            hint = did_you_mean(name, catalog.tools, instead='valid: "*" or a tool name')
            problems.append(f"config.{field}: no tool {shown(name)}{hint}")
            continue
        tools = catalog.tools.values() if name == forced.EVERY_TOOL else [catalog.tools[name]]
        known = sorted({argument for tool in tools for argument in tool.definition["inputSchema"]["properties"]})
        problems += [
            f"config.{field}.{name}: no argument {shown(argument)}{did_you_mean(argument, known)}"
            for argument in arguments
            if argument not in known
        ]
    return problems


def _wrong_pins(pinned: Mapping[str, Json]) -> list[str]:
    found = ((name, value, ids.problem(value)) for name, value in pinned.items())
    return [f"config.pins.{name} is {shown(value)}; {problem}" for name, value, problem in found if problem]


def _wrong_write_ids(config: ServerConfig) -> list[str]:
    if config.write_ids and not config.pins:
        return ["config.write_ids has no effect without config.pins; only a pinned server limits the ids of writes"]
    pinned = [
        f"config.write_ids.{name}: {name} is pinned, and a write names its pin only; leave it out"
        for name in config.write_ids
        if name in config.pins
    ]
    found = (
        (name, value, ids.problem(value))
        for name, values in config.write_ids.items()
        for value in values
        if value != ids.WILDCARD
    )
    return pinned + [
        f"config.write_ids.{name} has {shown(value)}; {problem}" for name, value, problem in found if problem
    ]


def _wrong_values(field: str, rules: Mapping[str, Mapping[str, Json]], tools: Sequence[Tool]) -> list[str]:
    """What the tools' own schemas say against the forced values; the schema that a caller sees does not have them."""
    return [
        f"config.{field}.{name}: {problem} (tool {tool.name})"
        for name, values in rules.items()
        for tool in tools
        if name in (forced.EVERY_TOOL, tool.name)
        for problem in argument_rules.check_values(tool, values)
    ]


def _contradictions(config: ServerConfig, tools: Sequence[Tool]) -> list[str]:
    problems = []
    for tool in tools:
        try:
            forced.pinned(tool, config, {})
        except OutsidePins as foreign:
            problems.append(f"config.fixed or config.defaults: {tool.name}: {foreign.message}")
    return problems
