"""One operation -> one method of a record, in the source's own words; a comment beside it says what was guessed."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tool_catalog import naming
from tool_catalog.catalog import STANDARD_METHODS
from tool_catalog.compiler import DESCRIPTION_LENGTH, TITLE_LENGTH
from tool_catalog.inputs import ARGUMENT_NAME, FORBIDDEN_HEADERS
from tool_catalog.inputs import DESCRIPTION_LENGTH as ARGUMENT_LENGTH
from tool_catalog.naming import singular
from tool_catalog.openapi.answers import Answer, guessed_paging, records_schema
from tool_catalog.openapi.document import Document, Operation
from tool_catalog.openapi.inference import Place
from tool_catalog.openapi.samples import fits, sample
from tool_catalog.openapi.schema_conversion import Converter, Note
from tool_catalog.openapi.texts import ended, fitted, plain

Json = Any
Schema = dict[str, Json]
Path = tuple[str | int, ...]

_BODY = (
    (re.compile(r"application/json\s*(;.*)?$", re.IGNORECASE), "json"),
    (re.compile(r"(application|text)/([\w.+-]+\+)?json\s*(;.*)?$|\*/\*$", re.IGNORECASE), "json"),
    (re.compile(r"application/x-www-form-urlencoded\s*(;.*)?$", re.IGNORECASE), "form"),
)
"""Media types of a body that can be sent, best first, and the record's word for them."""

_IGNORED_HEADERS = ("accept", "content-type", "authorization")
"""OpenAPI: parameters of these names have no effect."""

_OURS = ("limit", "next_cursor", "fields", "max_tokens")
"""Arguments that the compiler adds to paged and list-like tools."""

_TITLES = {
    "list": "List {resource}",
    "get": "Get {singular}",
    "create": "Create {singular}",
    "update": "Update {singular}",
    "delete": "Delete {singular}",
}

COMMENTED_CUTS = 3
"""Cuts told in the comment above one argument; the report has all of them."""

SHOWN_NAMES = 8
"""Names of an answer's members that a description lists."""


class NotCallable(Exception):
    """No tool can be made of the operation; the message says why."""


@dataclass(slots=True)
class Draft:
    """A method as it will stand in the record, the comments beside it by path, and what became of the rest.

    `guesses` names the keys that are guesses; `cuts` what was cut short or left out, with the path in the method.
    """

    data: dict[str, Json]
    comments: dict[Path, str] = field(default_factory=dict)
    guesses: list[str] = field(default_factory=list)
    cuts: list[Note] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Context:
    """What holds for all drafts of one import. `described_only`: optional arguments without a text are left out."""

    document: Document
    integration: str
    credential_names: frozenset[str]
    described_only: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """What a draft is made of. `names` maps the methods of the operation's resource to their tool names."""

    operation: Operation
    place: Place
    answer: Answer
    names: Mapping[str, str]


@dataclass(slots=True)
class _Argument:
    location: str
    upstream: str
    schema: Schema
    required: bool
    mapping: dict[str, Json] = field(default_factory=dict)
    example: Json = None

    def sent_as(self, name: str) -> dict[str, Json]:
        """The entry under "parameters" for the argument `name`; {} when it is simply sent under its own name."""
        return {**({"name": self.upstream} if self.upstream not in (name, "") else {}), **self.mapping}


