"""Kind `arguments`: the pins are arguments of the same names."""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.json_text import Json
from functions.gateway.pins import refusals, splits
from functions.gateway.pins.narrowed import Narrowed, without
from tool_catalog.catalog import PinArguments, Tool


def enforceable(pin: PinArguments, tool: Tool, pins: Mapping[str, str]) -> bool:
    """True when every pin is an argument of the tool, and no write is divided between two of them."""
    arguments = {parameter.argument for parameter in tool.request.parameters}
    return pins.keys() <= arguments and not splits.divided(pin.splits, pins)


def hide(pin: PinArguments, pins: Mapping[str, str], properties: Mapping[str, Json]) -> Narrowed:
    """The arguments without the pinned ids, and without those that would divide a write."""
    return without(properties, frozenset(pins) | splits.barred(pin.splits, pins))


def apply(pin: PinArguments, pins: Mapping[str, str], arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with the pins in them. Raises OutOfScope when the caller names another entity."""
    for name, pinned in pins.items():
        if arguments.get(name, pinned) != pinned:
            raise refusals.foreign(pins, name, arguments[name])
    splits.refuse(pin.splits, pins, arguments)
    return {**arguments, **pins}
