"""What a server forces on its calls, and what it therefore refuses: scope pins, fixed arguments, defaults.

One precedence: defaults < the caller's arguments < fixed arguments < scope pins. What is forced is not in the schema
the caller sees. A pin holds for reading and writing alike: a record is inside when it carries every pinned id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from functions.gateway import json_text
from functions.gateway.errors import OutOfScope
from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import Json
from functions.gateway.wording import shown
from tool_catalog.catalog import Tool

OFFERS_KEPT = 512
"""Prepared tools kept per process: a few servers' worth, about 10 kB each."""


@dataclass(frozen=True, eq=False)
class Offer:
    """One tool as one server shows it.

    `definition`  the MCP tool object.
    `accepted`    the input schema that calls are checked against: the shown one, and the pinned ids besides. A caller
                  that names one anyway is judged by what it names, not by its having named it.
    """

    tool: Tool
    definition: Mapping[str, Json]
    accepted: Mapping[str, Json]

    @cached_property
    def wire(self) -> bytes:
        """The definition as compact UTF-8 JSON."""
        return json_text.encode(self.definition)

    @cached_property
    def validator(self) -> Any:
        """A jsonschema-rs validator of what is accepted."""
        import jsonschema_rs

        return jsonschema_rs.Draft202012Validator(dict(self.accepted), validate_formats=True)

    @cached_property
    def rule_validators(self) -> list[tuple[Any, str]]:
        """Validators of the record's own checks, each with its message; arguments that match one are refused."""
        import jsonschema_rs

        return [(jsonschema_rs.Draft202012Validator(dict(rule.schema)), rule.message) for rule in self.tool.checks]

    @cached_property
    def answer_validator(self) -> Any:
        """A validator of the output schema."""
        import jsonschema_rs

        return jsonschema_rs.Draft202012Validator(dict(self.definition.get("outputSchema", {})))


