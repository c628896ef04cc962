"""The parameters and body of an operation become the arguments of a tool, with names that models can use."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tool_catalog.catalog import FORM_MEDIA_TYPE, JSON_MEDIA_TYPE, STYLES, Json, media_kind
from tool_catalog.gate import DRAFT
from tool_catalog.inputs import ARGUMENT_NAME, DESCRIPTION_LENGTH, FORBIDDEN_HEADERS
from tool_catalog.naming import snake_case
from tool_catalog.openapi.combining import listed
from tool_catalog.openapi.document import Document, placeholder
from tool_catalog.openapi.samples import fits, sample
from tool_catalog.openapi.schema_conversion import Converter, Note
from tool_catalog.openapi.subjects import Argument, Context, NotCallable, Subject
from tool_catalog.openapi.texts import fitted, plain
from tool_catalog.yaml_source import KeyPath

Schema = dict[str, Json]

_ANY_TYPE = ("string", "number", "boolean", "object", "array", "null")
"""Types of a member of a body for which the source names none."""

_IGNORED_HEADERS = ("accept", "content-type", "authorization")
"""OpenAPI says that parameters of these names have no effect."""


@dataclass(slots=True)
class Body:
    """What a request body becomes.

    `keys`       keys of the method that are not the default, e.g. `body_format`; `sent`: a request must have a body.
    `constants`  entries under "parameters" for what has one possible value, in the body or elsewhere.
    """

    keys: dict[str, Json] = field(default_factory=dict)
    arguments: list[Argument] = field(default_factory=list)
    constants: dict[str, Json] = field(default_factory=dict)
    sent: bool = False


def arguments(
    context: Context, subject: Subject, cuts: list[Note], *, replaced: tuple[str, ...], ours: tuple[str, ...]
) -> tuple[Body, dict[str, Argument]]:
    """The body, and all arguments by name. Raises NotCallable and Unresolvable.

    What was cut short is added to `cuts`. `replaced` are the query parameters that paging replaces, and `ours` are the
    names of the arguments that the compiler adds.
    """
    body = _body(context, subject, cuts)
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
    one.mapping = {"style": "json"} if in_json else _style(parameter, schema, location)
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


def _style(stated: Mapping[str, Json], schema: Schema, location: str) -> dict[str, Json]:
    """Style, explode and allowReserved of a parameter or of a form member, as far as they are not the default."""
    kinds = listed(schema.get("type"))
    style = next((known for known in STYLES[location] if known == stated.get("style")), STYLES[location][0])
    found: dict[str, Json] = {}
    if style == "deepObject" and location == "query" and "array" in kinds and "object" not in kinds:
        return {"style": "brackets"}  # the specification has deepObject for objects only; such lists are a[]=1
    if style != STYLES[location][0] or location == "form":
        found["style"] = style
    exploded = style in ("form", "cookie")
    splits = not kinds or "object" in kinds or ("array" in kinds and style != "simple")
    explode = stated.get("explode")
    if splits and isinstance(explode, bool) and explode is not exploded and style not in ("deepObject", "json"):
        found["explode"] = explode
    if stated.get("allowReserved") is True and style != "deepObject":
        found["allow_reserved"] = True
    return found


def _body(context: Context, subject: Subject, cuts: list[Note]) -> Body:
    """The members of the body as arguments. A body that is not a plain object is one argument."""
    body = context.document.resolve(subject.operation.data.get("requestBody"))
    content = body.get("content")
    if not isinstance(content, dict) or not content:
        return Body()
    media_type, media = _media(context.document, content)
    made = Body({"body_format": word} if (word := _format(media_type)) != "json" else {})
    sent, kind = body.get("required"), media_kind(media_type)
    made.sent = sent is True
    converter = Converter(context.document)
    if kind is None:
        schema: Schema = {"type": "string", "description": f"The bytes of the body ({media_type}), in Base64."}
    else:
        usual = {"type": "string" if kind == "text" else "object"}
        schema = converter.root(media.get("schema", usual) if kind != "text" else usual, ("body_schema",))
    cuts += converter.notes
    if schema.get("type") != "object" or "properties" not in schema:
        if kind in ("form", "multipart") and schema.get("type") != "object":
            raise NotCallable(f"takes {media_type} that is no object; a form has named members")
        if schema.get("type") == "object" and not schema.get("additionalProperties") and sent is not True:
            return made
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", True)
        text = plain(body.get("description")) or schema.get("description", "")
        if len(text) < DESCRIPTION_LENGTH[0] and schema.get("type") == "array":
            resource, method = subject.placement.resource, subject.placement.method
            text = f"The {resource} to {method}, as a list.".replace("_", " ")
        if text:
            schema["description"] = fitted(text, DESCRIPTION_LENGTH[1])
        if sent is not True:
            made.keys["body_required"] = False
        whole = Argument("body", "", schema, required=sent is True)
        whole.example = (
            _media_example(context.document, media) if kind == "json" else "ZXhhbXBsZQ==" if kind is None else None
        )
        made.arguments = [whole]
        return made
    example, prefix = _media_example(context.document, media), ""
    wrapper, inner = next(iter(schema["properties"].items()))
    members = inner.get("properties", {}) if len(schema["properties"]) == 1 and kind == "json" else {}
    alone = not {("body_schema",), ("body_schema", "properties", wrapper)} & converter.open
    if members and alone and inner.get("type") == "object":
        # {"data": {...}}: the model gives the members, and the request wraps them.
        if wrapper not in schema.get("required", ()):
            sent = None
        schema, prefix = inner, f"/{wrapper.replace('~', '~0').replace('/', '~1')}/"
        example = example.get(wrapper) if isinstance(example, dict) else None
    encoding = media.get("encoding")
    needed = schema.get("required", ())
    for name, part in schema["properties"].items():
        if "description" in part:
            part["description"] = fitted(part["description"], DESCRIPTION_LENGTH[1])
        pointer = name.replace("~", "~0").replace("/", "~1")
        upstream = f"{prefix or '/'}{pointer}" if prefix or name.startswith("/") else name
        one = Argument("body", upstream, part, name in needed, label=name)
        stated = encoding.get(name) if isinstance(encoding, dict) else None
        if isinstance(example, dict):
            one.example = example.get(name)
        if kind == "multipart":
            _as_part(one, converter.files, stated if isinstance(stated, dict) else {})
        elif kind == "form" and isinstance(stated, dict):
            one.mapping = _encoding(stated, part)
        made.arguments.append(one)
    if ("body_schema",) in converter.open:
        rest = {"type": "object", "description": "Further members of the body, by name.", "additionalProperties": True}
        made.arguments.insert(0, Argument("body", "", rest, required=False, mapping={"name": ""}))
    if sent is True and not needed:
        made.keys["body_required"] = True
    if sent is not True and needed:
        made.keys["body_required"] = False
    return made


def _encoding(stated: Mapping[str, Json], schema: Schema) -> dict[str, Json]:
    """How a member of a form is written, by the encoding object of the source."""
    if {"style", "explode", "allowReserved"} & set(stated):
        return _style(stated, schema, "form")
    return {"style": "json"} if media_kind(str(stated.get("contentType", ""))) == "json" else {}


def _as_part(one: Argument, files: Collection[KeyPath], stated: Mapping[str, Json]) -> None:
    """A member of a multipart form: a file, JSON where the source says so, or whatever its type makes it."""
    path = ("body_schema", "properties", one.label)
    media_type = str(stated.get("contentType", "")).partition(",")[0].strip()
    text = one.schema.get("description", "")
    if path in files:
        one.schema, one.example = _file(text, media_type), {"name": "example.txt", "text": "example"}
    elif (*path, "items") in files:
        described = {"description": text} if text else {}
        one.schema = {"type": "array", "items": _file("", media_type), **described}
        one.example = [{"name": "example.txt", "text": "example"}]
    else:
        one.mapping = {"style": "json"} if media_type and media_kind(media_type) == "json" else {}
        return
    one.mapping = {"style": "file"}


def _file(text: str, media_type: str) -> Schema:
    """The schema of a file: its name, and its content as text or in Base64."""
    kind = media_type if "*" not in media_type and media_type else "image/png"
    return {
        "type": "object",
        **({"description": text} if text else {}),
        "properties": {
            "name": {"type": "string", "description": "Name of the file, e.g. report.txt."},
            "text": {"type": "string", "description": "The content of a text file; for any other, use base64."},
            "base64": {"type": "string", "description": "The content in Base64."},
            "media_type": {"type": "string", "description": f"Media type of the content, e.g. {kind}."},
        },
        "required": ["name"],
        "additionalProperties": False,
    }


def _media(document: Document, content: Mapping[str, Json]) -> tuple[str, dict[str, Json]]:
    """The best media type that can be sent, and its media type object."""
    usable: dict[str, tuple[str, dict[str, Json]]] = {}
    for media_type, value in content.items():
        media = document.resolve(value)
        kind = media_kind(media_type)
        if _format(media_type) == "json":
            usable.setdefault("usual", (media_type, media))
        elif kind == "text" and document.resolve(media.get("schema")).get("type", "string") != "string":
            continue  # an object as XML or CSV; only a text that the model writes can be sent
        elif kind is not None or not media_type.startswith("multipart/"):
            usable.setdefault(kind or "bytes", (media_type, media))
    for word in ("usual", "json", "form", "multipart", "text", "bytes"):
        if word in usable:
            return usable[word]
    raise NotCallable(
        f"takes {', '.join(content)} with named members; these are sent as JSON or as a form, and XML only as one text"
    )


def _format(media_type: str) -> str:
    """The media type as a record has it under body_format."""
    name = media_type.partition(";")[0].strip().lower()
    if name in (JSON_MEDIA_TYPE, "text/json", "*/*", "application/*", "application/*+json"):
        return "json"
    return "form" if name == FORM_MEDIA_TYPE else media_type.strip()


def _media_example(document: Document, media: Mapping[str, Json]) -> Json:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        return document.resolve(next(iter(examples.values()))).get("value")
    return document.resolve(media.get("schema")).get("example")


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
    return one.example if one.example is not None and fits(one.schema, one.example) else sample(one.schema)
