"""The request body of an operation becomes arguments: one for each member, or one that is the whole body."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tool_catalog.catalog import Json
from tool_catalog.inputs import DESCRIPTION_LENGTH
from tool_catalog.openapi.combining import listed
from tool_catalog.openapi.document import Document
from tool_catalog.openapi.references import escaped
from tool_catalog.openapi.schema_conversion import Converter, Note
from tool_catalog.openapi.subjects import Argument, Context, NotCallable, Subject
from tool_catalog.openapi.texts import ended, fitted, plain
from tool_catalog.request_template import FORM_MEDIA_TYPE, JSON_MEDIA_TYPE, STYLES, media_kind
from tool_catalog.yaml_source import KeyPath

Schema = dict[str, Json]


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


def read(context: Context, subject: Subject, cuts: list[Note]) -> Body:
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
        schema = converter.root(media.get("schema", {"type": "object"} if kind != "text" else {}), ("body_schema",))
        if kind == "text":
            schema["type"] = "string"
    cuts += converter.notes
    if schema.get("type") != "object" or "properties" not in schema:
        if kind in ("form", "multipart") and schema.get("type") != "object":
            raise NotCallable(f"takes {media_type} that is no object; a form has named members")
        if schema.get("type") == "object" and not schema.get("additionalProperties") and sent is not True:
            return made
        if schema.get("type") == "object":
            schema.setdefault("additionalProperties", True)
        text, inner = plain(body.get("description")), schema.get("description", "")
        text = f"{ended(text)} {inner}".strip() if kind is None else text or inner
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
    wrapper, wrapped = next(iter(schema["properties"].items()))
    members = wrapped.get("properties", {}) if len(schema["properties"]) == 1 and kind == "json" else {}
    alone = not {("body_schema",), ("body_schema", "properties", wrapper)} & converter.open
    if members and alone and wrapped.get("type") == "object":
        # {"data": {...}}: the model gives the members, and the request wraps them.
        if wrapper not in schema.get("required", ()):
            sent = None
        schema, prefix = wrapped, f"/{escaped(wrapper)}/"
        example = example.get(wrapper) if isinstance(example, dict) else None
    encoding = media.get("encoding")
    needed = schema.get("required", ())
    for name, part in schema["properties"].items():
        stated = encoding.get(name) if isinstance(encoding, dict) else None
        stated = stated if kind in ("form", "multipart") and isinstance(stated, dict) else {}
        if unsent := _unsent(part, stated, is_file=("body_schema", "properties", name) in converter.files):
            if name in needed:
                raise NotCallable(f'needs "{name}" as {unsent}, whose members are sent as JSON only')
            cuts.append(Note(("body_schema", "properties", name), f"it is left out: members of {unsent} are not sent"))
            continue
        if "description" in part:
            part["description"] = fitted(part["description"], DESCRIPTION_LENGTH[1])
        pointer = escaped(name)
        upstream = f"{prefix or '/'}{pointer}" if prefix or name.startswith("/") else name
        one = Argument("body", upstream, part, name in needed, label=name)
        if isinstance(example, dict):
            one.example = example.get(name)
        if kind == "multipart":
            _as_part(one, converter.files, stated)
        elif kind == "form" and stated:
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


def _unsent(schema: Schema, stated: Mapping[str, Json], *, is_file: bool) -> str:
    """The media type, e.g. XML, in which the source wants an object of a form, and in which none can be sent."""
    media_type = str(stated.get("contentType", "")).partition(",")[0].strip()
    items = schema.get("items")
    values = [schema, items if isinstance(items, dict) else {}]
    members = any("object" in listed(value.get("type")) for value in values)
    return media_type if members and media_type and not is_file and media_kind(media_type) == "text" else ""


def _encoding(stated: Mapping[str, Json], schema: Schema) -> dict[str, Json]:
    """How a member of a form is written, by the encoding object of the source."""
    if {"style", "explode", "allowReserved"} & set(stated):
        return style(stated, schema, "form")
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
        f"takes {', '.join(content)} with named members, which are sent as JSON or as a form only; a record of your "
        f"own can send one text: body_format: {next(iter(content))}, and body_schema: {{type: string}}"
    )


def _format(media_type: str) -> str:
    """The media type as a record has it under body_format."""
    name = media_type.partition(";")[0].strip().lower()
    if name in (JSON_MEDIA_TYPE, "text/json", "*/*", "application/*", "application/*+json"):
        return "json"
    if name.endswith("/*"):
        return "text/plain" if name.startswith("text/") else "application/octet-stream"
    return "form" if name == FORM_MEDIA_TYPE else media_type.strip()


def _media_example(document: Document, media: Mapping[str, Json]) -> Json:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        return document.resolve(next(iter(examples.values()))).get("value")
    return document.resolve(media.get("schema")).get("example")


def style(stated: Mapping[str, Json], schema: Schema, location: str) -> dict[str, Json]:
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
