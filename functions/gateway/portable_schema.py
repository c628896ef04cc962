"""The input schema as every host takes it: one narrow form of JSON Schema. Calls are checked against the full schema.

The form is the intersection of what the model APIs and hosts accept (Gemini is the narrowest):

- a schema has one `type`, or an `anyOf` whose branches have one each; a list of types and `oneOf` become `anyOf`,
- a value of any type is shown as a text, a number, a boolean or an object; an array has `items`,
- `additionalProperties` is a schema or absent, because a boolean makes converters fail,
- `enum` holds texts, none of them empty; other values, and whatever else is left out, stand in the description,
- nothing is left that only a validator reads: patterns of names, conditions, examples, `uniqueItems`, `multipleOf`, and
  that a text is not empty, which costs five tokens and of which no model needs to be reminded.
"""

from __future__ import annotations

from collections.abc import Mapping

from functions.gateway import json_text
from functions.gateway.json_text import Json

Schema = dict[str, Json]

FORMATS = ("date-time",)
"""Formats that Gemini takes of a string. Others stand in the description."""

ANY = ("string", "number", "boolean", "object")
"""Types that a value of any type is shown with: a schema without a type is refused by strict converters."""

_SAYS_A_TYPE = frozenset({"type", "anyOf", "oneOf", "enum", "const", "properties"})

_KEPT = (
    *("title", "description", "type", "default", "enum", "format", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "items", "minItems", "maxItems", "properties", "required", "anyOf"),
    *("minProperties", "maxProperties", "additionalProperties"),
)
"""Keywords of the form."""

_ONLY_OF = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
    "object": ("properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties"),
}
"""Type -> the keywords that say something of that type only."""

_KINDS = {"string": str, "boolean": bool, "array": list, "object": dict, "number": int | float}

_DESCRIBED_CHARS = 200
"""Characters of values that a description gains; a longer list would cost more tokens than it is worth."""


def portable(schema: Json) -> Schema:
    """`schema` in the form. It accepts whatever `schema` accepts, and may accept more. A value of any type is shown
    with the types in ANY."""
    if not isinstance(schema, Mapping) or not _SAYS_A_TYPE & schema.keys():
        texts = {key: schema[key] for key in ("title", "description") if isinstance(schema, Mapping) and key in schema}
        return {**texts, "anyOf": [{"type": kind} for kind in ANY]}
    options = _options(schema)
    if len(options) > 1:
        outer = {key: schema[key] for key in ("title", "description", "default") if key in schema}
        inner = [
            {key: value for key, value in option.items() if key not in outer or outer[key] != value}
            for option in options
        ]
        return {**outer, "anyOf": [portable(option) for option in inner]}
    merged = options[0]
    said: list[str] = []
    result: Schema = {key: merged[key] for key in _KEPT if key in merged}
    if result.get("minLength") in (0, 1):
        del result["minLength"]
    kind = result["type"]
    if "enum" in merged or "const" in merged:
        _enumerate(result, merged, kind, said)
    if "format" in result and result["format"] not in FORMATS:
        said.append(f"Format: {result.pop('format')}.")
    for bound, exclusive, step in (("minimum", "exclusiveMinimum", 1), ("maximum", "exclusiveMaximum", -1)):
        if exclusive in merged:
            limit = merged[exclusive]
            if kind == "integer" and isinstance(limit, int):
                result.setdefault(bound, limit + step)
            else:
                said.append(f"{'Above' if step > 0 else 'Below'} {json_text.text(limit)}.")
    if kind == "array":
        result["items"] = portable(merged.get("items", {}))
    if isinstance(merged.get("properties"), Mapping):
        result["properties"] = {name: portable(part) for name, part in merged["properties"].items()}
    if required := [name for name in result.pop("required", ()) if name in result.get("properties", {})]:
        result["required"] = required
    if isinstance(rest := result.pop("additionalProperties", None), Mapping) and (part := portable(rest)):
        result["additionalProperties"] = part
    if text := " ".join(part for part in said if part.rstrip(".") not in str(result.get("description", ""))):
        before = str(result.get("description", ""))
        result["description"] = f"{before}{'' if before[-1:] in ('', *'.!?:') else '.'} {text}".strip()
    return result


def _options(schema: Mapping[str, Json]) -> list[Schema]:
    """The schema as alternatives of one type each. What stands beside a choice holds for each of its branches."""
    for key in ("anyOf", "oneOf"):
        branches = schema.get(key)
        if isinstance(branches, list) and branches:
            beside = {name: value for name, value in schema.items() if name not in (key, "title", "description")}
            found = [option for branch in branches for option in _options(_joined(beside, branch))]
            return _distinct(found)
    kinds = schema.get("type")
    if not isinstance(kinds, list):
        return [_of_kind(schema, kinds or _implied(schema))]
    return _distinct([_of_kind(schema, kind) for kind in kinds if kind != "integer" or "number" not in kinds])


def _joined(beside: Mapping[str, Json], branch: Json) -> Schema:
    """A branch with what stands beside the choice; the branch is the more exact of the two."""
    own = dict(branch) if isinstance(branch, Mapping) else {}
    properties = {**beside.get("properties", {}), **own.get("properties", {})}
    required = list(dict.fromkeys([*beside.get("required", ()), *own.get("required", ())]))
    merged = {**beside, **own}
    if properties:
        merged["properties"] = properties
    if required:
        merged["required"] = required
    return merged


def _of_kind(schema: Mapping[str, Json], kind: str) -> Schema:
    """The schema for values of one of its types."""
    family = "number" if kind == "integer" else kind
    foreign = {name for other, names in _ONLY_OF.items() if other != family for name in names}
    result = {key: value for key, value in schema.items() if key not in foreign} | {"type": kind}
    if isinstance(values := result.get("enum"), list):
        result["enum"] = [value for value in values if _is(value, kind)] or values
    return {"type": "null"} if kind == "null" else result


def _implied(schema: Mapping[str, Json]) -> str:
    """The type of a schema that only implies it."""
    if "properties" in schema:
        return "object"
    values = [schema["const"]] if "const" in schema else schema.get("enum", [""])
    return next(kind for kind in (*_KINDS, "null") if _is(values[0], kind))


def _distinct(options: list[Schema]) -> list[Schema]:
    found: list[Schema] = []
    for option in options:
        if option not in found:
            found.append(option)
    return found


def _is(value: Json, kind: str) -> bool:
    if kind == "null":
        return value is None
    if kind in ("integer", "number"):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, _KINDS[kind])


def _enumerate(result: Schema, merged: Mapping[str, Json], kind: Json, said: list[str]) -> None:
    """The allowed values: as `enum` if all are texts, in the description if not."""
    values = [merged["const"]] if "const" in merged else merged["enum"]
    texts = [value for value in values if isinstance(value, str) and value]
    result.pop("enum", None)
    if len(texts) == len(values) and kind == "string":
        result["enum"] = texts
        return
    listed = ", ".join(json_text.text(value) for value in values if value is not None)
    if listed and len(listed) <= _DESCRIBED_CHARS:
        said.append(f"One of: {listed}.")
