"""The arguments of a tool, read from the path, the query and the body of a plain HTTP request.

A query holds `limit=5`, `filters[user_id]=u1`, `ids[]=a`, or JSON as a value. What does not fit the tool's schema stays
a text, so that the call line reports it like any other wrong argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from functions.admin_api.reading import read_json
from functions.admin_api.tools.addresses import Address
from functions.gateway.errors import Invalid
from functions.gateway.json_text import Json, NotJson, decode
from functions.gateway.wording import shown
from tool_catalog.catalog import Tool

MAX_KEY_STEPS = 8
"""Brackets in one query key: deeper than any filter an upstream takes."""

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")


def read_arguments(
    tool: Tool, address: Address, tail: str, query: Sequence[tuple[str, str]], body: bytes
) -> dict[str, Json]:
    """The tool's arguments; `tail` is the text behind the resource. Raises Invalid for what cannot be read."""
    arguments = _from_query(tool, query)
    for name, value in _from_body(tool, body).items():
        if name in arguments:
            raise Invalid(f'"{name}" is in the query and in the body; send it once')
        arguments[name] = value
    by_id = address.id_argument
    if by_id is not None:
        if arguments.get(by_id, tail) != tail:
            raise Invalid(f'"{by_id}" is {shown(arguments[by_id])}, and {shown(tail)} in the path; send it once')
        arguments[by_id] = tail
    return arguments


def _from_body(tool: Tool, raw: bytes) -> dict[str, Json]:
    if not raw.strip():
        return {}
    document = read_json(raw)
    if isinstance(document, dict):
        return document
    whole = [p.argument for p in tool.request.parameters if p.location == "body" and p.name == "" and p.argument]
    if whole:
        return {whole[0]: document}
    raise Invalid("the request body must be a JSON object that holds the arguments")


def _from_query(tool: Tool, pairs: Sequence[tuple[str, str]]) -> dict[str, Json]:
    properties: Mapping[str, Json] = tool.definition["inputSchema"]["properties"]
    texts: dict[str, Json] = {}
    for key, text in pairs:
        match = _KEY.fullmatch(key)
        steps = _STEP.findall(match[2]) if match else []
        if match is None or len(steps) > MAX_KEY_STEPS:
            raise Invalid(
                f"query: {shown(key)} cannot be read; write nested values like filters[user_id]=u1 and lists like "
                "ids[]=a&ids[]=b"
            )
        _place(texts, [match[1], *steps], text, key)
    return {name: _typed(value, properties.get(name, {})) for name, value in texts.items()}


def _place(root: dict[str, Json], steps: Sequence[str], text: str, key: str) -> None:
    """Put a text into the nested texts. An empty step appends, and so does a repeated key."""
    node: dict[str, Json] = root
    *parents, last = steps
    append = last == ""
    if append:
        *parents, last = parents
    for step in parents:
        node = node.setdefault(step, {})
        if not isinstance(node, dict) or step == "":
            raise _misfit(key)
    before = node.get(last)
    if isinstance(before, dict):
        raise _misfit(key)
    if append or before is not None:
        node[last] = [*(before if isinstance(before, list) else [] if before is None else [before]), text]
    else:
        node[last] = text


def _misfit(key: str) -> Invalid:
    return Invalid(f"query: {shown(key)} does not fit the other parameters; send nested values as JSON instead")


def _typed(value: Json, schema: Json) -> Json:
    """Texts as the values that the schema asks for; a text that does not fit stays as it is."""
    if not isinstance(schema, dict):
        schema = {}
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {name: _typed(entry, properties.get(name, {})) for name, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry, schema.get("items", {})) for entry in value]
    kinds = _kinds(schema)
    if value[:1] in ("{", "[") and ("object" in kinds or "array" in kinds):
        try:
            return decode(value)
        except NotJson:
            return value
    if "string" in kinds or not kinds:
        return value
    if "boolean" in kinds and value in ("true", "false"):
        return value == "true"
    if "integer" in kinds and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if "number" in kinds and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value):
        return float(value)
    if "array" in kinds:
        return [_typed(entry, schema.get("items", {})) for entry in value.split(",")]
    return value


def _kinds(schema: Mapping[str, Json]) -> set[str]:
    """JSON types that a schema names, in its branches too."""
    named = schema.get("type", [])
    kinds = {named} if isinstance(named, str) else set(named)
    for branch in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
        kinds |= _kinds(branch)
    if "enum" in schema and not kinds:
        kinds.add("string")
    return kinds
