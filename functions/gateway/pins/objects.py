"""Kind `objects`: the call is about the objects of an array, each of which must carry every pinned id."""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.json_text import Json
from tool_catalog.catalog import PinObjects


def ids(pin: PinObjects, arguments: Mapping[str, Json]) -> list[Json]:
    """What the call gives as the ids of the objects to read first; one None for an array without entries."""
    entries = arguments.get(pin.argument) or [None]
    return [entry.get(pin.id) if isinstance(entry, Mapping) else entry for entry in entries]
