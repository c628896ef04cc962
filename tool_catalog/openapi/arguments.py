"""The parameters and the body of an operation become the arguments of a tool, with names that models can use."""

from __future__ import annotations

import re
from collections.abc import Mapping

from functions.gateway.portable_schema import portable
from tool_catalog.catalog import Json
from tool_catalog.gate import DRAFT
from tool_catalog.inputs import ARGUMENT_NAME, DESCRIPTION_LENGTH, FORBIDDEN_HEADERS
from tool_catalog.naming import snake_case
from tool_catalog.openapi import request_bodies
from tool_catalog.openapi.document import placeholder
from tool_catalog.openapi.request_bodies import Body, style
from tool_catalog.openapi.samples import fits, sample
from tool_catalog.openapi.schema_conversion import Converter, Note
from tool_catalog.openapi.subjects import Argument, Context, NotCallable, Subject
from tool_catalog.openapi.texts import fitted, plain
from tool_catalog.request_template import FORM_MEDIA_TYPE, media_kind

Schema = dict[str, Json]

_ANY_TYPE = ("string", "number", "boolean", "object", "array", "null")
"""Types of a member of a body for which the source names none."""

_IGNORED_HEADERS = ("accept", "content-type", "authorization")
"""OpenAPI says that parameters of these names have no effect."""


def arguments(
    context: Context, subject: Subject, cuts: list[Note], *, replaced: tuple[str, ...], ours: tuple[str, ...]
) -> tuple[Body, dict[str, Argument]]:
    """The body, and all arguments by name. Raises NotCallable and Unresolvable.

    What was cut short is added to `cuts`. `replaced` are the query parameters that paging replaces, and `ours` are the
    names of the arguments that the compiler adds.
    """
    body = request_bodies.read(context, subject, cuts)
    found = _named([*_parameters(context, subject, cuts, replaced), *body.arguments], subject, ours)
    whole = next((name for name, one in found.items() if one.whole), "body")
    if whole != "body":
        body.keys["body_argument"] = whole
    for one in found.values():
        if not {"type", "anyOf", "oneOf", "enum", "const"} & set(one.schema):
            one.schema["type"] = list(_ANY_TYPE) if one.location == "body" else "string"
        if context.draft_texts and not _described(one.schema):
            words = " ".join(snake_case(one.label or one.upstream or "body").split("_"))
            one.schema["description"] = f"{DRAFT}the {words} of the {subject.placement.resource.replace('_', ' ')}."
    if context.described_only:
        found = _described_only(body, found, cuts)
    return body, found


def _described_only(body: Body, found: Mapping[str, Argument], cuts: list[Note]) -> dict[str, Argument]:
    """The arguments that pass the gate: a required member with one possible value becomes a constant, and an optional
    argument without a description is left out. A body that has to be sent keeps its members, so that the gate asks for
    their descriptions, rather than a tool that can never send one passing."""
    kept: dict[str, Argument] = {}
    in_body = [one for one in found.values() if one.location == "body"]
    bodyless = body.sent and bool(in_body) and not any(one.required or _described(one.schema) for one in in_body)
    for name, one in found.items():
        only = one.schema.get("enum", [one.schema["const"]] if "const" in one.schema else [])
        if _described(one.schema) or (bodyless and one.location == "body"):
            kept[name] = one
        elif one.required and len(only) == 1 and one.location in ("body", "query", "header"):
            sent_as = {key: value for key, value in one.sent_as(name).items() if key != "context"}
            body.constants[name] = {**sent_as, "location": one.location, "value": only[0]}
        elif one.required:
            kept[name] = one
        else:
            cuts.append(Note((f"{one.location}_schema", "properties", name), "left out, because nobody describes it"))
    return kept


def _parameters(context: Context, subject: Subject, cuts: list[Note], replaced: tuple[str, ...]) -> list[Argument]:
    """The arguments in path, query, headers and cookies. Paging replaces the ones named in `replaced`."""
    operation, placement = subject.operation, subject.placement
    found: dict[str, list[Argument]] = {"path": [], "query": [], "header": [], "cookie": []}
    in_path = re.findall(r"\{([^{}]*)\}", operation.template)
    constants = dict(operation.constants)
    for parameter in operation.parameters:
        name, location = parameter["name"], str(parameter.get("in"))
        if (
            (location == "query" and (name in replaced or name in constants))
            or (location == "path" and placeholder(name) not in in_path)
            or (location == "header" and name.lower() in (*_IGNORED_HEADERS, *FORBIDDEN_HEADERS))
            or (location != "path" and name.lower() in context.credential_names)
        ):
            continue
        try:
            if location == "querystring":
                found["query"].append(_querystring(context, parameter, cuts))
                continue
            if location not in found:
                raise NotCallable(f'needs "{name}" in the {location}, where nothing can be sent')
            one = _parameter(context, parameter, cuts)
        except NotCallable as error:
            if parameter.get("required"):
                raise
            cuts.append(Note((), f'"{name}" in the {location} is left out; the request {error}'))
            continue
        found[location].append(one)
        if location == "path":
            one.upstream = placeholder(name)
            if one.upstream in operation.reserved:
                one.mapping["allow_reserved"] = True
            if placement.by_id and one.upstream == in_path[-1] and not _described(one.schema):
                lists = f"; {subject.names['list']} lists them" if "list" in subject.names else ""
                one.schema["description"] = (
                    f"Which of the {placement.resource.replace('_', ' ')}, by its {name}{lists}."
                )
    known = {one.upstream for one in found["path"]}
    # A path parameter that is described nowhere gets no description: the gate asks for one.
    found["path"] += [
        Argument("path", name, {"type": "string"}, required=True)
        for name in dict.fromkeys(in_path)
        if name not in known
    ]
    found["path"].sort(key=lambda one: in_path.index(one.upstream))
    return [one for arguments in found.values() for one in arguments]


