"""The dialect `plain`: a closed object of plain members, all of them ANDed; a member is compared with its value.

A pin is one more member. That holds with certainty only where no member can widen or invert what the others say, so
members are strings, numbers and booleans or arrays of them, and none is named like a logical operator.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from functions.gateway.json_text import Json, kinds
from functions.gateway.pins.dialects import ForeignId, Schema, members

PLAIN = ("string", "integer", "number", "boolean", "null")
"""JSON types that hold no conditions."""

OPERATORS = (
    *("and", "or", "not", "nor", "xor", "nand", "any", "all"),
    *("logic", "logical", "operator", "op", "conjunction", "combinator"),
)
"""Names under which filters keep a logical operator; case, "$" and "_" do not count."""


def problems(schema: Schema, pinnable: tuple[str, ...]) -> list[tuple[tuple[str, ...], str]]:
    """See `Dialect`."""
    if found := members(schema, pinnable):
        return found
    if schema.get("additionalProperties") is not False:
        found.append(((), "the dialect plain needs additionalProperties: false; an unknown member may be an operator"))
    for name, member in schema["properties"].items():
        where, types = ("properties", name), kinds(member)
        if name in pinnable:
            if types - {"string", "null"} or not types:
                found.append((where, "the dialect plain compares a pinned id with one string; write type: string"))
        elif name.strip("$_").lower() in OPERATORS:
            found.append((where, f'the dialect plain ANDs its members and has no operator "{name}"'))
        elif not types or "object" in types or ("array" in types and _may_hold_conditions(member)):
            found.append(
                (where, "the dialect plain takes strings, numbers, booleans and arrays of them, not conditions")
            )
    return found


def _may_hold_conditions(array: Schema) -> bool:
    types = kinds(array.get("items"))
    return not types or not types.issubset(PLAIN)


def without(schema: Schema, names: Set[str]) -> Schema:
    """See `Dialect`: an id stands at the top level only."""
    properties = {name: member for name, member in schema["properties"].items() if name not in names}
    return {**schema, "properties": properties}


def grammar(schema: Schema) -> str:  # noqa: ARG001 - every dialect is given it
    """See `Dialect`."""
    return "All members must match."


def pin(pins: Mapping[str, str], given: Mapping[str, Json]) -> dict[str, Json]:
    """See `Dialect`."""
    for name, pinned in pins.items():
        if given.get(name, pinned) != pinned:
            raise ForeignId(name, given[name])
    return {**given, **pins}


def home(name: str) -> str | None:  # noqa: ARG001 - every dialect is given it
    """See `Dialect`: every member is one of the upstream's."""
    return None


def mended(given: Mapping[str, Json]) -> dict[str, Json]:
    """See `Dialect`: all members are read."""
    return dict(given)
