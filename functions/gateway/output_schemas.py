"""How much of a tool's output schema a server lists. What a call answers does not depend on it.

`full`     the documented answer, as compiled.
`shallow`  its top level: names, types and descriptions.
`none`     nothing. Hosts that pass output schemas on to their model save the most, e.g. half of an imported listing.
"""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway.grants import OutputSchemas
from functions.gateway.json_text import Json


def listed(definition: Mapping[str, Json], choice: OutputSchemas) -> Mapping[str, Json]:
    """The MCP tool object with its output schema as chosen."""
    if choice == "full" or "outputSchema" not in definition:
        return definition
    rest = {key: value for key, value in definition.items() if key != "outputSchema"}
    return rest if choice == "none" else {**rest, "outputSchema": _top(definition["outputSchema"])}


def _top(schema: Mapping[str, Json]) -> dict[str, Json]:
    """The schema, and of each member its type and description alone."""
    top = {key: schema[key] for key in ("type", "description", "required") if key in schema}
    if "properties" in schema:
        top["properties"] = {
            name: {key: part[key] for key in ("type", "description") if key in part}
            for name, part in schema["properties"].items()
        }
    return top
