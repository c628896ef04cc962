"""Which tools a server shows. Listing and calling use one function, so that a hidden tool cannot be called.

`methods` and `tags` are each a union of their entries, and both must let a tool pass. Empty means no restriction. An
entry of `methods` is `read`, `write`, `custom`, or the exact name of a method or of a tool:

read    list, get, and every custom method that its record marks read-only
write   create, update and delete
custom  every method but those five

The profile `core` lets the tools pass that the records mark as core; `full` and `discovery` let every tool pass.
A pinned server shows only tools on which the pin can be enforced. A strict server shows only tools that take every
argument of `fixed["*"]`.
"""

from __future__ import annotations

from functions.gateway import forced, offered_texts, pins
from functions.gateway.errors import UnknownTool
from functions.gateway.grants import ServerConfig
from functions.gateway.prepared import PreparedTool, prepare
from functions.gateway.wording import shown
from tool_catalog.catalog import Catalog, StoredTools, Tool

METHOD_GROUPS = ("read", "write", "custom")
"""Entries of `methods` that stand for several methods."""


def visible(catalog: Catalog, config: ServerConfig) -> tuple[Tool, ...]:
    """The tools of this server, in catalogue order."""
    return tuple(tool for tool in catalog.tools.values() if shows(tool, config))


def shows_all(catalog: Catalog, config: ServerConfig) -> bool:
    """True when a server of this config is known to offer every tool. No tool is looked at for it."""
    chosen = config.methods or config.tags or config.profile == "core" or config.pins or config.strict
    return not chosen and isinstance(catalog.tools, StoredTools) and not catalog.tools.pinned_only


def hidden(catalog: Catalog, config: ServerConfig) -> frozenset[str]:
    """The names of the tools that this server does not offer."""
    if shows_all(catalog, config):
        return frozenset()
    return offered_texts.hidden(catalog.tools, (tool.name for tool in visible(catalog, config)))


def offers(catalog: Catalog, config: ServerConfig, name: str) -> bool:
    """True when this server offers a tool of that name."""
    tool = catalog.tools.get(name)
    return tool is not None and shows(tool, config)


def queues(catalog: Catalog, config: ServerConfig) -> bool:
    """True when a tool of this server may queue something in place of an outcome."""
    tools = catalog.tools
    found = [tools[name] for name in tools.queueing] if isinstance(tools, StoredTools) else tools.values()
    return any(tool.event is not None and shows(tool, config) for tool in found)


def find(catalog: Catalog, config: ServerConfig, name: str) -> PreparedTool:
    """The visible tool of that name, as this server shows it. Raises UnknownTool, with the nearest names this server
    does have."""
    tool = catalog.tools.get(name)
    if tool is not None and shows(tool, config):
        return prepare(tool, config)
    from functions.gateway import tool_names  # a refusal is rare, and its import is a tenth of a cold start

    hint = tool_names.hint(name, visible(catalog, config), catalog)
    raise UnknownTool(f"no tool {shown(name)} on this server{hint}")


def is_chosen(tool: Tool, config: ServerConfig) -> bool:
    """True when the tool passes `methods`, `tags` and the profile, whatever the pins."""
    return (
        (not config.methods or any(_is_method(tool, entry) for entry in config.methods))
        and (not config.tags or not set(tool.tags).isdisjoint(config.tags))
        and (config.profile != "core" or tool.core)
    )


def shows(tool: Tool, config: ServerConfig) -> bool:
    """True when a server of this config offers the tool."""
    return (
        is_chosen(tool, config)
        and pins.enforceable(tool, config.pins)
        and (not config.strict or forced.reached(tool, config))
    )


def _is_method(tool: Tool, entry: str) -> bool:
    if entry == "read":
        return tool.access == "read"
    if entry == "write":
        return tool.method in ("create", "update", "delete")
    if entry == "custom":
        return tool.custom
    return entry in (tool.method, tool.name)
