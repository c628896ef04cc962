"""What a pinned server forces on each call: the ids go into the request, and an object is inside when it carries them.

How a pin is put on a tool is data of the catalogue, a union of small classes; each kind has its file here, and the
functions below choose by kind. A pin holds for reading and writing alike. A tool on which a pin cannot be enforced
with certainty is not offered by a pinned server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from functions.gateway.json_text import Json, kind
from functions.gateway.pins import arguments as by_arguments
from functions.gateway.pins import entity as by_entity
from functions.gateway.pins import filter as by_filter
from functions.gateway.pins import objects as by_objects
from functions.gateway.pins import refusals
from functions.gateway.pins.arguments import WriteIds
from functions.gateway.pins.narrowed import Narrowed, unchanged
from functions.gateway.value_classes import dataclass
from tool_catalog.catalog import (
    Catalog,
    NoPin,
    PinAnswer,
    PinArguments,
    PinEntity,
    PinFilter,
    PinObject,
    PinObjects,
    Tool,
)

NONE: WriteIds = {}
"""A write may name no id in addition to the pins."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The objects that must be read and be inside the pins before a call may be made: `reader` reads one of them by the
    id in its argument `argument`."""

    reader: Tool
    argument: str
    ids: tuple[str, ...]


def enforceable(tool: Tool, pins: Mapping[str, str]) -> bool:
    """False for a tool on which these pins cannot be put; without pins, for one that cannot work unpinned."""
    if not pins:
        return not tool.needs_pin
    match tool.pin:
        case None:
            return False
        case PinArguments() as pin:
            return by_arguments.enforceable(pin, pins)
        case PinFilter() as pin:
            return by_filter.enforceable(pin, tool, pins)
        case PinEntity() as pin:
            return by_entity.enforceable(pin, pins)
        case PinObject() | PinObjects() | PinAnswer() | NoPin():
            return True
        case never:
            assert_never(never)


def hide(
    tool: Tool, pins: Mapping[str, str], properties: Mapping[str, Json], *, write_ids: WriteIds = NONE
) -> Narrowed:
    """The properties of the tool's input schema as a server with these pins shows and takes them. `write_ids` are the
    other ids that writes may name."""
    if not pins:
        return unchanged(properties)
    match tool.pin:
        case PinArguments() as pin:
            return by_arguments.hide(pin, tool, pins, write_ids, properties)
        case PinFilter() as pin:
            return by_filter.hide(pin, pins, properties)
        case PinEntity() as pin:
            return by_entity.hide(pin, properties)
        case PinObject() | PinObjects() | PinAnswer() | NoPin() | None:
            return unchanged(properties)
        case never:
            assert_never(never)


def apply(
    tool: Tool, pins: Mapping[str, str], arguments: Mapping[str, Json], *, write_ids: WriteIds = NONE
) -> dict[str, Json]:
    """The arguments with the pins in them. Raises OutsidePins when the caller names another entity than the pinned one,
    or writes an id that is not among `write_ids`."""
    if not pins:
        return dict(arguments)
    match tool.pin:
        case PinArguments() as pin:
            return by_arguments.apply(pin, tool, pins, write_ids, arguments)
        case PinFilter() as pin:
            return by_filter.apply(pin, pins, arguments)
        case PinEntity() as pin:
            return by_entity.apply(pin, pins, arguments)
        case PinObject() | PinObjects() | PinAnswer() | NoPin() | None:
            return dict(arguments)
        case never:
            assert_never(never)


def without(tool: Tool, pins: Mapping[str, str], arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments less the ids that these pins fill in, at the top level and in the filter."""
    found = {name: value for name, value in arguments.items() if name not in pins}
    if isinstance(tool.pin, PinFilter) and isinstance(given := found.get(tool.pin.argument), Mapping):
        found[tool.pin.argument] = _without(pins, given)
        if not found[tool.pin.argument]:
            del found[tool.pin.argument]
    return found


def _without(pins: Mapping[str, str], given: Json) -> Json:
    if isinstance(given, list):
        return [entry for entry in (_without(pins, entry) for entry in given) if entry not in ({}, [])]
    if not isinstance(given, Mapping):
        return given
    return {name: _without(pins, value) for name, value in given.items() if name not in pins}


def reading(catalog: Catalog, tool: Tool, pins: Mapping[str, str], arguments: Mapping[str, Json]) -> Reading | None:
    """The objects to read before the call. Raises OutsidePins when the arguments leave an object unnamed, because
    nothing could be checked then."""
    if not pins:
        return None
    match tool.pin:
        case PinObject() as pin:
            ids = by_objects.ids_of_one(pin, tool, arguments)
        case PinObjects() as pin:
            ids = by_objects.ids(pin, arguments)
        case PinArguments() | PinFilter() | PinEntity() | PinAnswer() | NoPin() | None:
            return None
        case never:
            assert_never(never)
    if not all(kind(object_id) in ("string", "integer") for object_id in ids):
        raise refusals.unnamed(pins, pin.argument)
    if not ids:
        return None
    reader = catalog.tools[pin.read]
    argument = reader.pin.argument if isinstance(reader.pin, PinObject) else pin.argument
    return Reading(reader, argument, tuple(dict.fromkeys(str(object_id) for object_id in ids)))


def judged_at(tool: Tool, pins: Mapping[str, str]) -> str | None:
    """JMESPath to the part of the answer, or of each of its objects, that carries the ids; None where the answer need
    not be judged, because the request could only find what is inside."""
    if not pins:
        return None
    match tool.pin:
        case PinAnswer() as pin:
            return pin.at
        case PinObject() as pin:
            return by_objects.judged_at(pin, tool)
        case PinArguments() | PinFilter() | PinEntity() | PinObjects() | NoPin() | None:
            return None
        case never:
            assert_never(never)


def holds(pins: Mapping[str, str], document: Json) -> bool:
    """True when the object carries every pinned id."""
    return isinstance(document, Mapping) and all(document.get(name) == pinned for name, pinned in pins.items())


def check_object(pins: Mapping[str, str], document: Json, found: str) -> None:
    """Raises OutsidePins unless `document` carries every pinned id; `found` names it in the message."""
    if not holds(pins, document):
        raise refusals.outside(pins, found)
