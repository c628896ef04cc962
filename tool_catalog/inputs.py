"""The input of a tool: the schemas of path, body, query, headers and cookies in one object, and the way back.

Two results, made together so that they cannot disagree: the input schema a model sees, and the parameters that split a
call's arguments into one upstream request again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from functions.gateway.portable_schema import portable
from tool_catalog import catalog, schemas
from tool_catalog.catalog import Json
from tool_catalog.gate import Gate
from tool_catalog.records import MethodRecord, ParameterRecord
from tool_catalog.request_template import FORM_MEDIA_TYPE, JSON_MEDIA_TYPE, STYLES, media_kind
from tool_catalog.schemas import Expander, Place

Schema = dict[str, Json]

LOCATIONS = ("path", "body", "query", "header", "cookie")
"""The parts of a request that take arguments, in the order their arguments are listed."""

DESCRIPTION_LENGTH = (8, 600)
"""Characters of an argument's description."""

ARGUMENT_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What model APIs accept as a property name of a tool's arguments."""

FORBIDDEN_AT_ROOT = ("anyOf", "oneOf", "allOf", "not", "enum", "const", "if", "then", "else")
"""Keywords that model APIs refuse at the root of a tool's input schema."""

FORBIDDEN_HEADERS = (
    *("authorization", "proxy-authorization", "cookie", "host", "content-length", "content-type"),
    *("transfer-encoding", "connection", "te", "trailer", "upgrade", "expect"),
)
"""Headers that carry the credential or frame the request; no argument may set them."""

MAX_TOKENS = (100, 100_000)
"""Least and most a caller may ask for with `max_tokens`; above it hosts cut the result themselves."""

