"""Request bodies: from bytes to a checked model, and the words for what is wrong with one.

A message names what is valid. It reads ranges, words and descriptions from the model's own JSON Schema, which is part
of the OpenAPI document. A value under `credentials` is never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from functions.admin_api.contract import Body, in_a_sentence
from functions.gateway.errors import Invalid, invalid
from functions.gateway.json_text import Json, NotJson, decode
from functions.gateway.wording import did_you_mean, shown

Read = TypeVar("Read", bound=Body)

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}

_MUST_BE = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}
"""pydantic's error types -> what the value must be."""


def read(model: type[Read], raw: bytes) -> Read:
    """A request body. Raises Invalid with every problem."""
    document = read_object(raw)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid([_problem(model, entry) for entry in error.errors()]) from None


def read_object(raw: bytes) -> dict[str, Json]:
    """A request body that is a JSON object. Raises Invalid."""
    document = read_json(raw)
    if not isinstance(document, dict):
        raise Invalid(f"the request body is {_KINDS[type(document)]}; it must be a JSON object")
    return document


def read_json(raw: bytes) -> Json:
    """A request body that is any JSON value. Raises Invalid."""
    try:
        return decode(raw)
    except NotJson as error:
        raise Invalid(f"the request body is not valid JSON: {error}") from None


def _problem(model: type[Body], error: Mapping[str, Any]) -> str:
    """One error of pydantic in our words."""
    path = [step for step in error["loc"] if step != "[key]"]
    where = ".".join(map(str, path))
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    value = "not valid" if path[:1] == ["credentials"] else shown(given)
    match kind:
        case "extra_forbidden":
            return f"{where}: unknown key{did_you_mean(str(path[-1]), _schema_at(model, path[:-1])['properties'])}"
        case "missing":
            return f"{where} is missing; it is required: {in_a_sentence(_schema_at(model, path)['description'])}"
        case "literal_error":
            return f"{where} is {value}{did_you_mean(str(given), _schema_at(model, path)['enum'])}"
        case "string_too_short" | "too_short":
            return f"{where} is empty; it needs at least one {'character' if isinstance(given, str) else 'entry'}"
        case "string_too_long" | "too_long":
            counted = "characters" if isinstance(given, str) else "entries"
            return f"{where} has {len(given):,} {counted}; at most {context['max_length']:,} are allowed"
        case "greater_than_equal" | "less_than_equal":
            schema = _schema_at(model, path)
            return f"{where} is {value}; it must be a whole number from {schema['minimum']} to {schema['maximum']}"
        case "value_error":
            return f"{where} is {value}; {context['error']}"
        case _ if kind in _MUST_BE:
            return f"{where} is {value}; it must be {_MUST_BE[kind]}"
        case _:
            return f"{where} is {value}; {error['msg']}"


def _schema_at(model: type[Body], path: Sequence[str | int]) -> dict[str, Json]:
    """What the model's JSON Schema says of the value at `path`."""
    root = _schema(model)
    found = root
    for step in path:
        if isinstance(step, int):
            found = _resolved(root, found["items"])
        else:
            found = _resolved(root, found.get("properties", {}).get(step) or found["additionalProperties"])
    return found


def _resolved(root: Mapping[str, Json], schema: Mapping[str, Json]) -> dict[str, Json]:
    """The schema without a reference and without the alternative null; its other members stay."""
    found = dict(schema)
    if "$ref" in found:
        found = {**root["$defs"][found.pop("$ref").rpartition("/")[2]], **found}
    if "anyOf" in found:
        [other] = [branch for branch in found.pop("anyOf") if branch != {"type": "null"}]
        found = {**_resolved(root, other), **found}
    return found


@cache
def _schema(model: type[Body]) -> dict[str, Json]:
    return model.model_json_schema()
