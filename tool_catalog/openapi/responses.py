"""The documented response of an operation: its schema, the place of a list's objects in it, and how the list pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from tool_catalog.catalog import Json
from tool_catalog.naming import snake_case
from tool_catalog.openapi.document import Document, Operation
from tool_catalog.openapi.references import last_name
from tool_catalog.openapi.schema_conversion import OUTPUT_DEPTH, OUTPUT_DESCRIPTION, OUTPUT_NODES, Converter
from tool_catalog.openapi.texts import fitted, plain
from tool_catalog.request_template import ANY_KIND, JSON_MEDIA_TYPE, media_kind

Schema = dict[str, Json]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_OBJECTS = (
    "data",
    "items",
    "results",
    "result",
    "values",
    "records",
    "entries",
    "value",
    "elements",
    "list",
    "objects",
)
"""Names under which APIs return the objects of a list."""

_AROUND_OBJECTS = re.compile(
    r"next|prev|previous|count|total|page|paging|pagination|links?|meta|metadata|has_?more|cursor"
)
"""Names of members next to the objects of a list. With one of them, a single array in a response is the list."""

_POSITION: dict[str, tuple[str, ...]] = {
    "cursor": (
        *("cursor", "next_cursor", "page_token", "next_token", "next_page_token", "continuation_token"),
        *("starting_after", "start_cursor", "page_cursor", "after", "offset"),
    ),
    "offset": ("offset", "skip", "start", "start_at", "from", "start_index"),
    "page": ("page", "page_number", "pagenumber", "page_no", "pageno", "page_num"),
}
"""Style -> parameter names in snake case. A cursor is a string, offsets and pages are integers."""

_SIZE = (
    *("limit", "page_size", "pagesize", "per_page", "perpage", "page_limit", "max_results", "maxresults"),
    *("size", "count", "first", "top", "take", "results_per_page", "num_results"),
)

_NEXT: dict[str, tuple[str, ...]] = {
    "cursor": (
        *("next_cursor", "nextCursor", "next_page_token", "nextPageToken", "next_token", "nextToken", "end_cursor"),
        *("next_page.offset", "next_page.cursor", "meta.next_cursor", "meta.next_token", "meta.page.after"),
        *("paging.next", "paging.cursors.after", "pagination.next_cursor", "pagination.next_token", "cursor", "after"),
        *("response_metadata.next_cursor", "page_info.end_cursor", "cursors.after"),
    ),
    "offset": ("next", "has_more", "hasMore", "links.next", "pagination.has_more", "meta.has_more"),
    "page": ("next", "next_page", "nextPage", "has_more", "hasMore", "links.next", "next_page_uri", "links.pages.next"),
}
"""Style -> where a response usually states the next position, or that there is one."""

_MOST = re.compile(
    r"\b(?:max(?:imum)?|up to|at most|between 1 and|1\s*(?:-|to|and)|no more than)\D{0,24}?(\d{1,5})\b", re.I
)
_USUAL = re.compile(r"\bdefaults?\D{0,16}?(\d{1,5})\b", re.IGNORECASE)

GUESSED_SIZE = 25
"""Objects per page if the source states no default: small enough for every upstream."""


@dataclass(frozen=True, slots=True)
class Response:
    """The documented success.

    `items`      JMESPath to the objects of a list; `searched`: the response also has signs of paging, like a search.
    `component`  name under which the specification shares the schema; `item_component` is the name for one object.
    `problem`    why a model cannot be given the response; `accept` is its media type.
    `redirects`  a redirect is documented, and its Location is a result.
    """

    schema: Schema
    items: str | None = None
    component: str = ""
    item_component: str = ""
    searched: bool = False
    empty: bool = False
    problem: str = ""
    accept: str = JSON_MEDIA_TYPE
    redirects: bool = False

    @property
    def objects_have_id(self) -> bool:
        """Whether the object, or each of the listed ones, has a member `id`."""
        return "id" in (item_schema(self) if self.items is not None else self.schema).get("properties", {})


@dataclass(frozen=True, slots=True)
class Paging:
    """A guess: the key `pagination` of the method, and the upstream parameters it replaces."""

    record: dict[str, Json]
    replaces: tuple[str, ...]


def documented(document: Document, operation: Operation) -> Response:
    """The first 2xx response (or "default") as a schema of at most OUTPUT_DEPTH levels. Raises Unresolvable."""
    responses = operation.data.get("responses")
    responses = responses if isinstance(responses, Mapping) else {}
    successes = sorted(code for code in responses if re.fullmatch(r"2(\d\d|XX)", str(code), re.IGNORECASE))
    redirects = any(re.fullmatch(r"30[12378]|3XX", str(code), re.IGNORECASE) for code in responses)
    empty = False
    for code in (*successes, *(["default"] if "default" in responses and not successes else [])):
        response = document.resolve(responses[code])
        content = response.get("content")
        if not isinstance(content, Mapping) or not content:
            empty = True
            continue
        found = _of_content(document, operation, content, plain(response.get("description")))
        return replace(found, redirects=redirects)
    if redirects and not successes:
        return Response(_REDIRECT, redirects=True)
    if operation.verb in ("GET", "QUERY") and "204" not in map(str, successes):
        told = "The API does not document what it returns."
        return Response({"type": "object", "description": told} if empty else {}, accept=ANY_KIND)
    return Response({"type": "object", "description": "The answer has no body."} if empty else {}, empty=empty)


def _of_content(document: Document, operation: Operation, content: Mapping[str, Json], text: str) -> Response:
    """The response in the media type that a model can use best: JSON, then text, then any other."""
    kinds = {media_type: media_kind(media_type) for media_type in content}
    for media_type, media in content.items():
        if kinds[media_type] == "json":
            schema = document.resolve(media).get("schema")
            found = _answer(document, operation, schema)
            is_text = media_type.strip() == ANY_KIND and document.resolve(schema).get("type") == "string"
            return replace(found, accept=ANY_KIND if is_text else _accepted(media_type))
    as_text = next((media_type for media_type in content if kinds[media_type] == "text"), "")
    said = fitted(text, OUTPUT_DESCRIPTION)
    if as_text:
        text_schema: Schema = {"type": "string", "description": said or "The text of the answer."}
        return Response(_object(text=text_schema), accept=as_text)
    schema = {"type": "string", "description": said or "The bytes of the answer, in Base64."}
    return Response(_object(base64=schema, bytes={"type": "integer"}), accept=next(iter(content)))


def _accepted(media_type: str) -> str:
    name = media_type.partition(";")[0].strip()
    return JSON_MEDIA_TYPE if name in ("*/*", "application/*", JSON_MEDIA_TYPE) else name


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": {**properties, "media_type": {"type": "string"}}}


_REDIRECT: Schema = {
    "type": "object",
    "properties": {
        "redirect": {
            "type": "object",
            "properties": {
                "status": {"type": "integer"},
                "location": {"type": "string", "description": "Where the answer is; it is not fetched."},
            },
        }
    },
}


def _answer(document: Document, operation: Operation, schema: Json) -> Response:
    converted = Converter(document, OUTPUT_DEPTH, OUTPUT_NODES).answer(schema)
    if converted.get("type") in (["object", "null"], ["array", "null"]):
        converted["type"] = converted["type"][0]
    if converted and converted.get("type") not in ("object", "array"):
        converted = {"type": "object", "description": converted.get("description", "The answer.")}
    items = _items(converted, operation) if operation.verb in ("GET", "QUERY", "POST") else None
    return Response(
        converted,
        items,
        component=_component(schema),
        item_component=_item_component(document, schema, items),
        searched=items is not None and _around(converted),
    )


def _items(schema: Schema, operation: Operation) -> str | None:
    if schema.get("type") == "array":
        return "@"
    properties: dict[str, Schema] = schema.get("properties", {})
    if "id" in properties:  # an object that holds a list, not a list of objects
        return None
    arrays = [name for name, part in properties.items() if part.get("type") == "array" and _IDENTIFIER.fullmatch(name)]
    words = [snake_case(part) for part in re.split(r"[/.]", operation.path) if part and "{" not in part]
    for name in arrays:
        if (
            snake_case(name) in _OBJECTS
            or (words and snake_case(name) == words[-1])
            or (snake_case(name) in words[-2:])
        ):
            return name if operation.verb == "GET" or snake_case(name) in _OBJECTS else None
    for name in ("data", "result", "response", "_embedded"):
        inner = properties.get(name, {}).get("properties", {})
        found = [key for key, part in inner.items() if part.get("type") == "array" and _IDENTIFIER.fullmatch(key)]
        if len(found) == 1 and operation.verb == "GET" and "id" not in inner:
            return f"{name}.{found[0]}"
    if len(arrays) == 1 and operation.verb == "GET" and (_around(schema) or len(properties) == 1):
        return arrays[0]
    return None


def _around(schema: Schema) -> bool:
    return any(_AROUND_OBJECTS.fullmatch(snake_case(name)) for name in schema.get("properties", {}))


def item_schema(answer: Response) -> Schema:
    """The schema of one object of the list in a response, or {} if there is no list."""
    schema: Json = answer.schema
    for step in answer.items.split(".") if answer.items not in (None, "@") else ():
        schema = schema.get("properties", {}).get(step, {})
    items: Schema = schema.get("items", {}) if answer.items is not None else {}
    return items


def guessed_paging(document: Document, operation: Operation, answer: Response) -> Paging | None:
    """How a list seems to page, by the names of its query parameters and of its response's members."""
    if answer.items is None:
        return None
    query = {
        snake_case(parameter["name"]): parameter for parameter in operation.parameters if parameter.get("in") == "query"
    }
    kinds = {name: document.resolve(parameter.get("schema")).get("type") for name, parameter in query.items()}
    for style, known in _POSITION.items():
        name = next((name for name in known if name in query), None)
        if name is None or (style == "cursor") == (kinds[name] in ("integer", "number")):
            continue
        position = query[name]["name"]
        following = _following(style, name, answer)
        if style == "cursor" and following is None:
            continue
        size = next((query[size] for size in _SIZE if size in query), None)
        record: dict[str, Json] = {"style": style, style: position}
        if size is not None:
            record["size"] = size["name"]
        default, most = _sizes(document, size)
        record["default_size"] = min(default, most)
        record["max_size"] = max(default, most)
        if following is not None:
            record["next"] = following
        return Paging(record, tuple(name for name in (position, record.get("size")) if name))
    return None