MAX_WAIT_SECONDS = 20
"""Longest wait for an outcome, in seconds: a platform ends a request after 30, and hosts wait for 60."""

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""A path parameter in a request line."""

ALL = "all"
"""The argument that confirms a call of a destructive tool that has no other; it is never sent upstream."""

_ALL = "Confirms that everything named in the description is meant."
_LIMIT = "Items per page."
_WAIT = "Wait for the outcome."
_NEXT_CURSOR = "next_cursor of the previous result, unchanged."
_FIELDS = "JMESPath applied to each item, e.g. {example}."
_FROM_CHARACTER = "Where to go on in a long {text}: the number of characters read so far."
_MAX_TOKENS = "Most tokens of this result, which says what was left out."


def compile_input(
    record: MethodRecord,
    place: Place,
    expander: Expander,
    *,
    context: Mapping[str, Json],
    item: Schema | None,
    destroys: bool,
    gate: Gate,
) -> tuple[Schema, Schema, list[dict[str, Json]]]:
    """The input schema that calls are checked against, the one that a model sees, and the parameters of one method.

    `context` holds the account's known context keys; `item` is the documented schema of one item of a list-like tool.
    `destroys`: the tool removes or overwrites data; one without arguments gets an argument that confirms the call.
    """
    properties: dict[str, Schema] = {}
    required: list[str] = []
    origin: dict[str, str] = {}
    whole_body = False
    for location in LOCATIONS:
        for argument, schema, needed, where in _arguments(record, location, place, expander, gate):
            whole_body |= where.path[-1] == "body_schema"
            if argument in properties:
                gate.report(where, f'"{argument}" already comes from {origin[argument]}_schema; {_RENAME}')
                continue
            properties[argument], origin[argument] = schema, location
            if needed:
                required.append(argument)
            _check_argument(argument, schema, where, gate)
    parameters = [
        _parameter(record, location, argument, place, gate, whole=whole_body and location == "body")
        for argument, location in origin.items()
    ]
    parameters += _hidden_parameters(record, origin, place, gate)
    for name, mapping in record.parameters.items():
        if mapping.context is not None and mapping.context not in context:
            known = ", ".join(context) or "none"
            where = place.at("parameters", name, "context")
            gate.report(
                where, f'"{mapping.context}" is not described under "context" of integration.yaml; there: {known}'
            )
    _check_path(record, parameters, place, gate)
    _check_cover(parameters, place, gate, alone=whole_body and (record.body_schema or {}).get("type") != "object")
    for argument, schema in _injected(record, item):
        if argument in properties:
            gate.report(place, f'argument "{argument}" is ours on this tool; leave the upstream one out, or {_RENAME}')
        properties[argument] = schema
        parameters.append(_compact(location="result", name=argument, argument=argument, value=schema.get("default")))
    if destroys and not properties:
        properties[ALL] = {"type": "boolean", "enum": [True], "description": _ALL}
        required.append(ALL)
        parameters.append(_compact(location="result", name=ALL, argument=ALL))
    if record.event is not None:
        if catalog.WAIT in properties:
            gate.report(
                place, f'argument "{catalog.WAIT}" is ours on this tool; leave the upstream one out, or {_RENAME}'
            )
        properties[catalog.WAIT] = {"type": "integer", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "description": _WAIT}
        parameters.append(_compact(location="result", name=catalog.WAIT, argument=catalog.WAIT))
    root: Schema = {"type": "object", "properties": properties}
    if required:
        root["required"] = required
    root["additionalProperties"] = False
    return schemas.exact(root), portable(schemas.displayed(root)), parameters


def confirmed(example: dict[str, Json], schema: Schema) -> dict[str, Json]:
    """The example of a record, with the confirmation where the tool has no other argument."""
    return {**example, ALL: True} if list(schema["properties"]) == [ALL] and not example else example


_RENAME = 'rename it and give its upstream name under "parameters"'


def _arguments(
    record: MethodRecord, location: str, place: Place, expander: Expander, gate: Gate
) -> Iterator[tuple[str, Schema, bool, Place]]:
    """The arguments one of the four schemas contributes: name, schema, whether required, place."""
    raw = getattr(record, f"{location}_schema")
    if raw is None:
        return
    where = place.at(f"{location}_schema")
    schema = expander.expand(raw, where)
    if location == "body" and media_kind(media_type(record)) is None and schema.get("type") != "string":
        gate.report(where, f"a body of {media_type(record)} is one text, its bytes in Base64: write type: string")
    if location == "body" and not _is_flat(schema):
        yield record.body_argument, schema, record.body_required is not False, where
        return
    if schema.get("type") != "object":
        gate.report(where, f"root must be type: object, is {schema.get('type', 'not stated')}")
        return
    for keyword in FORBIDDEN_AT_ROOT:
        if keyword in schema:
            gate.report(where.at(keyword), 'model APIs refuse it at the root of a tool; say it under "checks" instead')
    if schema.get("additionalProperties", False) is not False:
        gate.report(where.at("additionalProperties"), "the root is always closed; state each argument")
    for argument, part in schema.get("properties", {}).items():
        needed = argument in schema.get("required", ()) and not (location == "body" and record.body_required is False)
        if location == "path":
            mapping = record.parameters.get(argument, ParameterRecord())
            needed = mapping.context is None and mapping.value is None
        yield argument, part, needed, where.at("properties", argument)


def _is_flat(schema: Schema) -> bool:
    """Whether the members of a body become arguments. A list, a map, a text or a choice is one argument as a whole."""
    if schema.get("type") != "object":
        return False
    return "properties" in schema or not schema.get("additionalProperties", False)


def _check_argument(argument: str, schema: Json, place: Place, gate: Gate) -> None:
    if not ARGUMENT_NAME.fullmatch(argument):
        gate.report(place, f'model APIs take only 1 to 64 letters, digits, "_", "." and "-" here; {_RENAME}')
    if not isinstance(schema, dict):
        gate.report(place, "must be a JSON Schema with a description")
        return
    if not str(schema.get("description", "")).strip():
        gate.report(place, "missing description: what it is, unit, limit, default, an example value")
    else:
        gate.length(place.at("description"), schema["description"], DESCRIPTION_LENGTH)
    if not {"type", "anyOf", "oneOf", "enum", "const"} & set(schema):
        gate.report(place, "missing type")
    checked = schemas.exact(schema)
    gate.problems += schemas.loose_objects(checked, place)
    for part, where in schemas.walk(schema, place):
        if schemas.SHOWN in part:
            gate.problems += schemas.narrower(part[schemas.SHOWN], schemas.exact(part), where.at(schemas.SHOWN))


def _parameter(
    record: MethodRecord, location: str, argument: str, place: Place, gate: Gate, *, whole: bool
) -> dict[str, Json]:
    mapping = record.parameters.get(argument, ParameterRecord())
    where = place.at("parameters", argument)
    if mapping.location is not None:
        gate.report(where.at("location"), f"known from {location}_schema; leave it out")
    if mapping.style is not None and mapping.style not in (styles := _styles(record, location)):
        where_to = "body, which is not a form" if location == "body" and not styles else location
        known = f"; styles there: {', '.join(styles)}" if styles else ""
        gate.report(where.at("style"), f'"{mapping.style}" is not a style of the {where_to}{known}')
    if mapping.map is not None:
        gate.jmespath(where.at("map"), mapping.map)
    name = ("" if whole else argument) if mapping.name is None else mapping.name
    if location == "header" and name.lower() in FORBIDDEN_HEADERS:
        where = place.at("header_schema", "properties", argument)
        gate.report(where, f'no argument may set the header "{name}": it carries the credential or frames the request')
    return _compact(
        location=location,
        name=name,
        argument=argument,
        style=mapping.style,
        explode=mapping.explode,
        allow_reserved=mapping.allow_reserved or None,
        context=mapping.context,
        value=mapping.value,
        map=mapping.map,
    )


def _styles(record: MethodRecord, location: str) -> tuple[str, ...]:
    if location != "body":
        return STYLES[location]
    kind = media_kind(media_type(record))
    return STYLES[kind] if kind in ("form", "multipart") else ()


def body_check(record: MethodRecord) -> dict[str, Json] | None:
    """The check of a body that may be left out, but that has required members if any part of it is given."""
    schema = record.body_schema or {}
    members, needed = list(schema.get("properties", ())), list(schema.get("required", ()))
    if record.body_required is not False or not needed or len(members) < 2:
        return None
    return {
        "schema": {"anyOf": [{"required": [name]} for name in members], "not": {"required": needed}},
        "message": f"a body needs {' and '.join(needed)}; to send no body, leave out {', '.join(members)}",
    }


def media_type(record: MethodRecord) -> str:
    """The media type of the method's body."""
    known = {"json": JSON_MEDIA_TYPE, "form": FORM_MEDIA_TYPE}
    return known.get(record.body_format, record.body_format)


