"""Kinds `object` and `objects`: the call is about one object or several, and each must carry every pinned id."""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.json_text import Json
from tool_catalog.catalog import PinObject, PinObjects, Tool


def ids_of_one(pin: PinObject, tool: Tool, arguments: Mapping[str, Json]) -> list[Json]:
    """What the call gives as the id of the object to read first; none where the answer is that very object."""
    return [] if pin.read == tool.name else [arguments.get(pin.argument)]


def ids(pin: PinObjects, arguments: Mapping[str, Json]) -> list[Json]:
    """What the call gives as the ids of the objects to read first; one None for an array without entries."""
    entries = arguments.get(pin.argument) or [None]
    return [entry.get(pin.id) if isinstance(entry, Mapping) else entry for entry in entries]


def judged_at(pin: PinObject, tool: Tool) -> str | None:
    """The whole answer, where the tool itself reads the object."""
    return "@" if pin.read == tool.name else None
