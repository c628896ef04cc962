"""Kind `object`: the call is about one object, which must carry every pinned id."""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.json_text import Json
from tool_catalog.catalog import PinObject, Tool


def ids(pin: PinObject, tool: Tool, arguments: Mapping[str, Json]) -> list[Json]:
    """What the call gives as the id of the object to read first; none where the answer is that very object."""
    return [] if pin.read == tool.name else [arguments.get(pin.argument)]


def judged_at(pin: PinObject, tool: Tool) -> str | None:
    """The whole answer, where the tool itself reads the object."""
    return "@" if pin.read == tool.name else None
