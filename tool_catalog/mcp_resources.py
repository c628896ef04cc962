"""What hosts read by a URI: what the gate asks of it, and its compiled form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import McpResourceRecord, Records
from tool_catalog.schemas import Place

Schema = dict[str, Json]

TITLE_LENGTH = (3, 60)
"""Characters of a title, which hosts show to people in a list of what can be attached."""

DESCRIPTION_LENGTH = (20, 300)
"""Characters of a description, which hosts show to people beside the title."""

SCHEMES_OF_OTHERS = ("ui", "http", "https", "file", "data")
"""URI schemes that a client reads by itself, or that the protocol keeps for something else."""

VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def compile_resources(records: Records, tools: Mapping[tuple[str, str], Schema], gate: Gate) -> list[Schema]:
    """The entries `catalog.McpResource` is read from, in the order of the tools."""
    found: list[Schema] = []
    forms: dict[str, str] = {}
    for resource in records.resources:
        for method, record in resource.record.methods.items():
            tool = tools.get((resource.record.resource, method))
            if record.mcp_resource is None or tool is None:
                continue
            place = Place(resource.source, ("methods", method, "mcp_resource"))
            entry = _entry(record.mcp_resource, tool, place, gate)
            form = VARIABLE.sub("{}", entry["uri"])
            if form in forms:
                gate.report(place.at("uri"), f"cannot be told from that of {forms[form]}")
            forms[form] = entry["tool"]
            found.append(entry)
    return found


def _entry(record: McpResourceRecord, tool: Schema, place: Place, gate: Gate) -> Schema:
    gate.length(place.at("title"), record.title, TITLE_LENGTH)
    gate.length(place.at("description"), record.description, DESCRIPTION_LENGTH)
    scheme = record.uri.partition(":")[0]
    if scheme in SCHEMES_OF_OTHERS:
        gate.report(place.at("uri"), f'the scheme "{scheme}" is taken; use one of the API, e.g. its name')
    variables = VARIABLE.findall(record.uri)
    if len(variables) != len(set(variables)):
        gate.report(place.at("uri"), "has a variable twice")
    if re.search(r"\}\{", record.uri):
        gate.report(place.at("uri"), "has two variables side by side, so that no value can be read from it")
    if tool["access"] != "read":
        gate.report(place, "is for a tool that only reads")
    arguments = {name: f"{{{name}}}" for name in variables} if record.arguments is None else record.arguments
    used = {name for text in _texts(arguments) for name in VARIABLE.findall(text)}
    for name in sorted(set(variables) - used):
        gate.report(place.at("uri"), f'"{{{name}}}" is used in no argument')
    for name in sorted(used - set(variables)):
        gate.report(place.at("arguments"), f'"{{{name}}}" is no variable of the uri')
    schema = tool["definition"]["inputSchema"]
    for name in sorted(arguments.keys() - schema["properties"].keys()):
        gate.report(place, f'the tool has no argument "{name}"; arguments: {", ".join(schema["properties"])}')
    for name in sorted(set(schema.get("required", ())) - arguments.keys()):
        gate.report(place, f'the tool needs the argument "{name}"')
    if record.text is not None and record.blob is not None:
        gate.report(place.at("blob"), 'either "text" or "blob"')
    for key in ("text", "blob"):
        if (expression := getattr(record, key)) is not None:
            gate.jmespath(place.at(key), expression)
    return {
        **record.model_dump(exclude_none=True),
        "description": " ".join(record.description.split()),
        "arguments": arguments,
        "tool": tool["definition"]["name"],
    }


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for member in value.values():
            yield from _texts(member)
    elif isinstance(value, list):
        for member in value:
            yield from _texts(member)
