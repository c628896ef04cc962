"""Are the arguments right? Every problem at once, each in words that show the form that works.

The schema is that of the prepared tool (it has no fixed arguments). A record's `checks` then look at the arguments as
they will be sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from functions.gateway.grants import ServerConfig
from functions.gateway.json_text import MAX_DEPTH, Json, encode_strictly, is_deeper, spaced, well_formed
from functions.gateway.prepared import PreparedTool, prepare
from functions.gateway.settle import own_name
from functions.gateway.wording import MAX_PROBLEMS, did_you_mean, listed, one_of, shown
from tool_catalog.catalog import WAIT, Tool

LARGE_BYTES = 100_000
"""For arguments of more bytes than this only the first problem is reported: collecting 300,000 problems of 1 MB of
arguments takes seconds."""


def check(prepared: PreparedTool, arguments: Mapping[str, Json]) -> list[str]:
    """Problems of the arguments against what the prepared tool accepts; empty when there are none."""
    problems = _problems(prepared.validator, prepared.accepted, prepared, arguments)
    meant = {name: value for name, value in arguments.items() if name != WAIT}
    if not problems and prepared.tool.destructive and not says_something(meant):
        names = [shown(name) for name in prepared.definition["inputSchema"]["properties"] if name != WAIT]
        return [f"this tool removes or overwrites data, so a call must give an argument: one of {one_of(names)}"]
    return problems


def says_something(value: Json) -> bool:
    """False for nothing, for empty texts, and for what holds nothing else."""
    if isinstance(value, dict):
        return any(map(says_something, value.values()))
    if isinstance(value, list):
        return any(map(says_something, value))
    return bool(value) or value is False or value == 0


def check_values(tool: Tool, values: Mapping[str, Json]) -> list[str]:
    """Problems of single values against the tool's own schema. Values for other arguments and missing arguments do not
    count."""
    import jsonschema_rs

    schema = {**tool.definition["inputSchema"], "required": []}
    known = {name: value for name, value in values.items() if name in schema["properties"]}
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    return _problems(validator, schema, prepare(tool, ServerConfig()), known)


def _problems(
    validator: Any, schema: Mapping[str, Json], prepared: PreparedTool, arguments: Mapping[str, Json]
) -> list[str]:
    try:
        encoded = encode_strictly(arguments)
        may_be_too_deep = encoded.count(b"[") + encoded.count(b"{") > MAX_DEPTH and is_deeper(arguments, MAX_DEPTH)
        if may_be_too_deep and (too_deep := _unsendable(arguments, ())):
            return too_deep[:1]
        if validator.is_valid(arguments):
            return []
        large = len(encoded) > LARGE_BYTES
        errors = [_first(validator, arguments)] if large else validator.iter_errors(arguments)
    except (ValueError, RecursionError):
        return listed(list(dict.fromkeys(_unsendable(arguments, ())))) or ["JSON cannot hold the arguments object"]
    accepted = schema["properties"]
    nested = {prepared.outer(name) for name in arguments if name not in accepted and name not in prepared.pins}
    problems: list[str] = []
    for error in sorted(errors, key=_place):
        if error.kind.name == "required" and not error.instance_path and error.kind.as_dict()["property"] in nested:
            continue  # reported by the line that shows the nested form
        problems += _reported(error, prepared, accepted, arguments)
    problems = listed(list(dict.fromkeys(problems)))
    if large:
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
    """What no JSON document in UTF-8 can hold, and what is nested too deep for recursive code."""
    where = _path(path)
    if len(path) > MAX_DEPTH:
        return [f"{_path(path[:3])} is nested more than {MAX_DEPTH} levels deep; send flatter arguments"]
    if isinstance(value, str):
        if well_formed(value) != value:
            return [f"{where} holds half of a surrogate pair, e.g. of an emoji cut in two; send whole characters"]
        return []
    if isinstance(value, dict):
        lone = [f"a name of {where} holds half of a surrogate pair" for name in value if well_formed(name) != name]
        return [*lone, *(line for name, entry in value.items() for line in _unsendable(entry, (*path, name)))]
    if isinstance(value, list):
        return [line for index, entry in enumerate(value) for line in _unsendable(entry, (*path, index))]
    if isinstance(value, float) and not isfinite(value):
        return [f"{where} is {value}, which is not a JSON number"]
    return []


def check_record_rules(prepared: PreparedTool, arguments: Mapping[str, Json]) -> list[str]:
    """Messages of the record's own checks that refuse these arguments, which are complete as they will be sent."""
    return [message for validator, message in prepared.rule_validators if validator.is_valid(arguments)]


