"""One operation -> one method of a record, in the source's own words; what was guessed is said in a comment beside it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tool_catalog import naming
from tool_catalog.catalog import STANDARD_METHODS
from tool_catalog.inputs import ARGUMENT_NAME, FORBIDDEN_HEADERS
from tool_catalog.inputs import DESCRIPTION_LENGTH as ARGUMENT_LENGTH
from tool_catalog.compiler import DESCRIPTION_LENGTH, TITLE_LENGTH
from tool_catalog.naming import singular, snake_case
from tool_catalog.openapi.answers import Answer, guessed_paging
from tool_catalog.openapi.document import Document, Operation
from tool_catalog.openapi.inference import Place
from tool_catalog.openapi.samples import sample
from tool_catalog.openapi.schema_conversion import Converter, Note
from tool_catalog.openapi.texts import ended, fitted, plain, sentences

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

_TITLES = {"list": "List {resource}", "get": "Get {singular}", "create": "Create {singular}", "update": "Update {singular}",
           "delete": "Delete {singular}"}  # fmt: skip

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
    """What a draft needs to know beside its operation."""

    document: Document
    integration: str
    credential_names: frozenset[str]
    described_only: bool


@dataclass(slots=True)
class _Argument:
    location: str
    upstream: str
    schema: Schema
    required: bool
    mapping: dict[str, Json] = field(default_factory=dict)


def draft(context: Context, operation: Operation, place: Place, answer: Answer, methods: Mapping[str, str]) -> Draft:
    """The method of `operation`; `methods` maps the methods of its resource to tool names. Raises NotCallable,
    Unresolvable."""
    if answer.problem:
        raise NotCallable(answer.problem)
    if servers := operation.data.get("servers"):
        raise NotCallable(f"has a server of its own ({servers[0].get('url')}); tools never leave the base URL")
    made = Draft({})
    paging = guessed_paging(context.document, operation, answer) if place.method == "list" else None
    replaced = paging.replaces if paging else ()
    arguments = [
        *_parameters(context, operation, place, made, replaced, methods.get("list")),
        *(body := _body(context, operation, made)),
    ]
    named = _named(arguments, place, ours=_OURS if answer.items is not None or paging else ())
    if context.described_only:
        named = {name: one for name, one in named.items() if one.required or _described(one.schema)}
    _head(made, context, operation, place, answer, methods)
    for location in ("path", "query", "header", "body"):
        own = {name: one for name, one in named.items() if one.location == location}
        if location == "body" and len(body) == 1 and body[0].upstream == "":
            if own:
                made.data["body_schema"] = body[0].schema
        elif own:
            made.data[f"{location}_schema"] = _object(own, location)
    if made.data.get("body_schema") and _body_format(operation, context) == "form":
        made.data["body_format"] = "form"
    mappings = {
        name: mapping
        for name, one in named.items()
        if (mapping := {**({"name": one.upstream} if one.upstream not in (name, "") else {}), **one.mapping})
    }
    if mappings:
        made.data["parameters"] = mappings
    made.data["response_schema"] = answer.schema
    if paging:
        made.data["pagination"] = paging.record
        _guess(made, "pagination", "from the parameter names; check sizes, and what ends the list")
    if answer.items is not None:
        made.data["result"] = {"items": answer.items}
    made.data["example"] = {"arguments": {name: _example(one) for name, one in named.items() if one.required}}
    return made


# ---- what it is


def _head(
    made: Draft, context: Context, operation: Operation, place: Place, answer: Answer, methods: Mapping[str, str]
) -> None:
    """Name, title, request, description, and for custom methods access and effects."""
    standard = place.method in STANDARD_METHODS
    name = methods[place.method]
    if name != naming.tool_name(context.integration, place.resource, place.method):
        made.data["name"] = name
    words = {"resource": place.resource.replace("_", " "), "singular": singular(place.resource).replace("_", " ")}
    summary = plain(operation.data.get("summary")).rstrip(".")
    title = _TITLES.get(place.method, f"{place.method.replace('_', ' ').capitalize()}: {{resource}}").format(**words)
    made.data["title"] = fitted(summary if len(summary) >= TITLE_LENGTH[0] else title, TITLE_LENGTH[1])
    made.data["request"] = f"{operation.verb} {operation.path}"
    if not standard:
        reads = operation.verb == "GET"
        made.data["access"] = "read" if reads else "write"
        if operation.verb == "POST":
            _guess(made, "access", "write, as for every POST; read only if it changes nothing upstream")
        if not reads:
            made.data["destructive"] = True
            made.data["idempotent"] = operation.verb in ("PUT", "DELETE")
            _guess(made, "destructive", "until someone knows better; false if it neither removes nor overwrites")
    made.data["description"] = _description(made, operation, place, answer, words["singular"], context)


def _description(
    made: Draft, operation: Operation, place: Place, answer: Answer, singular_words: str, context: Context
) -> str:
    """The source's words, and what comes back. Empty where the source says nothing: the gate then asks for a text."""
    summary, text = plain(operation.data.get("summary")), plain(operation.data.get("description"))
    parts = [ended(summary)] if summary and summary.rstrip(".").lower() not in text.lower() else []
    said = " ".join([*parts, *([ended(text)] if text else [])])
    if not said:
        made.comments["description",] = "# the source has none"
        return ""
    back = _comes_back(place, answer, singular_words, paged=place.method == "list")
    kept = fitted(said, DESCRIPTION_LENGTH[1] - len(back) - 1)
    if len(kept) < len(said):
        made.comments["description",] = f"# shortened from {len(said):,} characters"
    if operation.data.get("deprecated"):
        kept = f"Deprecated. {kept}"[: DESCRIPTION_LENGTH[1] - len(back) - 1]
    return f"{ended(kept)} {back}".strip()