def offer(tool: Tool, config: ServerConfig) -> Offer:
    """The tool as this server shows it; prepared once per process for each set of forced arguments."""
    defaults = {**config.defaults.get("*", {}), **config.defaults.get(tool.name, {})}
    return _offer(
        _Shown(tool),
        tuple(config.pins.items()) if tool.pin else (),
        tuple(sorted({*config.fixed.get("*", {}), *config.fixed.get(tool.name, {})})),
        json_text.canonical(defaults),
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
    if not config.pins or tool.pin is None:
        return merged
    scope = tool.pin
    if scope.kind == "filters":
        assert scope.argument is not None
        given = merged.get(scope.argument)
        _refuse_splitting(tool, config.pins, given or ())
        merged[scope.argument] = _pin_filter(tool, config.pins, given)
    elif scope.kind == "arguments":
        for name, pinned in config.pins.items():
            if merged.get(name, pinned) != pinned:
                raise _foreign(tool, name, merged[name], config.pins)
            merged[name] = pinned
        _refuse_splitting(tool, config.pins, merged)
    elif scope.kind == "entity":
        _pin_entity(tool, config.pins, merged)
    return merged


def records_to_read(tool: Tool, config: ServerConfig, arguments: Mapping[str, Json]) -> tuple[str, ...]:
    """Ids of the records that must be read and found inside the scope before the call may be made. Raises OutOfScope
    when the arguments leave a record unnamed, for nothing could be checked then."""
    if not config.pins or tool.pin is None or tool.pin.read == tool.name:
        return ()
    scope = tool.pin
    if scope.kind == "record":
        ids = [arguments.get(scope.argument or "id")]
    elif scope.kind == "records":
        entries = arguments.get(scope.argument or "")
        ids = [entry.get(scope.id) if isinstance(entry, Mapping) else entry for entry in entries or [None]]
    else:
        return ()
    if not all(isinstance(record_id, str | int) for record_id in ids):
        raise OutOfScope(
            f'{tool.name}: name every record in "{scope.argument or "id"}"; this server is pinned to '
            f"{_pins(config.pins)} and reads each record before it is touched"
        )
    return tuple(dict.fromkeys(str(record_id) for record_id in ids))


def judged_by_answer(tool: Tool, config: ServerConfig) -> bool:
    """True when the answer itself says whether the call was inside the scope: it carries the ids, or it is the very
    record that would otherwise be read first."""
    scope = tool.pin
    return bool(config.pins) and scope is not None and (scope.kind == "answer" or scope.read == tool.name)


def check_record(tool: Tool, config: ServerConfig, record: Json, record_id: str) -> None:
    """Raises OutOfScope unless `record` carries every pinned id."""
    if not holds(config.pins, record):
        raise OutOfScope(
            f"{tool.name}: {record_id} is outside this server's scope ({_pins(config.pins)}); "
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
def _offer(key: _Shown, pins: tuple[tuple[str, str], ...], fixed: tuple[str, ...], defaults: bytes) -> Offer:
    tool = key.tool
    given: dict[str, Json] = json_text.decode_lenient(defaults)
    schema: dict[str, Json] = tool.definition["inputSchema"]
    pinned: set[str] = set()
    if pins and tool.pin is not None:
        if tool.pin.kind == "arguments":
            pinned = {name for name, _ in pins} | _split_off(tool, dict(pins))
        elif tool.pin.kind == "entity":
            pinned = {tool.pin.argument or "", tool.pin.id or ""}
    accepted = {name: value for name, value in schema["properties"].items() if name not in fixed}
    shown = {name: value for name, value in accepted.items() if name not in pinned}
    for name, value in given.items():
        if name in shown:
            shown[name] = {**shown[name], "default": value}
    required = [name for name in schema.get("required", ()) if name not in {*fixed, *pinned, *given}]
    if pins and tool.pin is not None and tool.pin.kind == "filters" and tool.pin.argument in shown:
        argument = tool.pin.argument
        names = frozenset(name for name, _ in pins)
        accepted[argument] = _unneeded(names, accepted[argument])
        hidden = names | _split_off(tool, dict(pins))
        shown[argument] = {
            **_without(hidden, _unneeded(names, shown[argument])),
            "description": _conditions(names, shown[argument]),
        }
        required = [name for name in required if name != argument]
    if shown == schema["properties"] and required == list(schema.get("required", ())):
        return Offer(tool, tool.definition, schema)
    narrowed = {name: value for name, value in schema.items() if name != "required"}
    if required:
        narrowed["required"] = required
    description = tool.definition["description"]
    if pins:
        description += (
            f" This server is pinned to {_pins(dict(pins))}: that is filled in on every call, so leave it out; "
            "other ids are refused."
        )
    return Offer(
        tool,
        {**tool.definition, "description": description, "inputSchema": {**narrowed, "properties": shown}},
        {**narrowed, "properties": accepted},
    )


def _conditions(names: frozenset[str], schema: Mapping[str, Json]) -> str:
    """The description of a pinned filter: the record's own shows the ids that are not to be given here."""
    text = f"Further conditions, ANDed with {', '.join(sorted(names))}, which this server fills in. May be left out."
    if "AND" in schema.get("properties", {}):
        text += " Members of one level are ANDed; AND and OR take arrays of such objects, never both on one level."
    return text


def _unneeded(names: frozenset[str], schema: Json) -> Json:
    """The schema of a filter that does not ask for the pinned ids, nor for any member, because the pins are put in."""
    if isinstance(schema, list):
        return [_unneeded(names, entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    narrowed = {key: _unneeded(names, value) for key, value in schema.items()}
    if isinstance(narrowed.get("properties"), dict):
        narrowed.pop("minProperties", None)
    if isinstance(narrowed.get("required"), list):
        narrowed["required"] = [name for name in narrowed["required"] if name not in names]
        if not narrowed["required"]:
            del narrowed["required"]
    return narrowed


def _without(names: frozenset[str], schema: Json) -> Json:
    """The schema with the pinned ids gone from every `properties` in it."""
    if isinstance(schema, list):
        return [_without(names, entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    narrowed = {key: _without(names, value) for key, value in schema.items()}
    if isinstance(narrowed.get("properties"), dict):
        narrowed["properties"] = {key: value for key, value in narrowed["properties"].items() if key not in names}
    return narrowed


def _for_tool(rules: Mapping[str, Mapping[str, Json]], tool: Tool, known: Mapping[str, Json]) -> dict[str, Json]:
    """The rules of this tool over those of every tool, as far as the tool has such an argument."""
    both = {**rules.get("*", {}), **rules.get(tool.name, {})}
    return {name: value for name, value in both.items() if name in known}


def _pin_filter(tool: Tool, pins: Mapping[str, str], given: Json) -> dict[str, Json]:
    """The caller's filter AND the pins; an entity id in it must be the pinned one, wherever it stands.

    Beside a logical operator the pins stand twice: as plain members, for an upstream that looks for an entity id there
    and nowhere else, and in the AND, for one that overlooks plain members beside an operator.
    """
    _refuse_foreign_ids(tool, pins, given)
    if not given:
        return dict(pins)
    if not {"AND", "OR", "NOT"} & given.keys():
        return {**given, **pins}
    return {**pins, "AND": [*({name: pinned} for name, pinned in pins.items()), given]}


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
    return value in (pinned, "*", {"eq": pinned}, {"in": [pinned]})


def _refuse_splitting(tool: Tool, pins: Mapping[str, str], given: Iterable[str]) -> None:
    for name in sorted(_split_off(tool, pins) & set(given)):
        raise OutOfScope(
            f"{tool.name}: with {name} a part of what is changed might not belong to {_pins(pins)}, to which this "
            f"server is pinned; leave {name} out"
        )


def _split_off(tool: Tool, pins: Mapping[str, str]) -> set[str]:
    """Ids that would take a part of a write away from the pinned entity."""
    assert tool.pin is not None
    splits = set(tool.pin.splits)
    return splits - pins.keys() if splits & pins.keys() else set()


def _pin_entity(tool: Tool, pins: Mapping[str, str], arguments: dict[str, Json]) -> None:
    """Arguments that name an entity by type and id become the pinned one; such a tool is offered under one pin only."""
    assert tool.pin is not None
    [(name, pinned)] = pins.items()
    for argument, value in ((tool.pin.argument, entity_type(name)), (tool.pin.id, pinned)):
        assert argument is not None
        if arguments.get(argument, value) != value:
            raise _foreign(tool, argument, arguments[argument], pins)
        arguments[argument] = value


def entity_type(name: str) -> str:
    """The type of an entity, "user", by the name of its id, "user_id"."""
    return name.removesuffix("_id")


def _foreign(tool: Tool, name: str, value: Json, pins: Mapping[str, str]) -> OutOfScope:
    return OutOfScope(
        f"{tool.name}: {name} {shown(value)} is outside this server's scope; it is pinned to {_pins(pins)}. "
        "Leave the pinned ids out: they are filled in"
    )


def _pins(pins: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={shown(value)}" for name, value in pins.items())