def _parameter(context: Context, parameter: Mapping[str, Json], cuts: list[Note]) -> Argument:
    name, location = parameter["name"], parameter["in"]
    converter = Converter(context.document)
    content, raw, in_json = parameter.get("content"), parameter.get("schema"), False
    if isinstance(content, dict) and content:
        media_type, media = next(iter(content.items()))
        raw = context.document.resolve(media).get("schema")
        if media_kind(media_type) not in ("json", "text"):
            raise NotCallable(f'needs "{name}" as {media_type}, which cannot be sent in the {location}')
        in_json = media_kind(media_type) == "json"
    schema = converter.convert(raw or {"type": "string"}, (f"{location}_schema", "properties", name))
    cuts += converter.notes
    required = location == "path" or parameter.get("required") is True
    one = Argument(location, name, _described_schema(schema, parameter), required)
    one.mapping = {"style": "json"} if in_json else style(parameter, schema, location)
    return one


def _querystring(context: Context, parameter: Mapping[str, Json], cuts: list[Note]) -> Argument:
    """The argument that is the whole query of the URL."""
    content = parameter.get("content")
    media_type, media = next(iter(content.items())) if isinstance(content, dict) and content else (FORM_MEDIA_TYPE, {})
    kind, name = media_kind(media_type), parameter["name"]
    if kind not in ("form", "json"):
        raise NotCallable(f'needs "{name}" as {media_type}, which cannot be sent in the query')
    converter = Converter(context.document)
    raw = context.document.resolve(media).get("schema")
    schema = converter.convert(raw or {"type": "object"}, ("query_schema", "properties", name))
    cuts += converter.notes
    one = Argument("query", name, _described_schema(schema, parameter), parameter.get("required") is True)
    one.mapping = {"style": "querystring"} if kind == "form" else {"name": "", "style": "json"}
    return one


def _described_schema(schema: Schema, parameter: Mapping[str, Json]) -> Schema:
    text = plain(parameter.get("description")) or schema.get("description", "")
    values = [parameter.get("example")]
    if isinstance(parameter.get("examples"), dict):
        values += [entry.get("value") for entry in parameter["examples"].values() if isinstance(entry, dict)]
    rest = {key: value for key, value in schema.items() if key != "description"}
    if text:
        rest["description"] = fitted(text, DESCRIPTION_LENGTH[1])
    example = next((value for value in values if type(value) in (str, int, float) and value != ""), None)
    if example is not None and "enum" not in rest:
        rest["examples"] = [example]
    return rest


# ---- how the arguments are called


def _named(arguments: list[Argument], subject: Subject, ours: tuple[str, ...]) -> dict[str, Argument]:
    """Each argument under a unique name that model APIs accept.

    The object at the end of the path is named by `id`, unless that name would mislead: objects that carry an `id` of
    their own are not found by a number in the path.
    """
    named: dict[str, Argument] = {}
    upstream = {one.upstream for one in arguments}
    last = next((one for one in reversed(arguments) if one.location == "path"), None)
    for one in arguments:
        if one.whole:
            name = "more" if one.mapping.get("name") == "" else "body"
        else:
            name = _accepted(one.label or one.upstream)
        if (
            one is last
            and subject.placement.by_id
            and "id" not in upstream
            and "allow_reserved" not in one.mapping  # a whole path is not an id
            and subject.is_its_id(one.upstream)
        ):
            name = "id"
        if name in named or name in ours:
            name = f"{one.location}_{name}"[:64]
        number = 2
        while name in named:
            name, number = f"{name.rstrip('0123456789_')}_{number}", number + 1
        named[name] = one
    return named


def _accepted(name: str) -> str:
    """`created[gte]` -> `created_gte`, `StartTime>` -> `StartTime_after`."""
    if ARGUMENT_NAME.fullmatch(name):
        return name
    spelled = name.replace("<", "_before").replace(">", "_after").replace("]", "")
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", spelled).strip("_")[:64] or "value"


def object_schema(named: Mapping[str, Argument], location: str) -> Schema:
    schema: Schema = {"type": "object", "properties": {name: one.schema for name, one in named.items()}}
    required = [name for name, one in named.items() if one.required]
    if required and location != "path":  # what stands in the path is always required
        schema["required"] = required
    return schema


def _described(schema: Schema) -> bool:
    return len(schema.get("description", "")) >= DESCRIPTION_LENGTH[0]


def example(one: Argument) -> Json:
    """The source's own example if the argument and what clients see of it allow that, else the plainest value."""
    own = one.example
    return own if own is not None and fits(one.schema, own) and fits(portable(one.schema), own) else sample(one.schema)
