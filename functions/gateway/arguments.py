"""Are the arguments right? Every problem at once, each in words that show the form that works.

The schema is the one the caller sees (pinned and fixed arguments are not in it); a record's `checks` then look at the
arguments as they will be sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from functions.gateway.scope import Offer
from tool_catalog.catalog import Catalog, Check, Tool

Json = Any

SHOWN_VALUE_CHARS = 80
"""Characters of an offending value that a message repeats."""

MAX_PROBLEMS = 20
"""Problems told in one answer; more would not help and could be made to grow without bound."""


def check(offer: Offer, tool: Tool, catalog: Catalog, arguments: Mapping[str, Json]) -> list[str]:
    """Problems of the arguments against the schema the caller sees; empty when there are none."""
    errors = list(offer.validator.iter_errors(arguments))
    if not errors:
        return []
    shown = offer.definition["inputSchema"]["properties"]
    nested = {
        name for name in arguments if name in catalog.scope and name not in shown and "filters" in _all_arguments(tool)
    }
    problems: list[str] = []
    for error in errors:
        if nested and error.kind.name == "required" and error.kind.as_dict()["property"] == "filters":
            continue  # told by the line that shows the nested form
        problems += _tell(error, tool, shown, catalog, arguments)
    problems = list(dict.fromkeys(problems))
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS:] = [f"and {len(problems) - MAX_PROBLEMS} more problems"]
    return problems


def check_record_rules(tool: Tool, arguments: Mapping[str, Json]) -> list[str]:
    """Messages of the record's own checks that these arguments, as they will be sent, run into."""
    return [check.message for check in tool.checks if _matches(_Rule(check), arguments)]


class _Rule:
    """A check as a cache key: by identity, because compiled checks live as long as the process."""

    __slots__ = ("check",)

    def __init__(self, check: Check) -> None:
        self.check = check

    def __hash__(self) -> int:
        return id(self.check)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rule) and self.check is other.check


@lru_cache(maxsize=512)
def _validator(rule: _Rule) -> Any:
    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(dict(rule.check.schema))


def _matches(rule: _Rule, arguments: Mapping[str, Json]) -> bool:
    return bool(_validator(rule).is_valid(arguments))


def _all_arguments(tool: Tool) -> Mapping[str, Json]:
    arguments: Mapping[str, Json] = tool.definition["inputSchema"]["properties"]
    return arguments


def _tell(
    error: Any, tool: Tool, shown: Mapping[str, Json], catalog: Catalog, arguments: Mapping[str, Json]
) -> list[str]:
    """One error of the validator as problems; the branches of an anyOf or oneOf are told by the nearest branch."""
    kind = error.kind.as_dict()
    path = list(error.instance_path)
    where = _path(path)
    if error.kind.name in ("anyOf", "oneOf") and kind.get("context"):
        branch = min(kind["context"], key=lambda errors: _distance(errors, len(path)))
        return [line for nested in branch for line in _tell(nested, tool, shown, catalog, arguments)]
    match error.kind.name:
        case "additionalProperties" | "unevaluatedProperties":
            if not path:
                return [_unknown_argument(name, tool, shown, catalog, arguments) for name in kind["unexpected"]]
            valid = sorted(_properties_at(error, shown))
            return [f'{where} has no member "{name}"{_hint(name, valid)}' for name in kind["unexpected"]]
        case "required":
            name = kind["property"]
            if not path:
                return [f'missing argument "{name}"{_about(shown.get(name))}']
            return [f'{where} lacks "{name}"']
        case "type":
            return [f"{where} is {_show(error.instance)}; it must be {_or(kind['types'])}"]
        case "enum":
            options = [json.dumps(option, ensure_ascii=False) for option in kind["options"]]
            return [f"{where} is {_show(error.instance)}; valid: {', '.join(options)}"]
        case "const":
            return [f"{where} is {_show(error.instance)}; it must be {json.dumps(kind['expected_value'])}"]
        case "maximum" | "exclusiveMaximum":
            strictly = "below" if error.kind.name == "exclusiveMaximum" else "at most"
            return [f"{where} is {_show(error.instance)}; it must be {strictly} {kind['limit']}"]
        case "minimum" | "exclusiveMinimum":
            strictly = "above" if error.kind.name == "exclusiveMinimum" else "at least"
            return [f"{where} is {_show(error.instance)}; it must be {strictly} {kind['limit']}"]
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
            return [f"{where} is {_show(error.instance)}; it needs at least {kind['limit']} of its members"]
        case "maxProperties":
            return [f"{where} has {len(error.instance)} members; at most {kind['limit']} are taken"]
        case "pattern":
            return [f"{where} is {_show(error.instance)}; it must match {kind['pattern']}"]
        case "format":
            return [f"{where} is {_show(error.instance)}; it must be a {kind['format']}"]
        case _:
            return [f"{where}: {error.message[:300]}"]


def _distance(errors: Sequence[Any], depth: int) -> tuple[int, int]:
    """How far a branch is from what was given: a wrong type or shape at the branch's own root is far, a wrong value
    deeper inside is near."""
    at_root = sum(len(list(error.instance_path)) == depth for error in errors)
    return at_root, len(errors)


def _unknown_argument(
    name: str, tool: Tool, shown: Mapping[str, Json], catalog: Catalog, arguments: Mapping[str, Json]
) -> str:
    every = _all_arguments(tool)
    if name in every:
        return f'"{name}" is fixed by this server; leave it out'
    if name in catalog.scope:
        if "filters" in shown:
            form = json.dumps({"filters": {name: arguments[name]}}, ensure_ascii=False)
            return f'"{name}" is not a top-level argument; nest it: {_cut(form, 200)}'
        if tool.scope is not None and tool.scope.required:
            return f'"{name}" is fixed by this server; leave it out'
    if name == "filters" and any(entity in shown for entity in catalog.scope):
        entities = ", ".join(entity for entity in catalog.scope if entity in shown)
        return f'"filters" is not an argument of this tool; give {entities} at the top level'
    return f'unknown argument "{name}"{_hint(name, list(shown))}'


def _properties_at(error: Any, shown: Mapping[str, Json]) -> list[str]:
    """Names that are valid where the error stands, found by following its schema path from the input schema."""
    node: Json = {"properties": shown}
    for step in list(error.schema_path)[:-1]:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return []
    properties = node.get("properties", {}) if isinstance(node, Mapping) else {}
    return list(properties)


def _hint(name: str, valid: Sequence[str]) -> str:
    if not valid:
        return ""
    close = get_close_matches(name, valid, n=1, cutoff=0.6)
    suggestion = f'; did you mean "{close[0]}"?' if close else ""
    return f"{suggestion or ';'} valid: {', '.join(valid)}"


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


def _show(value: Json) -> str:
    return _cut(json.dumps(value, ensure_ascii=False), SHOWN_VALUE_CHARS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."