def draft(context: Context, subject: Subject) -> Draft:
    """The method of one operation. Raises NotCallable and Unresolvable."""
    operation, place, answer = subject.operation, subject.place, subject.answer
    if answer.problem:
        raise NotCallable(answer.problem)
    if servers := operation.data.get("servers"):
        raise NotCallable(f"has a server of its own ({servers[0].get('url')}); tools never leave the base URL")
    made = Draft({})
    # Only what reads is a list to page through or to pick fields from; below the root of an answer, only `list` is.
    listed = answer.items is not None and (
        place.method == "list" or (place.method not in STANDARD_METHODS and "." not in answer.items)
    )
    paging = guessed_paging(context.document, operation, answer) if place.method == "list" else None
    body_format, body = _body(context, subject, made)
    arguments = [*_parameters(context, subject, made, replaced=paging.replaces if paging else ()), *body]
    named = _named(arguments, place, ours=_OURS if listed else ())
    if context.described_only:
        named = {name: one for name, one in named.items() if one.required or _described(one.schema)}
    _head(made, context, subject, listed=listed)
    for location in ("path", "query", "header", "body"):
        own = {name: one for name, one in named.items() if one.location == location}
        if "body" in own and own["body"].upstream == "":
            made.data["body_schema"] = own["body"].schema
        elif own:
            made.data[f"{location}_schema"] = _object(own, location)
    if body_format == "form" and "body_schema" in made.data:
        made.data["body_format"] = "form"
    mappings = {name: one.sent_as(name) for name, one in named.items() if one.sent_as(name)}
    if mappings:
        made.data["parameters"] = mappings
    made.data["response_schema"] = answer.schema
    if paging:
        made.data["pagination"] = paging.record
        _guess(made, "pagination", "from the parameter names; check sizes, and what ends the list")
    if listed:
        made.data["result"] = {"items": answer.items}
    made.data["example"] = {"arguments": {name: _example(one) for name, one in named.items() if one.required}}
    made.comments |= _cut_comments(made)
    return made


# ---- what it is


def _head(made: Draft, context: Context, subject: Subject, *, listed: bool) -> None:
    """Name, title, request, access and effects of a custom method, description."""
    operation, place = subject.operation, subject.place
    name = subject.names[place.method]
    if name != naming.tool_name(context.integration, place.resource, place.method):
        made.data["name"] = name
    words = {"resource": place.resource.replace("_", " "), "singular": singular(place.resource).replace("_", " ")}
    summary = plain(operation.data.get("summary")).rstrip(".")
    title = _TITLES.get(place.method, f"{place.method.replace('_', ' ').capitalize()}: {{resource}}").format(**words)
    made.data["title"] = fitted(summary if len(summary) >= TITLE_LENGTH[0] else title, TITLE_LENGTH[1])
    made.data["request"] = f"{operation.verb} {operation.path}"
    if place.method not in STANDARD_METHODS:
        reads = operation.verb == "GET"
        made.data["access"] = "read" if reads else "write"
        if operation.verb == "POST":
            _guess(made, "access", "write, as for every POST; read only if it changes nothing upstream")
        if not reads:
            made.data["destructive"] = True
            made.data["idempotent"] = operation.verb in ("PUT", "DELETE")
            _guess(made, "destructive", "until someone knows better; false if it neither removes nor overwrites")
    made.data["description"] = _description(made, subject, listed=listed)


def _description(made: Draft, subject: Subject, *, listed: bool) -> str:
    """The source's words, and what comes back. Empty where the source says nothing: the gate then asks for a text."""
    data = subject.operation.data
    summary, text = plain(data.get("summary")), plain(data.get("description"))
    parts = [ended(summary)] if summary and summary.rstrip(".").lower() not in text.lower() else []
    said = " ".join([*parts, *([ended(text)] if text else [])])
    if not said:
        made.comments["description",] = "# the source has none"
        return ""
    back = _comes_back(subject.answer, listed=listed, enveloped=subject.place.method == "list")
    kept = fitted(said, DESCRIPTION_LENGTH[1] - len(back) - 1)
    if len(kept) < len(said):
        made.comments["description",] = f"# shortened from {len(said):,} characters"
    return f"{ended(kept)} {back}".strip()


