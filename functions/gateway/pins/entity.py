"""Kind `entity`: two arguments, a type and an id, name the entity."""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.json_text import Json
from functions.gateway.pins import refusals
from functions.gateway.pins.narrowed import Narrowed, without
from tool_catalog.catalog import PinEntity


def enforceable(pin: PinEntity, pins: Mapping[str, str]) -> bool:
    """True for one pin whose type the tool takes. Under two pins an object is inside when it carries both ids, and the
    objects of one entity reach beyond that."""
    return len(pins) == 1 and pins.keys() <= pin.types.keys()


def hide(pin: PinEntity, properties: Mapping[str, Json]) -> Narrowed:
    """The arguments without the type and the id."""
    return without(properties, {pin.argument, pin.id})


def apply(pin: PinEntity, pins: Mapping[str, str], arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments with the pinned entity in them. Raises OutsidePins when the caller names another one."""
    [(name, pinned)] = pins.items()
    wanted = {pin.argument: pin.types[name], pin.id: pinned}
    for argument, value in wanted.items():
        if arguments.get(argument, value) != value:
            raise refusals.foreign(pins, argument, arguments[argument])
    return {**arguments, **wanted}
