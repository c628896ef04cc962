"""Are the arguments right? Every problem at once, each in words that show the form that works.

The schema is that of the offer (fixed arguments are not in it); a record's `checks` then look at the arguments as they
will be sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from functions.gateway import json_text
from functions.gateway.json_text import MAX_DEPTH, Json, well_formed
from functions.gateway.scope import Offer
from functions.gateway.wording import MAX_PROBLEMS, did_you_mean, listed, one_of, shown
from tool_catalog.catalog import Catalog, Tool

LARGE_BYTES = 100_000
"""Arguments of more JSON bytes than this are told their first problem only: collecting 300,000 problems of 1 MB of
arguments takes seconds."""


def check(offer: Offer, catalog: Catalog, arguments: Mapping[str, Json]) -> list[str]:
    """Problems of the arguments against what the offer accepts; empty when there are none."""
    return _problems(offer.validator, offer.accepted, offer.tool, catalog, arguments)


def check_values(tool: Tool, catalog: Catalog, values: Mapping[str, Json]) -> list[str]:
    """Problems of single values against the tool's own schema, as far as it has such arguments and whatever else it
    requires."""
    import jsonschema_rs

    schema = {**tool.definition["inputSchema"], "required": []}
    known = {name: value for name, value in values.items() if name in schema["properties"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return _problems(validator, schema, tool, catalog, known)


def _problems(
    validator: Any, schema: Mapping[str, Json], tool: Tool, catalog: Catalog, arguments: Mapping[str, Json]
) -> list[str]:
    try:
        encoded = json_text.encode_strictly(arguments)
        total = len(encoded)
        if encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH and (too_deep := _unsendable(arguments, ())):
            return too_deep[:1]
        if validator.is_valid(arguments):
            return []
        errors = validator.iter_errors(arguments) if total <= LARGE_BYTES else [_first(validator, arguments)]
    except (ValueError, RecursionError):
        unsendable = dict.fromkeys(_unsendable(arguments, ()))
        return list(unsendable)[:MAX_PROBLEMS] or ["the arguments object has no form in JSON"]
    properties = schema["properties"]
    nested = {
        name
        for name in arguments
        if name in catalog.pinnable and name not in properties and "filters" in _all_arguments(tool)
    }
    problems: list[str] = []
    for error in sorted(errors, key=_place):
        if nested and error.kind.name == "required" and error.kind.as_dict()["property"] == "filters":
            continue  # told by the line that shows the nested form
        problems += _tell(error, tool, properties, catalog, arguments)
    problems = listed(list(dict.fromkeys(problems)))
    if total > LARGE_BYTES:
        problems.append("the arguments are large, so that there may be more problems than these")
    return problems


def _first(validator: Any, arguments: Mapping[str, Json]) -> Any:
    import jsonschema_rs

    try:
        validator.validate(arguments)
    except jsonschema_rs.ValidationError as error:
        return error
    raise AssertionError("arguments that are not valid have a first problem")


def _unsendable(value: Json, path: tuple[str | int, ...]) -> list[str]:
    """What no JSON document in UTF-8 can hold, or nothing recursive should be given."""
    where = _path(path)
    if len(path) > MAX_DEPTH:
        return [f"{_path(path[:3])} is nested more than {MAX_DEPTH} levels deep; send flatter arguments"]
    if isinstance(value, str):
        if well_formed(value) != value:
            return [f"{where} holds half of a surrogate pair, as of an emoji cut in two; send whole characters"]
        return []
    if isinstance(value, Mapping):
        lone = [f"a name of {where} holds half of a surrogate pair" for name in value if well_formed(name) != name]
        return [*lone, *(line for name, entry in value.items() for line in _unsendable(entry, (*path, name)))]
    if isinstance(value, list):
        return [line for index, entry in enumerate(value) for line in _unsendable(entry, (*path, index))]
    if isinstance(value, float) and not isfinite(value):
        return [f"{where} is {value}, which is not a JSON number"]
    return []


def check_record_rules(offer: Offer, arguments: Mapping[str, Json]) -> list[str]:
    """Messages of the record's own checks that these arguments, as they will be sent, run into."""
    return [message for validator, message in offer.rule_validators if validator.is_valid(arguments)]


def _all_arguments(tool: Tool) -> Mapping[str, Json]:
    arguments: Mapping[str, Json] = tool.definition["inputSchema"]["properties"]
    return arguments