def _comes_back(answer: Answer, *, listed: bool, enveloped: bool) -> str:
    if answer.empty:
        return "Answers the status only."
    if not listed:
        names = list(answer.schema.get("properties", {}))
        return f"Answers {_listed(names)}." if names else ""
    names = list(records_schema(answer).get("properties", {}))
    shown = f" (items with {_listed(names)})" if names else ""
    if enveloped:
        return f"Answers result{shown}, next_cursor and result_count."
    return f"Answers {'result' if answer.items == '@' else answer.items}{shown}."


def _listed(names: list[str]) -> str:
    shown = names[:SHOWN_NAMES]
    if len(names) > SHOWN_NAMES:
        return f"{', '.join(shown)} and more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# ---- what it takes


def _parameters(context: Context, subject: Subject, made: Draft, *, replaced: tuple[str, ...]) -> list[_Argument]:
    """The arguments in path, query and headers, in this order; `replaced` are the ones that paging stands for."""
    operation, place = subject.operation, subject.place
    found: dict[str, list[_Argument]] = {"path": [], "query": [], "header": []}
    in_path = re.findall(r"\{([^{}]*)\}", operation.path)
    for parameter in operation.parameters:
        name, location = parameter["name"], parameter.get("in")
        if (
            (location == "query" and name in replaced)
            or (location == "path" and name not in in_path)
            or (location == "header" and name.lower() in (*_IGNORED_HEADERS, *FORBIDDEN_HEADERS))
            or (location in ("query", "header") and name.lower() in context.credential_names)
        ):
            continue
        if location not in found:
            if parameter.get("required"):
                raise NotCallable(f'needs "{name}" in the {location}, which cannot be sent')
            made.cuts.append(Note((), f'"{name}" in the {location} left out; it cannot be sent'))
            continue
        found[location].append(one := _parameter(context, parameter, made))
        if location == "path" and place.by_id and name == in_path[-1] and not _described(one.schema):
            lists = f"; {subject.names['list']} lists them" if "list" in subject.names else ""
            one.schema["description"] = f"Which of the {place.resource.replace('_', ' ')}, by its {name}{lists}."
    known = {one.upstream for one in found["path"]}
    # What is in the path and described nowhere stays without a text: the gate asks for it.
    found["path"] += [
        _Argument("path", name, {"type": "string"}, required=True) for name in in_path if name not in known
    ]
    found["path"].sort(key=lambda one: in_path.index(one.upstream))
    return [one for arguments in found.values() for one in arguments]


def _parameter(context: Context, parameter: Mapping[str, Json], made: Draft) -> _Argument:
    name, location = parameter["name"], parameter["in"]
    converter = Converter(context.document)
    content = parameter.get("content")
    media = context.document.resolve(next(iter(content.values()))) if isinstance(content, dict) and content else None
    raw = parameter.get("schema") if media is None else media.get("schema")
    schema = converter.convert(raw or {"type": "string"}, (f"{location}_schema", "properties", name))
    made.cuts += converter.notes
    required = location == "path" or parameter.get("required") is True
    one = _Argument(location, name, _described_schema(schema, parameter), required)
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
        rest["description"] = fitted(text, ARGUMENT_LENGTH[1])
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


