"""The parameters and body of an operation become the arguments of a tool, with names that models can use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tool_catalog.catalog import Json
from tool_catalog.inputs import ARGUMENT_NAME, DESCRIPTION_LENGTH, FORBIDDEN_HEADERS
from tool_catalog.openapi.document import Document, Operation
from tool_catalog.openapi.inference import Placement
from tool_catalog.openapi.responses import Response
from tool_catalog.openapi.samples import fits, sample
from tool_catalog.openapi.schema_conversion import Converter, Note
from tool_catalog.openapi.texts import fitted, plain

Schema = dict[str, Json]

_BODY = (
    (re.compile(r"application/json\s*(;.*)?$", re.IGNORECASE), "json"),
    (re.compile(r"(application|text)/([\w.+-]+\+)?json\s*(;.*)?$|\*/\*$", re.IGNORECASE), "json"),
    (re.compile(r"application/x-www-form-urlencoded\s*(;.*)?$", re.IGNORECASE), "form"),
)
"""Media types of a body that can be sent, best first, with the word that a record has for each."""

_IGNORED_HEADERS = ("accept", "content-type", "authorization")
"""OpenAPI says that parameters of these names have no effect."""


class NotCallable(Exception):
    """No tool can be made of the operation; the message says why."""


@dataclass(frozen=True, slots=True)
class Context:
    """What all drafts of one import share. `described_only`: optional arguments without a description are left out."""

    document: Document
    integration: str
    credential_names: frozenset[str]
    described_only: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """One operation to draft. `names` maps the methods of its resource to their tool names."""

    operation: Operation
    placement: Placement
    answer: Response
    names: Mapping[str, str]


@dataclass(slots=True)
class Argument:
    location: str
    upstream: str
    schema: Schema
    required: bool
    mapping: dict[str, Json] = field(default_factory=dict)
    example: Json = None

    def sent_as(self, name: str) -> dict[str, Json]:
        """The entry under "parameters" for the argument `name`. It is {} if the argument is sent under its own name."""
        return {**({"name": self.upstream} if self.upstream not in (name, "") else {}), **self.mapping}


def arguments(
    context: Context, subject: Subject, cuts: list[Note], *, replaced: tuple[str, ...], ours: tuple[str, ...]
) -> tuple[str, dict[str, Argument]]:
    """The format of the body, and all arguments by name. Raises NotCallable and Unresolvable.

    What was cut short is added to `cuts`. `replaced` are the query parameters that paging replaces, and `ours` are the
    names of the arguments that the compiler adds.
    """
    body_format, body = _body(context, subject, cuts)
    found = _named([*_parameters(context, subject, cuts, replaced), *body], subject.placement, ours)
    if context.described_only:
        found = {name: one for name, one in found.items() if one.required or _described(one.schema)}
    return body_format, found


def _parameters(context: Context, subject: Subject, cuts: list[Note], replaced: tuple[str, ...]) -> list[Argument]:
    """The arguments in path, query and headers, in this order. Paging replaces the ones named in `replaced`."""
    operation, place = subject.operation, subject.placement
    found: dict[str, list[Argument]] = {"path": [], "query": [], "header": []}
    in_path = re.findall(r"\{([^{}]*)\}", operation.path)
    for parameter in operation.parameters:
        name, location = parameter["name"], str(parameter.get("in"))
        if (
            (location == "query" and name in replaced)
            or (location == "path" and name not in in_path)
            or (location == "header" and name.lower() in (*_IGNORED_HEADERS, *FORBIDDEN_HEADERS))
            or (location in ("query", "header") and name.lower() in context.credential_names)
        ):
            continue
        if location not in found:
            if parameter.get("required"):
                raise NotCallable(f'needs "{name}" in the {location}, where nothing can be sent')
            cuts.append(Note((), f'"{name}" in the {location} is left out, because nothing can be sent there'))
            continue
        found[location].append(one := _parameter(context, parameter, cuts))
        if location == "path" and place.by_id and name == in_path[-1] and not _described(one.schema):
            lists = f"; {subject.names['list']} lists them" if "list" in subject.names else ""
            one.schema["description"] = f"Which of the {place.resource.replace('_', ' ')}, by its {name}{lists}."
    known = {one.upstream for one in found["path"]}
    # A path parameter that is described nowhere gets no description: the gate asks for one.
    found["path"] += [
        Argument("path", name, {"type": "string"}, required=True) for name in in_path if name not in known
    ]
    found["path"].sort(key=lambda one: in_path.index(one.upstream))
    return [one for arguments in found.values() for one in arguments]


def _parameter(context: Context, parameter: Mapping[str, Json], cuts: list[Note]) -> Argument:
    name, location = parameter["name"], parameter["in"]
    converter = Converter(context.document)
    content = parameter.get("content")
    media = context.document.resolve(next(iter(content.values()))) if isinstance(content, dict) and content else None
    raw = parameter.get("schema") if media is None else media.get("schema")
    schema = converter.convert(raw or {"type": "string"}, (f"{location}_schema", "properties", name))
    cuts += converter.notes
    required = location == "path" or parameter.get("required") is True
    one = Argument(location, name, _described_schema(schema, parameter), required)
    if location == "query" and (style := _style(parameter, schema, in_json=media is not None)):
        one.mapping["style"] = style
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


def _style(parameter: Mapping[str, Json], schema: Schema, *, in_json: bool) -> str | None:
    """How the upstream wants a list or an object in its query. OpenAPI's default is style form, exploded."""
    kinds = schema.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    style = parameter.get("style", "form")
    exploded = parameter.get("explode", style == "form")
    if in_json:
        return "json"
    if "array" in kinds:
        if style == "deepObject" or str(parameter["name"]).endswith("[]"):
            return "repeat" if str(parameter["name"]).endswith("[]") else "brackets"
        return "repeat" if exploded else "comma"
    if "object" in kinds:
        if style == "deepObject":
            return "deep"
        return "spread" if exploded else "json"
    return None