def _tell(
    error: Any, tool: Tool, properties: Mapping[str, Json], catalog: Catalog, arguments: Mapping[str, Json]
) -> list[str]:
    """One error of the validator as problems; the branches of an anyOf or oneOf are told by the nearest branch."""
    kind = error.kind.as_dict()
    path = list(error.instance_path)
    where, value = _path(path), shown(error.instance)
    if error.kind.name in ("anyOf", "oneOf") and kind.get("context"):
        branch = min(kind["context"], key=lambda errors: _distance(errors, len(path)))
        nested = (_tell(error, tool, properties, catalog, arguments) for error in sorted(branch, key=_place))
        return [line for lines in nested for line in lines]
    match error.kind.name:
        case "additionalProperties" | "unevaluatedProperties":
            unexpected = kind["unexpected"][: MAX_PROBLEMS + 1]
            if not path:
                return [_unknown_argument(name, tool, properties, catalog, arguments) for name in unexpected]
            valid = sorted(_properties_at(error, properties))
            return [f"{where} has no member {shown(name)}{did_you_mean(name, valid)}" for name in unexpected]
        case "falseSchema":  # how the validator tells an object that is closed and has no members
            return [f"{where} is {value}; nothing is taken there"]
        case "required":
            name = kind["property"]
            if not path:
                return [f'missing argument "{name}"{_about(properties.get(name))}']
            return [f'{where} lacks "{name}"']
        case "type":
            return [f"{where} is {value}; it must be {_or(kind['types'])}"]
        case "enum":
            return [f"{where} is {value}; valid: {one_of([shown(option) for option in kind['options']])}"]
        case "const":
            return [f"{where} is {value}; it must be {shown(kind['expected_value'])}"]
        case "maximum" | "exclusiveMaximum":
            strictly = "below" if error.kind.name == "exclusiveMaximum" else "at most"
            return [f"{where} is {value}; it must be {strictly} {kind['limit']}"]
        case "minimum" | "exclusiveMinimum":
            strictly = "above" if error.kind.name == "exclusiveMinimum" else "at least"
            return [f"{where} is {value}; it must be {strictly} {kind['limit']}"]
        case "maxLength":
            return [f"{where} has {len(error.instance)} characters; at most {kind['limit']} are taken"]
        case "minLength":
            if kind["limit"] == 1:
                return [f"{where} is empty; it needs at least one character"]
            return [f"{where} has {len(error.instance)} characters; at least {kind['limit']} are needed"]
        case "maxItems":
            return [f"{where} has {len(error.instance)} entries; at most {kind['limit']} are taken"]
        case "minItems":
            return [f"{where} has {len(error.instance)} entries; at least {kind['limit']} are needed"]
        case "minProperties":
            return [f"{where} is {value}; it needs at least {kind['limit']} of its members"]
        case "maxProperties":
            return [f"{where} has {len(error.instance)} members; at most {kind['limit']} are taken"]
        case "pattern":
            return [f"{where} is {value}; it must match {kind['pattern']}"]
        case "format":
            return [f"{where} is {value}; it must be a {kind['format']}"]
        case _:
            return [f"{where}: {error.message[:300]}"]


def _place(error: Any) -> tuple[list[str], str]:
    """Where an error stands: the arguments object first, then its members by name; the same on every run."""
    return [str(step) for step in error.instance_path], error.kind.name


def _distance(errors: Sequence[Any], depth: int) -> tuple[int, int, int]:
    """How far a branch is from what was given: a wrong type at the branch's own root is farthest, then a wrong shape
    there; a wrong value deeper inside is near."""
    at_root = [error for error in errors if len(list(error.instance_path)) == depth]
    return sum(error.kind.name == "type" for error in at_root), len(at_root), len(errors)


def _unknown_argument(
    name: str, tool: Tool, properties: Mapping[str, Json], catalog: Catalog, arguments: Mapping[str, Json]
) -> str:
    every = _all_arguments(tool)
    if name in every:
        return f'"{name}" is fixed by this server; leave it out'
    if name in catalog.pinnable:
        if "filters" in properties:
            form = shown({"filters": {name: arguments[name]}})
            return f'"{name}" is not a top-level argument; nest it: {form}'
        if tool.pin is not None and tool.pin.required:
            return f'"{name}" is fixed by this server; leave it out'
    if name == "filters" and any(entity in properties for entity in catalog.pinnable):
        entities = ", ".join(entity for entity in catalog.pinnable if entity in properties)
        return f'"filters" is not an argument of this tool; give {entities} at the top level'
    return f"unknown argument {shown(name)}{did_you_mean(name, properties)}"


def _properties_at(error: Any, properties: Mapping[str, Json]) -> list[str]:
    """Names that are valid where the error stands, found by following its schema path from the input schema."""
    node: Json = {"properties": properties}
    for step in list(error.schema_path)[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return []
    return list(node.get("properties", {})) if isinstance(node, Mapping) else []


def _about(schema: Json) -> str:
    """The first sentence of a parameter's description, behind a colon."""
    description = schema.get("description", "") if isinstance(schema, Mapping) else ""
    return f": {description.split('. ')[0].rstrip('.')}" if description else ""


def _path(steps: Sequence[str | int]) -> str:
    if not steps:
        return "the arguments object"
    text = str(steps[0])
    for step in steps[1:]:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return f'"{text}"'


def _or(types: Sequence[str]) -> str:
    named = ["null" if name == "null" else f"an {name}" if name[0] in "aio" else f"a {name}" for name in types]
    return " or ".join(named)