def _body(context: Context, subject: Subject, made: Draft) -> tuple[str, list[_Argument]]:
    """The format of the body, and its members as arguments; a body that is no plain object is one argument."""
    body = context.document.resolve(subject.operation.data.get("requestBody"))
    content = body.get("content")
    if not isinstance(content, dict) or not content:
        return "json", []
    body_format, media = _media(context.document, content)
    converter = Converter(context.document)
    schema = converter.root(media.get("schema") or {"type": "object"}, ("body_schema",))
    made.cuts += converter.notes
    if schema.get("type") != "object" or "properties" not in schema:
        if schema.get("type") == "object" and not schema.get("additionalProperties"):
            return body_format, []
        text = plain(body.get("description")) or schema.get("description", "")
        if len(text) < ARGUMENT_LENGTH[0] and schema.get("type") == "array":
            resource, method = (word.replace("_", " ") for word in (subject.place.resource, subject.place.method))
            text = f"The {resource} to {method}, as a list."
        if text:
            schema["description"] = fitted(text, ARGUMENT_LENGTH[1])
        return body_format, [_Argument("body", "", schema, required=True)]
    example, prefix = _media_example(context.document, media), ""
    wrapper, inner = next(iter(schema["properties"].items()))
    members = inner.get("properties", {}) if len(schema["properties"]) == 1 and body_format == "json" else {}
    if members and inner.get("additionalProperties") is False and "/" not in "".join((wrapper, *members)):
        # {"data": {...}}: a model gets the members right, and the wrapper is put around them on the way.
        schema, prefix = inner, f"/{wrapper}/"
        example = example.get(wrapper) if isinstance(example, dict) else None
    found = []
    for name, part in schema["properties"].items():
        if "description" in part:
            part["description"] = fitted(part["description"], ARGUMENT_LENGTH[1])
        one = _Argument("body", f"{prefix}{name}", part, name in schema.get("required", ()))
        if isinstance(example, dict):
            one.example = example.get(name)
        found.append(one)
    return body_format, found


def _media(document: Document, content: Mapping[str, Json]) -> tuple[str, dict[str, Json]]:
    """The best of the media types that can be sent: the record's word for it, and its media type object."""
    for pattern, body_format in _BODY:
        for media_type, media in content.items():
            if pattern.match(media_type):
                return body_format, document.resolve(media)
    raise NotCallable(f"takes {', '.join(content)}; json and form can be sent")


def _media_example(document: Document, media: Mapping[str, Json]) -> Json:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        return document.resolve(next(iter(examples.values()))).get("value")
    return document.resolve(media.get("schema")).get("example")


# ---- how the arguments are called


def _named(arguments: list[_Argument], place: Place, *, ours: tuple[str, ...]) -> dict[str, _Argument]:
    """Each argument under a name of its own that model APIs accept; `id` for the record that the path ends with."""
    named: dict[str, _Argument] = {}
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


def _object(named: Mapping[str, _Argument], location: str) -> Schema:
    schema: Schema = {"type": "object", "properties": {name: one.schema for name, one in named.items()}}
    required = [name for name, one in named.items() if one.required]
    if required and location != "path":  # what stands in the path is always required
        schema["required"] = required
    return schema


def _described(schema: Schema) -> bool:
    return len(schema.get("description", "")) >= ARGUMENT_LENGTH[0]


def _example(one: _Argument) -> Json:
    return one.example if one.example is not None and fits(one.schema, one.example) else sample(one.schema)


def _guess(made: Draft, key: str, reason: str) -> None:
    made.guesses.append(key)
    made.comments[key,] = f"# guessed: {reason}"


def _cut_comments(draft: Draft) -> dict[Path, str]:
    """One comment per argument for everything that was cut inside it."""
    by_argument: dict[Path, list[str]] = defaultdict(list)
    for note in draft.cuts:
        at = note.path[:3] if len(note.path) > 2 and note.path[1] == "properties" else note.path[:1]
        at = at if _value_at(draft.data, at) is not None else note.path[:1]
        if note.path and _value_at(draft.data, at) is not None:
            place = inside(note.path[len(at) :])
            by_argument[at].append(f"{place}: {note.text}" if place else note.text)
    found = {}
    for path, texts in by_argument.items():
        more = f"; and {len(texts) - COMMENTED_CUTS} more" if len(texts) > COMMENTED_CUTS else ""
        found[path] = f"# cut: {'; '.join(texts[:COMMENTED_CUTS])}{more}"
    return found


def inside(path: Path) -> str:
    """A path in a schema as a person says it: without the keywords."""
    words = ("properties", "items", "anyOf", "oneOf")
    return ".".join(str(step) for step in path if step not in words and not isinstance(step, int))


def _value_at(data: Json, path: Path) -> Json:
    for step in path:
        data = data.get(step) if isinstance(data, dict) else None
    return data
