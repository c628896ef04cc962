"""Kind `filter`: the pins are ANDed into a filter object, in the dialect that the record names."""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.json_text import Json
from functions.gateway.pins import dialects, refusals, splits
from functions.gateway.pins.narrowed import Narrowed, unchanged
from tool_catalog.catalog import PinFilter, Tool


def enforceable(pin: PinFilter, tool: Tool, pins: Mapping[str, str]) -> bool:
    """True when every pin is a member of the filter, and no write is divided between two of them. A filter that is not
    an argument consists of the pins alone."""
    schema = tool.definition["inputSchema"]["properties"].get(pin.argument)
    members = pins.keys() if schema is None else schema.get("properties", {}).keys()
    return pins.keys() <= members and not splits.divided(pin.splits, pins)


def hide(pin: PinFilter, pins: Mapping[str, str], properties: Mapping[str, Json]) -> Narrowed:
    """The filter without the pinned ids. It is not required any more, and neither are its members."""
    if pin.argument not in properties:
        return unchanged(properties)
    names = frozenset(pins)
    accepted = _optional(properties[pin.argument], names)
    dialect = dialects.named(pin.dialect)
    shown = {
        **dialect.without(accepted, names | splits.barred(pin.splits, pins)),
        "description": " ".join(
            [
                f"Further conditions, ANDed with {', '.join(sorted(names))}, which this server fills in.",
                "May be left out.",
                dialect.grammar(accepted),
            ]
        ),
    }
    return Narrowed({**properties, pin.argument: shown}, {**properties, pin.argument: accepted}, {pin.argument})


def apply(pin: PinFilter, pins: Mapping[str, str], arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with the pins in the filter. Raises OutsidePins when it names another entity, wherever it does."""
    given = arguments.get(pin.argument) or {}
    splits.refuse(pin.splits, pins, given)
    try:
        pinned = dialects.named(pin.dialect).pin(pins, given)
    except dialects.ForeignId as foreign:
        raise refusals.foreign(pins, foreign.name, foreign.value) from None
    return {**arguments, pin.argument: pinned}


def _optional(schema: Json, names: frozenset[str]) -> Json:
    """The schema of a filter that asks neither for the pinned ids nor for any member, because the pins are put in."""
    if isinstance(schema, list):
        return [_optional(entry, names) for entry in schema]
    if not isinstance(schema, Mapping):
        return schema
    narrowed = {key: _optional(value, names) for key, value in schema.items()}
    if isinstance(narrowed.get("properties"), dict):
        narrowed.pop("minProperties", None)
    if isinstance(narrowed.get("required"), list):
        narrowed["required"] = [name for name in narrowed["required"] if name not in names]
        if not narrowed["required"]:
            del narrowed["required"]
    return narrowed