def _comes_back(place: Place, answer: Answer, singular_words: str, *, paged: bool) -> str:
    if answer.empty:
        return "Answers the status only."
    if answer.items is not None:
        item: Schema = answer.schema
        for step in answer.items.split(".") if answer.items != "@" else ():
            item = item.get("properties", {}).get(step, {})
        names = list(item.get("items", {}).get("properties", {}))
        shown = f" (items with {_listed(names)})" if names else ""
        if paged:
            return f"Answers result{shown}, next_cursor and result_count."
        return f"Answers {answer.items if answer.items != '@' else 'result'}{shown}."
    names = list(answer.schema.get("properties", {}))
    return f"Answers {_listed(names)}." if names else ""


def _listed(names: list[str]) -> str:
    shown = names[:SHOWN_NAMES]
    if len(names) > SHOWN_NAMES:
        return f"{', '.join(shown)} and more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


# ---- what it takes


def _parameters(
    context: Context, operation: Operation, place: Place, made: Draft, replaced: tuple[str, ...], lister: str | None
) -> list[_Argument]:
    found = []
    in_path = re.findall(r"\{([^{}]*)\}", operation.path)
    for parameter in operation.parameters:
        name, location = parameter["name"], parameter.get("in")
        if location == "query" and name in replaced:
            continue
        if location == "path" and name not in in_path:
            continue
        if location == "header" and name.lower() in (*_IGNORED_HEADERS, *FORBIDDEN_HEADERS):
            continue
        if name.lower() in context.credential_names and location in ("query", "header"):
            continue
        if location not in ("path", "query", "header"):
            if parameter.get("required"):
                raise NotCallable(f'needs "{name}" in the {location}, which cannot be sent')
            made.cuts.append(Note((), f'"{name}" in the {location} left out; it cannot be sent'))
            continue
        converter = Converter(context.document)
        content = parameter.get("content")
        media = next(iter(content.values()), {}) if isinstance(content, dict) and content else None
        raw = media.get("schema") if isinstance(media, dict) else parameter.get("schema")
        schema = _described_schema(converter.convert(raw or {"type": "string"}), parameter)
        made.cuts += [Note((f"{location}_schema", "properties", name, *note.path), note.text) for note in converter.notes]
        required = location == "path" or parameter.get("required") is True
        one = _Argument(location, name, schema, required)
        if location == "query" and (style := _style(parameter, schema, in_json=media is not None)):
            one.mapping["style"] = style
        if location == "path" and not _described(schema) and name == in_path[-1] and place.by_id:
            lists = f"; {lister} lists them" if lister and place.method != "list" else ""
            schema["description"] = f"Which of the {place.resource.replace('_', ' ')}, by its {name}{lists}."
        found.append(one)
    order = {"path": 0, "query": 1, "header": 2}
    known = {one.upstream for one in found if one.location == "path"}
    for name in in_path:
        if name not in known:  # in the path and described nowhere: the gate asks for its text
            found.append(_Argument("path", name, {"type": "string"}, required=True))
    return sorted(found, key=lambda one: (order[one.location], in_path.index(one.upstream) if one.location == "path" else 0))


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


def _body(context: Context, operation: Operation, made: Draft) -> list[_Argument]:
    body = context.document.resolve(operation.data.get("requestBody"))
    content = body.get("content")
    if not isinstance(content, dict) or not content:
        return []
    media = _media(operation, context)
    if media is None:
        raise NotCallable(f"takes {', '.join(content)}; json and form can be sent")
    converter = Converter(context.document)
    schema = converter.root(media.get("schema") or {"type": "object"})
    made.cuts += [Note(("body_schema", *note.path), note.text) for note in converter.notes]
    if schema.get("type") == "array" or "properties" not in schema:
        if text := plain(body.get("description")):
            schema["description"] = fitted(text, ARGUMENT_LENGTH[1])
        if schema.get("type") == "object" and not schema.get("additionalProperties"):
            return []
        return [_Argument("body", "", schema, required=True)]
    example = _media_example(context.document, media)
    found = []
    for name, part in schema["properties"].items():
        if "description" in part:
            part["description"] = fitted(part["description"], ARGUMENT_LENGTH[1])
        one = _Argument("body", name, part, name in schema.get("required", ()))
        if isinstance(example, dict) and name in example:
            one.mapping[_SOURCE_EXAMPLE] = example[name]
        found.append(one)
    return found


def _media(operation: Operation, context: Context) -> dict[str, Json] | None:
    content = context.document.resolve(operation.data.get("requestBody")).get("content") or {}
    for pattern, _ in _BODY:
        for media_type, media in content.items():
            if pattern.match(media_type):
                return context.document.resolve(media)
    return None


def _body_format(operation: Operation, context: Context) -> str:
    content = context.document.resolve(operation.data.get("requestBody")).get("content") or {}
    return next((name for pattern, name in _BODY if any(map(pattern.match, content))), "json")


def _media_example(document: Document, media: Mapping[str, Json]) -> Json:
    if "example" in media:
        return media["example"]
    examples = media.get("examples")
    if isinstance(examples, dict) and examples:
        return document.resolve(next(iter(examples.values()))).get("value")
    return document.resolve(media.get("schema")).get("example")
