"""What a server forces on its calls, and what it therefore refuses: scope pins, fixed arguments, defaults.

One precedence: defaults < the caller's arguments < fixed arguments < scope pins. What is forced is not in the schema
the caller sees. A pin holds for reading and writing alike: a record is inside when it carries every pinned id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from functions.gateway.errors import OutOfScope
from functions.gateway.servers import ServerConfig
from tool_catalog.catalog import Tool

Json = Any

OFFERS_KEPT = 512
"""Prepared tools kept per process: a few servers' worth, about 10 kB each."""


@dataclass(frozen=True, eq=False)
class Offer:
    """One tool as one server shows it. `definition` is the MCP tool object."""

    definition: Mapping[str, Json]

    @cached_property
    def wire(self) -> bytes:
        """The definition as compact UTF-8 JSON."""
        return json.dumps(self.definition, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def validator(self) -> Any:
        """A jsonschema-rs validator of the input schema."""
        import jsonschema_rs

        return jsonschema_rs.Draft202012Validator(self.definition["inputSchema"], validate_formats=True)


def offer(tool: Tool, config: ServerConfig) -> Offer:
    """The tool as this server shows it; prepared once per process for each set of forced arguments."""
    defaults = {**config.defaults.get("*", {}), **config.defaults.get(tool.name, {})}
    return _offer(
        _Shown(tool),
        tuple(config.scope.items()) if tool.scope else (),
        tuple(sorted({*config.fixed.get("*", {}), *config.fixed.get(tool.name, {})})),
        json.dumps(defaults, sort_keys=True),
    )


def definition(tool: Tool, config: ServerConfig) -> Mapping[str, Json]:
    """The MCP tool object as this server shows it."""
    return offer(tool, config).definition


def apply(tool: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with defaults, fixed arguments and pins put in. Raises OutOfScope when the caller names another
    entity than the pinned one."""
    known = tool.definition["inputSchema"]["properties"]
    merged = {
        **_for_tool(config.defaults, tool, known),
        **arguments,
        **_for_tool(config.fixed, tool, known),
    }
    if not config.scope or tool.scope is None:
        return merged
    scope = tool.scope
    if scope.kind == "filters":
        assert scope.argument is not None
        merged[scope.argument] = _pin_filter(tool, config.scope, merged.get(scope.argument))
    elif scope.kind == "arguments":
        for name, pinned in config.scope.items():
            if merged.get(name, pinned) != pinned:
                raise _foreign(tool, name, merged[name], config.scope)
            merged[name] = pinned
    elif scope.kind == "entity":
        _pin_entity(tool, config.scope, merged)
    return merged


def records_to_read(tool: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> tuple[str, ...]:
    """Ids of the records that must be read and found inside the scope before the call may be made."""
    if not config.scope or tool.scope is None:
        return ()
    scope = tool.scope
    if scope.kind == "record":
        return (str(arguments[scope.argument or "id"]),)
    if scope.kind == "records":
        return tuple(str(entry[scope.id]) for entry in arguments[scope.argument or ""])
    return ()


def check_record(tool: Tool, config: ServerConfig, record: Json, record_id: str) -> None:
    """Raises OutOfScope unless `record` carries every pinned id."""
    if not holds(config.scope, record):
        raise OutOfScope(
            f"{tool.name}: {record_id} is outside this server's scope ({_pins(config.scope)}); "
            "only records that carry the pinned ids can be read or changed here"
        )


def holds(pins: Mapping[str, str], record: Json) -> bool:
    """True when the record carries every pinned id."""
    return isinstance(record, Mapping) and all(record.get(name) == pinned for name, pinned in pins.items())


class _Shown:
    """A tool as a cache key: by identity, because compiled tools live as long as the process."""

    __slots__ = ("tool",)

    def __init__(self, tool: Tool) -> None:
        self.tool = tool

    def __hash__(self) -> int:
        return id(self.tool)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self.tool is other.tool


@lru_cache(maxsize=OFFERS_KEPT)
def _offer(shown: _Shown, pins: tuple[tuple[str, str], ...], fixed: tuple[str, ...], defaults: str) -> Offer:
    tool = shown.tool
    given: dict[str, Json] = json.loads(defaults)
    schema: dict[str, Json] = tool.definition["inputSchema"]
    hidden = set(fixed)
    if pins and tool.scope is not None:
        if tool.scope.kind == "arguments":
            hidden |= {name for name, _ in pins}
        elif tool.scope.kind == "entity" and len(pins) == 1:
            hidden |= {tool.scope.argument or "", tool.scope.id or ""}
    properties = {name: value for name, value in schema["properties"].items() if name not in hidden}
    required = [name for name in schema.get("required", ()) if name not in hidden and name not in given]
    if pins and tool.scope is not None and tool.scope.kind == "filters" and tool.scope.argument in properties:
        argument = tool.scope.argument
        properties[argument] = _without({name for name, _ in pins}, properties[argument])
        required = [name for name in required if name != argument]
    for name, value in given.items():
        if name in properties:
            properties[name] = {**properties[name], "default": value}
    if properties == schema["properties"] and required == list(schema.get("required", ())):
        return Offer(tool.definition)
    narrowed = {**schema, "properties": properties, "required": required}
    if not required:
        del narrowed["required"]
    description = tool.definition["description"]
    if pins:
        description += f" This server is pinned to {_pins(dict(pins))}: every call is limited to it."
    return Offer({**tool.definition, "description": description, "inputSchema": narrowed})


def _without(names: set[str], schema: Json) -> Json:
    """The schema with the pinned ids gone from every `properties` and `required` in it."""
    if isinstance(schema, list):
        return [_without(names, entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    narrowed = {key: _without(names, value) for key, value in schema.items()}
    if isinstance(narrowed.get("properties"), dict):
        narrowed["properties"] = {key: value for key, value in narrowed["properties"].items() if key not in names}
        narrowed.pop("minProperties", None)
    if isinstance(narrowed.get("required"), list):
        narrowed["required"] = [name for name in narrowed["required"] if name not in names]
        if not narrowed["required"]:
            del narrowed["required"]
    return narrowed


def _for_tool(rules: Mapping[str, Mapping[str, Json]], tool: Tool, known: Mapping[str, Json]) -> dict[str, Json]:
    """The rules of this tool over those of every tool, as far as the tool has such an argument."""
    both = {**rules.get("*", {}), **rules.get(tool.name, {})}
    return {name: value for name, value in both.items() if name in known}


def _pin_filter(tool: Tool, pins: Mapping[str, str], given: Json) -> dict[str, Json]:
    """The caller's filter AND the pins; an entity id in it must be the pinned one, wherever it stands."""
    _refuse_foreign_ids(tool, pins, given)
    pinned: dict[str, Json] = dict(pins)
    if not given:
        return pinned
    if not {"AND", "OR", "NOT"} & given.keys():
        return {**given, **pinned}
    return {**pinned, "AND": [given]}


def _refuse_foreign_ids(tool: Tool, pins: Mapping[str, str], node: Json) -> None:
    if isinstance(node, list):
        for entry in node:
            _refuse_foreign_ids(tool, pins, entry)
    elif isinstance(node, Mapping):
        for name, value in node.items():
            if name in pins:
                if not _names_only(pins[name], value):
                    raise _foreign(tool, name, value, pins)
            elif name != "metadata":
                _refuse_foreign_ids(tool, pins, value)


def _names_only(pinned: str, value: Json) -> bool:
    """True for the pinned id in any of its spellings: bare, {"eq": id}, {"in": [id]}, or the wildcard."""
    if isinstance(value, Mapping):
        return all(
            (operator == "in" and value[operator] == [pinned]) or (operator == "eq" and value[operator] == pinned)
            for operator in value
        )
    return value in (pinned, "*")


def _pin_entity(tool: Tool, pins: Mapping[str, str], arguments: dict[str, Json]) -> None:
    """Arguments that name an entity by type and id: it must be a pinned one; with a single pin it may be left out."""
    assert tool.scope is not None
    type_name, id_name = tool.scope.argument or "", tool.scope.id or ""
    by_type = {name.removesuffix("_id"): pinned for name, pinned in pins.items()}
    if len(by_type) == 1:
        [(only_type, only_id)] = by_type.items()
        arguments.setdefault(type_name, only_type)
        arguments.setdefault(id_name, only_id)
    entity_type, entity_id = arguments.get(type_name), arguments.get(id_name)
    if by_type.get(str(entity_type)) != entity_id:
        raise _foreign(tool, f"{entity_type} entity", entity_id, pins)


def _foreign(tool: Tool, name: str, value: Json, pins: Mapping[str, str]) -> OutOfScope:
    return OutOfScope(
        f"{tool.name}: {name} {json.dumps(value, ensure_ascii=False)} is outside this server's scope; it is pinned to "
        f"{_pins(pins)}. Leave the pinned ids out: they are filled in"
    )


def _pins(pins: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pins.items())