def _hidden_parameters(
    record: MethodRecord, origin: Mapping[str, str], place: Place, gate: Gate
) -> list[dict[str, Json]]:
    """Parameters that are not arguments: constants, context values, and filters that come from a pin alone."""
    found = []
    for name, mapping in record.parameters.items():
        if name in origin:
            continue
        where = place.at("parameters", name)
        pinned = bool(record.pin and record.pin.required and record.pin.argument == name)
        if mapping.location in (None, "result"):
            gate.report(
                where, 'is not an argument of the tool; fix the name, or give "location" and "value" or "context"'
            )
        elif mapping.map is not None:
            gate.report(where.at("map"), "is for an argument of the tool; write the value as it is sent")
        elif mapping.value is None and mapping.context is None and not pinned:
            gate.report(where, 'sends nothing: give "value" or "context"')
        found.append(
            _compact(
                location=mapping.location,
                name=mapping.name or name,
                argument=name if pinned else None,
                style=mapping.style,
                explode=mapping.explode,
                allow_reserved=mapping.allow_reserved or None,
                context=mapping.context,
                value=mapping.value,
            )
        )
    return found


def _check_path(record: MethodRecord, parameters: list[dict[str, Json]], place: Place, gate: Gate) -> None:
    """Each path parameter has a schema, and each path argument a place in the path."""
    in_path = PLACEHOLDER.findall(record.request)
    known = [parameter["name"] for parameter in parameters if parameter.get("location") == "path"]
    for name in in_path:
        if name not in known:
            gate.report(place.at("request"), f'path parameter "{{{name}}}" has no schema; describe it in path_schema')
    for name in known:
        if name not in in_path:
            gate.report(place.at("path_schema"), f'"{name}" does not occur in {record.request}')


def _check_cover(parameters: list[dict[str, Json]], place: Place, gate: Gate, *, alone: bool) -> None:
    """No part of the request is written by two parameters, and none is overwritten by another.

    `alone`: one argument is the whole body, to which nothing can be added.
    """
    seen: dict[tuple[str, str], str] = {}
    for parameter in parameters:
        if "location" not in parameter:
            continue  # reported where it stands
        location, name = str(parameter["location"]), str(parameter["name"])
        source = str(parameter.get("argument", name))
        if (other := seen.setdefault((location, name.lower() if location == "header" else name), source)) != source:
            gate.report(place.at("parameters"), f'"{other}" and "{source}" are both sent as "{name}" in the {location}')
    if alone and len([location for location, _ in seen if location == "body"]) > 1:
        gate.report(place.at("parameters"), "the whole body is one argument; nothing else can be sent in it")
    in_body = [(name.removeprefix("/"), source) for (location, name), source in seen.items() if location == "body"]
    for name, source in in_body:
        inside = [other for inner, other in in_body if inner.startswith(f"{name}/")]
        for other in inside:
            gate.report(place.at("parameters"), f'"{other}" is sent inside "{source}", which would overwrite it')


def _injected(record: MethodRecord, item: Schema | None) -> Iterator[tuple[str, Schema]]:
    """The arguments that every paged and every list-like tool has, in the same words everywhere."""
    pagination, result = record.pagination, record.result
    if pagination is not None:
        if pagination.size is not None and pagination.collect == 1:
            maximum = pagination.max_size or pagination.default_size
            limits = {"minimum": 1, "maximum": maximum, "default": pagination.default_size}
            yield "limit", {"type": "integer", **limits, "description": _LIMIT}
        yield "next_cursor", {"type": "string", "description": _NEXT_CURSOR}
    if result.long_text is not None:
        text = _FROM_CHARACTER.format(text=result.long_text)
        yield "from_character", {"type": "integer", "minimum": 0, "description": text}
    if result.items is not None:
        if result.fields:
            text = _FIELDS.format(example=fields_example(item))
            yield "fields", {"type": "string", "minLength": 1, "description": text}
        budget: Schema = {"type": "integer", "minimum": MAX_TOKENS[0], "maximum": MAX_TOKENS[1]}
        if result.max_tokens is None:
            yield "max_tokens", {**budget, "description": _MAX_TOKENS}
        else:
            yield "max_tokens", {**budget, "default": result.max_tokens, "description": _MAX_TOKENS}


def fields_example(item: Schema | None) -> str:
    """A projection of the first two documented members of an item."""
    names = [name for name in (item or {}).get("properties", {}) if name.isidentifier()][:2] or ["id"]
    return "{" + ", ".join(f"{name}: {name}" for name in names) + "}"


def _compact(**parameter: Json) -> dict[str, Json]:
    """A parameter without what `request_template.Parameter` defaults to."""
    return {key: value for key, value in parameter.items() if value is not None}