def _following(style: str, parameter: str, answer: Response) -> str | None:
    if parameter == "starting_after" and answer.items not in (None, "@"):
        flag = next((name for name in ("has_more", "hasMore") if name in answer.schema.get("properties", {})), None)
        return f"{flag} && {answer.items}[-1].id" if flag else None
    for path in _NEXT[style]:
        found: Json = answer.schema
        for step in path.split("."):
            found = found.get("properties", {}).get(step) if isinstance(found, dict) else None
        if isinstance(found, dict) and found.get("type") not in ("object", "array"):
            return path
    return None


def _sizes(document: Document, size: Mapping[str, Json] | None) -> tuple[int, int]:
    """Objects per page, default and maximum, from the schema, else from the text, else GUESSED_SIZE."""
    if size is None:
        return GUESSED_SIZE, GUESSED_SIZE
    schema = document.resolve(size.get("schema"))
    text = f"{size.get('description', '')} {schema.get('description', '')}"
    usual = _count(schema.get("default")) or _said(_USUAL, text)
    most = _count(schema.get("maximum")) or _said(_MOST, text)
    default = usual or min(most or GUESSED_SIZE, GUESSED_SIZE)
    return default, most or default


def _count(value: Json) -> int | None:
    return value if type(value) is int and 0 < value < 100_000 else None


def _said(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.search(text)
    return _count(int(match[1])) if match else None


def _component(schema: Json) -> str:
    """The name of the component that a schema refers to, so that methods with one response schema can share it."""
    reference = schema.get("$ref") if isinstance(schema, Mapping) else None
    return last_name(reference) if isinstance(reference, str) else ""


def _item_component(document: Document, schema: Json, items: str | None) -> str:
    if items is None:
        return ""
    found = document.resolve(schema)
    for step in items.split(".") if items != "@" else ():
        properties = found.get("properties")
        found = document.resolve(properties.get(step) if isinstance(properties, dict) else None)
    return _component(found.get("items"))
