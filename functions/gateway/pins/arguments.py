"""Kind `arguments`: the pins are arguments of the same names.

A write puts the other ids that it names into what it creates, where a server that is pinned to one of those would find
it. So a write may name, besides the pins, only ids that the server's config lists under `write_ids`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

from functions.gateway.json_text import Json
from functions.gateway.pins import refusals, splits
from functions.gateway.pins.ids import WILDCARD
from functions.gateway.pins.narrowed import Narrowed
from tool_catalog.catalog import PinArguments, Tool

WriteIds = Mapping[str, tuple[str, ...]]
"""Name of an id -> the values that a write may give it; "*" stands for every value."""


def enforceable(pin: PinArguments, pins: Mapping[str, str]) -> bool:
    """True when every pin is an argument of the tool, and no write is divided between two of them."""
    return pins.keys() <= set(pin.ids) and not splits.divided(pin.splits, pins)


def hide(
    pin: PinArguments, tool: Tool, pins: Mapping[str, str], write_ids: WriteIds, properties: Mapping[str, Json]
) -> Narrowed:
    """The arguments without the pinned ids, and without those that no call may give. An id of which the config lists
    some values is shown with these."""
    hidden = (
        pins.keys()
        | splits.barred(pin.splits, pins)
        | {name for name in _others(pin, tool, pins) if not write_ids.get(name)}
    )
    shown = {name: value for name, value in properties.items() if name not in hidden}
    for name in _others(pin, tool, pins) & shown.keys():
        if WILDCARD not in write_ids[name]:
            shown[name] = {**shown[name], "enum": list(write_ids[name])}
    return Narrowed(shown, properties, hidden)


def apply(
    pin: PinArguments, tool: Tool, pins: Mapping[str, str], write_ids: WriteIds, arguments: Mapping[str, Json]
) -> dict[str, Json]:
    """The arguments with the pins in them. Raises OutsidePins when the caller names another entity."""
    for name, pinned in pins.items():
        if arguments.get(name, pinned) != pinned:
            raise refusals.foreign(pins, name, arguments[name])
    splits.refuse(pin.splits, pins, arguments)
    for name in sorted(_others(pin, tool, pins) & arguments.keys()):
        allowed = write_ids.get(name, ())
        if arguments[name] not in allowed and WILDCARD not in allowed:
            raise refusals.unlisted(pins, name, arguments[name], allowed)
    return {**arguments, **pins}


def _others(pin: PinArguments, tool: Tool, pins: Mapping[str, str]) -> Set[str]:
    """The ids that a write would put into what it creates, in addition to the pins; none for a tool that only reads."""
    return set() if tool.access == "read" else {name for name in pin.ids if name not in pins}
