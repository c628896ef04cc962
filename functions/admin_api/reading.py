"""Request bodies: from bytes to a checked model, and the words for what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from functions.admin_api.contract import Body
from functions.admin_api.servers.contract import MAX_GRACE_SECONDS
from functions.gateway import json_text
from functions.gateway.errors import Invalid, invalid
from functions.gateway.json_text import Json
from functions.gateway.wording import did_you_mean, shown

Read = TypeVar("Read", bound=Body)


def read(model: type[Read], raw: bytes) -> Read:
    """A request body. Raises Invalid with every problem."""
    document = read_object(raw)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid([_problem(model, entry) for entry in error.errors()]) from None


def read_object(raw: bytes) -> dict[str, Json]:
    """A JSON object that UTF-8 can hold. Raises Invalid."""
    document = read_json(raw)
    if not isinstance(document, dict):
        raise Invalid(f"the request body is {_kind(document)}; it must be a JSON object")
    return document


def read_json(raw: bytes) -> Json:
    """Any JSON value that UTF-8 can hold. Raises Invalid."""
    try:
        return json_text.decode(raw)
    except json_text.NotJson as error:
        raise Invalid(f"the request body is not valid JSON: {error}") from None


_MUST_BE = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
}


def _problem(model: type[Body], error: Mapping[str, Any]) -> str:
    """One pydantic error in our words."""
    path = [str(step) for step in error["loc"] if step != "[key]"]
    where = ".".join(path)
    kind, context = error["type"], error.get("ctx", {})
    value = "not right" if path[:1] == ["credentials"] else shown(error["input"])
    match kind:
        case "extra_forbidden":
            return f"{where}: unknown key{did_you_mean(path[-1], _keys(model, path[:-1]))}"
        case "missing":
            return f"{where}: missing; {_purpose(model, where)}"
        case "literal_error":
            options = [option for option in ("manage", "connect") if option in context["expected"]]
            return f"{where} is {value}{did_you_mean(str(error['input']), options)}"
        case "string_too_short" | "too_short":
            return f"{where} is empty; it needs at least one {'character' if kind[0] == 's' else 'entry'}"
        case "string_too_long":
            return f"{where} is {len(error['input'])} characters long; at most {context['max_length']} are taken"
        case "too_long":
            return f"{where} has {len(error['input'])} entries; at most {context['max_length']} are taken"
        case "greater_than_equal" | "less_than_equal":
            return f"{where} is {value}; it must be a whole number from 0 to {MAX_GRACE_SECONDS}"
        case "string_pattern_mismatch":
            return (
                f"{where} is {value}; an id is letters, digits, - and _, at most 64, and starts with a letter or digit"
            )
        case "value_error":
            return f"{where} is {value}; {context['error']}"
        case _ if kind in _MUST_BE:
            return f"{where} is {value}; it must be {_MUST_BE[kind]}"
        case _:
            return f"{where} is {value}; {error['msg']}"


_PURPOSES = {
    "integration": "which API this account is of, as mem0",
    "credentials": 'the integration\'s credential fields, as {"api_key": "..."}',
    "name": "any text that tells it from the others",
    "scopes": 'what the token is for, as ["connect"]; valid: manage, connect',
}


def _purpose(model: type[Body], where: str) -> str:
    assert model.model_fields[where].is_required()
    return _PURPOSES[where]


def _keys(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Valid keys of the object at `path`."""
    for step in path:
        annotation = model.model_fields[step].annotation
        model = next(kind for kind in (annotation, *get_args(annotation)) if _is_model(kind))
    return list(model.model_fields)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _kind(value: Json) -> str:
    names = {list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return names.get(type(value), "null")