def _reported(
    error: Any, prepared: PreparedTool, accepted: Mapping[str, Json], arguments: Mapping[str, Json]
) -> list[str]:
    """One error of the validator as problems; an anyOf or oneOf is reported by its branch nearest to what was given."""
    kind = error.kind.as_dict()
    path = list(error.instance_path)
    where = _path(path)
    if error.kind.name in ("anyOf", "oneOf") and kind.get("context"):
        branch = min(kind["context"], key=lambda errors: _distance(errors, len(path)))
        return [
            line for nested in sorted(branch, key=_place) for line in _reported(nested, prepared, accepted, arguments)
        ]
    about = _about(accepted.get(str(path[0]))) if len(path) == 1 else ""
    match error.kind.name:
        case "additionalProperties" | "unevaluatedProperties":
            unexpected = kind["unexpected"][: MAX_PROBLEMS + 1]
            if not path:
                return [_unknown_argument(name, prepared, accepted, arguments) for name in unexpected]
            valid = sorted(_properties_at(error, accepted))
            return [
                f"{where} has no member {shown(name)}{did_you_mean(name, valid) if valid else ''}"
                for name in unexpected
            ]
        case "falseSchema":  # how the validator reports an object that is closed and has no members
            return [f"{where} is {shown(error.instance)}; no member is allowed there"]
        case "required":
            name = kind["property"]
            if not path:
                return [f'missing argument "{name}"{_about(accepted.get(name))}']
            return [f'{where} lacks "{name}"']
        case "type":
            return [f"{where} is {shown(error.instance)}; it must be {_or(kind['types'])}{about}"]
        case "enum":
            options = [spaced(option) for option in kind["options"]]
            return [f"{where} is {shown(error.instance)}; valid: {', '.join(options)}"]
        case "const":
            return [f"{where} is {shown(error.instance)}; it must be {spaced(kind['expected_value'])}"]
        case "maximum" | "exclusiveMaximum":
            strictly = "below" if error.kind.name == "exclusiveMaximum" else "at most"
            return [f"{where} is {shown(error.instance)}; it must be {strictly} {kind['limit']}"]
        case "minimum" | "exclusiveMinimum":
            strictly = "above" if error.kind.name == "exclusiveMinimum" else "at least"
            return [f"{where} is {shown(error.instance)}; it must be {strictly} {kind['limit']}"]
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
            return [f"{where} is {shown(error.instance)}; it needs at least {kind['limit']} of its members"]
        case "maxProperties":
            return [f"{where} has {len(error.instance)} members; at most {kind['limit']} are taken"]
        case "pattern":
            return [f"{where} is {shown(error.instance)}; it must match {kind['pattern']}{about}"]
        case "format":
            return [f"{where} is {shown(error.instance)}; it must be a {kind['format']}{about}"]
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
    name: str, prepared: PreparedTool, accepted: Mapping[str, Json], arguments: Mapping[str, Json]
) -> str:
    hint = prepared.hint(name, arguments[name])
    if hint is not None:
        return hint
    own = own_name(prepared, name)
    if own is not None and own not in arguments:
        return f"{shown(name)} is called {shown(own)} here"
    return f"unknown argument {shown(name)}{_suggested(name, list(accepted), arguments)}"


def _suggested(name: str, valid: Sequence[str], given: Mapping[str, Json]) -> str:
    """The end of a message about an unknown name; what is given already is not suggested."""
    if not valid:
        return ""
    suggestion = did_you_mean(name, [known for known in valid if known not in given]).partition(" valid: ")[0]
    return f"{suggestion} valid: {one_of(valid)}"


def _properties_at(error: Any, accepted: Mapping[str, Json]) -> list[str]:
    """Names that are valid where the error stands, found by following its schema path from the input schema."""
    node: Json = {"properties": accepted}
    for step in list(error.schema_path)[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return []
    properties = node.get("properties", {}) if isinstance(node, dict) else {}
    return list(properties)


_SENTENCE_END = re.compile(r"(?<!\be\.g)(?<!\bi\.e)\. ")


def _about(schema: Json) -> str:
    """The first sentence of a parameter's description, behind a colon."""
    description = schema.get("description", "") if isinstance(schema, dict) else ""
    return f": {_SENTENCE_END.split(description)[0].rstrip('.')}" if description else ""


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
