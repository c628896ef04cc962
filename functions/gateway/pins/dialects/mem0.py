"""The dialect `mem0`: members ANDed; AND, OR and NOT nest; an id is a value, or an object with eq, ne or in.

`metadata` holds the caller's own keys, which may be named like an id and name no entity. The wildcard "*" is any entity
that is not null; under a pin that is the pinned one.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from functions.gateway.json_text import Json, kinds
from functions.gateway.pins.dialects import ForeignId, Schema, members

LOGICAL = ("AND", "OR", "NOT")
"""Members that take filters."""

OPERATORS = ("eq", "ne", "in")
"""Members of the object that may stand in place of an id."""

OPAQUE = "metadata"
"""The member whose content is not searched for ids."""


def problems(schema: Schema, pinnable: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """See `Dialect`."""
    if found := members(schema, pinnable):
        return found
    for name, member in schema["properties"].items():
        where, types = ("properties", name), kinds(member)
        if name in LOGICAL:
            if not types or types - {"array", "object"}:
                found.append((where, f"{name} takes filters: an object, or an array of objects"))
        elif name in pinnable:
            unknown = [operator for operator in member.get("properties", {}) if operator not in OPERATORS]
            if unknown:
                found.append((where, f"the dialect mem0 compares an id by {_listed(OPERATORS)}, not by {unknown[0]}"))
            elif not types or types - {"string", "object", "null"}:
                found.append((where, "the dialect mem0 takes an id as a string or as an object with an operator"))
        elif "array" in types and _may_hold_conditions(member):
            found.append((where, f"the dialect mem0 nests conditions only under {_listed(LOGICAL)}"))
    return found


def _may_hold_conditions(array: Schema) -> bool:
    types = kinds(array.get("items"))
    return not types or "object" in types or "array" in types


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def without(schema: Schema, names: Set[str]) -> Schema:
    """See `Dialect`: an id may stand on every level."""
    narrowed: Schema = _without(schema, names)
    return narrowed


def _without(schema: Json, names: Set[str]) -> Json:
    if isinstance(schema, list):
        return [_without(entry, names) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    narrowed = {key: _without(value, names) for key, value in schema.items()}
    if isinstance(narrowed.get("properties"), dict):
        narrowed["properties"] = {name: part for name, part in narrowed["properties"].items() if name not in names}
    return narrowed


def grammar(schema: Schema) -> str:
    """See `Dialect`."""
    if "AND" not in schema.get("properties", {}):
        return "All members must match."
    return "Members of one level are ANDed; AND and OR take arrays of such objects, never both on one level."


def pin(pins: Mapping[str, str], given: Mapping[str, Json]) -> dict[str, Json]:
    """See `Dialect`. Next to a logical operator the pins stand twice: as plain members, for an upstream that looks for
    an entity id there and nowhere else, and in the AND, for one that overlooks plain members next to an operator."""
    _refuse_foreign(pins, given)
    if not given.keys() & LOGICAL:
        return {**given, **pins}
    return {**pins, "AND": [*({name: pinned} for name, pinned in pins.items()), given]}


def home(name: str) -> str | None:
    """See `Dialect`."""
    return None if name in LOGICAL else OPAQUE


def mended(given: Mapping[str, Json]) -> dict[str, Json]:
    """See `Dialect`: an OR beside an AND goes into the AND, on every level."""
    found = {name: _mended(value) if name in LOGICAL else value for name, value in given.items()}
    if isinstance(found.get("AND"), list) and "OR" in found:
        found["AND"] = [*found["AND"], {"OR": found.pop("OR")}]
    return found


def _mended(node: Json) -> Json:
    if isinstance(node, list):
        return [_mended(entry) for entry in node]
    return mended(node) if isinstance(node, Mapping) else node


def _refuse_foreign(pins: Mapping[str, str], node: Json) -> None:
    if isinstance(node, list):
        for entry in node:
            _refuse_foreign(pins, entry)
    elif isinstance(node, Mapping):
        for name, value in node.items():
            if name in pins:
                if value not in (pins[name], "*", {"eq": pins[name]}, {"in": [pins[name]]}):
                    raise ForeignId(name, value)
            elif name != OPAQUE:
                _refuse_foreign(pins, value)