def _body(context: Context, subject: Subject, cuts: list[Note]) -> tuple[str, list[Argument]]:
    """The format of the body, and its members as arguments. A body that is not a plain object is one argument."""
    body = context.document.resolve(subject.operation.data.get("requestBody"))
    content = body.get("content")
    if not isinstance(content, dict) or not content:
        return "json", []
    body_format, media = _media(context.document, content)
    converter = Converter(context.document)
    schema = converter.root(media.get("schema") or {"type": "object"}, ("body_schema",))
    cuts += converter.notes
    if schema.get("type") != "object" or "properties" not in schema:
        if schema.get("type") == "object" and not schema.get("additionalProperties"):
            return body_format, []
        text = plain(body.get("description")) or schema.get("description", "")
        if len(text) < DESCRIPTION_LENGTH[0] and schema.get("type") == "array":
            resource, method = (
                word.replace("_", " ") for word in (subject.placement.resource, subject.placement.method)
            )
            text = f"The {resource} to {method}, as a list."
        if text:
            schema["description"] = fitted(text, DESCRIPTION_LENGTH[1])
        return body_format, [Argument("body", "", schema, required=True)]
    example, prefix = _media_example(context.document, media), ""
    wrapper, inner = next(iter(schema["properties"].items()))
    members = inner.get("properties", {}) if len(schema["properties"]) == 1 and body_format == "json" else {}
    if members and inner.get("additionalProperties") is False and "/" not in "".join((wrapper, *members)):
        # {"data": {...}}: the model gives the members, and the request wraps them.
        schema, prefix = inner, f"/{wrapper}/"
        example = example.get(wrapper) if isinstance(example, dict) else None
    found = []
    for name, part in schema["properties"].items():
        if "description" in part:
            part["description"] = fitted(part["description"], DESCRIPTION_LENGTH[1])
        one = Argument("body", f"{prefix}{name}", part, name in schema.get("required", ()))
        if isinstance(example, dict):
            one.example = example.get(name)
        found.append(one)
    return body_format, found


def _media(document: Document, content: Mapping[str, Json]) -> tuple[str, dict[str, Json]]:
    """The best media type that can be sent: the word that a record has for it, and its media type object."""
    for pattern, body_format in _BODY:
        for media_type, media in content.items():
            if pattern.match(media_type):
                return body_format, document.resolve(media)
    raise NotCallable(f"takes {', '.join(content)}; only JSON and forms can be sent")


def _media_example(document: Document, media: Mapping[str, Json]) -> Json:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        return document.resolve(next(iter(examples.values()))).get("value")
    return document.resolve(media.get("schema")).get("example")


# ---- how the arguments are called


def _named(arguments: list[Argument], place: Placement, ours: tuple[str, ...]) -> dict[str, Argument]:
    """Each argument under a unique name that model APIs accept. The object at the end of the path is named by `id`."""
    named: dict[str, Argument] = {}
    upstream = {one.upstream for one in arguments}
    last = next((one for one in reversed(arguments) if one.location == "path"), None)
    for one in arguments:
        whole = one.location == "body" and one.upstream == ""
        name = (
            "body" if whole else _accepted(one.upstream.rsplit("/", 1)[-1] if one.location == "body" else one.upstream)
        )
        if one is last and place.by_id and "id" not in upstream:
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
    return one.example if one.example is not None and fits(one.schema, one.example) else sample(one.schema)
