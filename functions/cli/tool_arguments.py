"""How to write the arguments of a tool:

key=value       the type comes from the schema of the tool: text, number, true or false; JSON for an object or a list
key.sub=value   a member of an object, e.g. filters.user_id=usr_1
key:=JSON       exactly this JSON, e.g. infer:=false or messages:=[{"role": "user", "content": "I like tea"}]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from functions.cli.invocation import UsageError
from functions.gateway import json_text
from functions.gateway.json_text import Json

_WORD = re.compile(r"([^=:]+?)(:=|=)(.*)", re.DOTALL)


def read(words: Sequence[str], whole: str | None, schema: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments as an object: `whole`, a JSON object, with `words` added. `schema` is the input schema of the tool.

    Raises UsageError.
    """
    arguments: dict[str, Json] = {}
    if whole is not None:
        found = _json(whole, "--arguments")
        if not isinstance(found, dict):
            raise UsageError(f"--arguments is {whole}; it must be a JSON object")
        arguments = found
    for word in words:
        match = _WORD.fullmatch(word)
        if match is None:
            raise UsageError(f'"{word}" is not an argument; write key=value, key.sub=value or key:=JSON')
        name, sign, text = match.groups()
        steps = name.split(".")
        value = _json(text, name) if sign == ":=" else _typed(text, name, _schema_at(schema, steps))
        _place(arguments, steps, value)
    return arguments


def _schema_at(schema: Mapping[str, Json], steps: Sequence[str]) -> Mapping[str, Json]:
    """The schema of a nested property; empty when the schema does not declare it."""
    for step in steps:
        properties = schema.get("properties", {})
        schema = properties.get(step, {}) if isinstance(properties, dict) else {}
        if not isinstance(schema, dict):
            return {}
    return schema


def _typed(text: str, name: str, schema: Mapping[str, Json]) -> Json:
    """A text converted to the type in the schema. It stays text when the schema allows a string or says nothing."""
    named = schema.get("type", "string")
    kinds = [named] if isinstance(named, str) else list(named)
    if "string" in kinds:
        return text
    items = schema.get("items") or {}
    if "array" in kinds and not text.lstrip().startswith("["):
        if items.get("properties"):
            first = next(iter(items["properties"]))
            raise UsageError(f"{name} is {text!r}; it must be a list of objects, e.g. {name}:='[{{\"{first}\": ...}}]'")
        return [_typed(part.strip(), name, items) for part in text.split(",")]
    try:
        return json_text.decode(text)
    except ValueError:
        raise UsageError(f"{name} is {text!r}; it must be {_expected(name, kinds, schema)}") from None


def _expected(name: str, kinds: Sequence[str], schema: Mapping[str, Json]) -> str:
    """What the schema expects, with an example where the notation is not obvious."""
    if "object" in kinds:
        member = next(iter(schema.get("properties", ())), "member")
        return f"an object in JSON, or its members one by one, e.g. {name}.{member}=..."
    if "array" in kinds:
        return "a list in JSON"
    forms = {"integer": "a whole number", "number": "a number", "boolean": "true or false", "null": "null"}
    return " or ".join(forms.get(kind, kind) for kind in kinds)


def _json(text: str, name: str) -> Json:
    try:
        return json_text.decode(text)
    except ValueError as error:
        raise UsageError(f"{name} is {text!r}, which is not JSON: {error}") from None


def _place(arguments: dict[str, Json], steps: Sequence[str], value: Json) -> None:
    *parents, last = steps
    node = arguments
    for step in parents:
        node = node.setdefault(step, {})
        if not isinstance(node, dict):
            raise UsageError(f'"{".".join(steps)}": "{step}" already has a value; it cannot also hold "{last}"')
    if last in node:
        raise UsageError(f'"{".".join(steps)}" is given twice')
    node[last] = value
