"""Two schemas become one: the schema for which both hold (`allOf`), or the one for which either holds."""

from __future__ import annotations

from collections.abc import Mapping

from tool_catalog.catalog import Json

Schema = dict[str, Json]

FORMATS = ("date", "date-time", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid")
"""The formats that are kept: JSON Schema defines them and argument checks know them. A model learns nothing from int32,
double or password."""

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_TIGHTER = {"minimum": max, "minLength": max, "minItems": max, "maximum": min, "maxLength": min, "maxItems": min}


def merge_into(result: Schema, part: Schema) -> None:
    """Merge `part` into `result` so that both hold, as `allOf` means it. A text of `part` replaces one of `result`."""
    for key, value in part.items():
        if key not in result or key in ("description", "title", "default", "nullable", "readOnly", "writeOnly"):
            result[key] = value
        elif key == "properties" and isinstance(value, dict):
            properties = dict(result[key])
            for name, schema in value.items():
                same = name not in properties or properties[name] == schema
                properties[name] = schema if same else _both(properties[name], schema)
            result[key] = properties
        elif key == "required":
            result[key] = [
                *as_list(result[key]),
                *(name for name in as_list(value) if name not in as_list(result[key])),
            ]
        elif key == "enum":
            result[key] = [entry for entry in result[key] if entry in value]
        elif key == "type":
            result[key] = _common_kind(result[key], value)
        elif key in _TIGHTER and type(value) in (int, float) and type(result[key]) in (int, float):
            result[key] = _TIGHTER[key](result[key], value)
        elif key == "additionalProperties":
            result[key] = value if result[key] is True else result[key]


def _both(inherited: Json, own: Json) -> Json:
    """A property that is declared twice. Whether it is part of a request is for the last declaration to say."""
    flags = {flag: own[flag] if isinstance(own, dict) and flag in own else False for flag in ("readOnly", "writeOnly")}
    stated = {flag: value for flag, value in flags.items() if value or _states(inherited, flag)}
    return {"allOf": [inherited, own], **stated}


def _states(schema: Json, flag: str) -> bool:
    return isinstance(schema, dict) and (flag in schema or "$ref" in schema or "allOf" in schema)


def either(one: Json, other: Json) -> Json:
    """A schema for a property of two alternatives: it allows what either allows."""
    if one == other or not (isinstance(one, dict) and isinstance(other, dict)):
        return one
    values = [_values(one), _values(other)]
    if all(values):
        rest = {key: value for key, value in one.items() if key not in ("const", "enum", "default")}
        return {**rest, "enum": [*values[0], *(value for value in values[1] if value not in values[0])]}
    texts = ("description", "title")
    options = [*_options(one), *(option for option in _options(other) if option not in _options(one))]
    bare = [{key: value for key, value in option.items() if key not in texts} for option in options]
    if all(option == bare[0] for option in bare):
        return one
    told = {key: schema[key] for schema in (other, one) for key in texts if key in schema}
    return {**told, "anyOf": options}


def _options(schema: Schema) -> list[Schema]:
    """The alternatives of a schema that is nothing but a choice; else the schema itself."""
    options = schema.get("anyOf")
    return options if isinstance(options, list) and set(schema) <= {"anyOf", "description", "title"} else [schema]


def _values(schema: Schema) -> list[Json]:
    return [schema["const"]] if "const" in schema else as_list(schema.get("enum"))


def _common_kind(one: Json, other: Json) -> Json:
    common = [kind for kind in listed(one) if kind in listed(other)]
    return common[0] if len(common) == 1 else common or one


def kind_of(schema: Mapping[str, Json]) -> Json:
    """The stated type (a name or a list of names), or the one that other keywords imply; None when there is none.

    Listed values of which none has the stated type say the type themselves: nothing could be sent otherwise.
    """
    stated = [kind for kind in listed(schema.get("type")) if kind in _TYPES]
    kinds = sorted({_type_of(value) for value in as_list(schema.get("enum"))})
    if stated and (not kinds or any(kind in stated or (kind == "integer" and "number" in stated) for kind in kinds)):
        return stated[0] if len(stated) == 1 else stated
    if not stated and ("properties" in schema or isinstance(schema.get("additionalProperties"), dict)):
        return "object"
    if not stated and "items" in schema:
        return "array"
    if kinds:
        return kinds[0] if len(kinds) == 1 else kinds
    if "pattern" in schema or "maxLength" in schema or schema.get("format") in FORMATS:
        return "string"
    return None


def _type_of(value: Json) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return kinds.get(type(value), "object")


def listed(kind: Json) -> list[str]:
    return [kind] if isinstance(kind, str) else as_list(kind)


def as_dict(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
