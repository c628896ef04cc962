"""The frozen catalogue: what an agent may call, as plain immutable values.

`tool_catalog/compiled/<integration>.json` is written by the compiler and read here, nowhere else. This file imports the
standard library and `value_classes` only, because it is the one file of this room that runs on the hot path.

File format 3 (one JSON document in UTF-8; the line ends are part of the format)::

    {"format":3,"integration":"mem0","label":"Mem0","base_url":"https://...","instructions":"...","auth":{...},
     "credentials":{...},"context":{...},"probe":{...},"rate_limits":{...},"pinnable":["user_id",...],
     "website":"https://...","icon":"data:...","prompts":[{name, title, description, arguments, text, tools},...],
     "source_sha256":"<64 hex>","index":
     [[name, resource, method, access, tags, pin, core, tokens, bytes, bytes],...],"definitions":[
    {one MCP definition},                  exactly as a client receives it, one line for each entry of the index;
                                           its input schema is in the form that every host takes
    {...}
    ],"calls":[
    {one tool's request, pagination, ...}  never sent to a client, one line for each entry of the index, with the
                                           input schema that calls are checked against
    {...}
    ],"search":
    {term: [[number of a tool, worth],...],...}
    }

The first line (here broken into six) is read at once, and it says how long each later line is. A definition or a call
is decoded when it is asked for, and a listing copies the definitions' bytes. With the number of tools, only the first
line grows.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from functions.gateway.value_classes import dataclass

FORMAT = 3
"""Version of the compiled file. Raised when a reader of an older version would misread a newer file."""

COMPILED = Path(__file__).parent / "compiled"
"""Folder of the compiled files, bundled with each deploy."""

JSON_MEDIA_TYPE = "application/json"
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
ANY_KIND = "*/*"

Json = Any

Location = Literal["path", "query", "body", "header", "cookie", "result"]
Style = Literal[
    "simple",
    "label",
    "matrix",
    "form",
    "spaceDelimited",
    "pipeDelimited",
    "deepObject",
    "cookie",
    "json",
    "brackets",
    "tabDelimited",
    "querystring",
    "file",
]
_DELIMITED: tuple[Style, ...] = ("spaceDelimited", "pipeDelimited", "tabDelimited")
STYLES: Mapping[str, tuple[Style, ...]] = {
    "path": ("simple", "label", "matrix", "json", *_DELIMITED),
    "query": ("form", *_DELIMITED, "deepObject", "json", "brackets", "querystring"),
    "header": ("simple", "json", *_DELIMITED),
    "cookie": ("form", "cookie", "json"),
    "form": ("form", *_DELIMITED, "deepObject", "json", "brackets"),
    "multipart": ("json", "file"),
}
"""Location -> the styles it has, the default first, as in OpenAPI; `form` and `multipart` are bodies of these media
types, and a part without a style is JSON for an object and text for anything else. Swagger 2.0 has delimited lists in
paths and headers, too."""

Access = Literal["read", "write"]
MediaKind = Literal["json", "form", "multipart", "text"]
PinKind = Literal["arguments", "filter", "object", "objects", "entity", "answer", "none"]


class CatalogError(Exception):
    """A compiled catalogue is missing or cannot be read; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of an upstream request, and where it comes from: an argument, the account's context, or a constant.

    `location`  path, query, body, header or cookie; `result` marks an argument (`fields`, `max_tokens`, `limit`,
                `next_cursor`) that shapes our answer or our paging and is never sent as it is.
    `name`      the upstream name. In a body, a name starting with "/" is a path of keys ("/entities/user/schema"), and
                the empty name is the whole body (an upstream that wants a bare array).
    `argument`  the tool argument it is taken from; None for a constant or a value of the account only.
    `style`     how the value is written into a path, query, header, cookie or form: a style of OpenAPI, `json` (as JSON
                text), `brackets` (a[]=1), `tabDelimited`, `querystring` (the members of an object are the query) or
                `file` (a part of a multipart form). None: the default of the location, see `gateway.parameter_styles`.
    `explode`   each entry or member by itself, as in OpenAPI. None: the default of the style.
    `allow_reserved`  reserved characters of the value are sent as they are.
    `context`   key of the account's context used when the argument is absent (`org_id`, `project_id`).
    `value`     what is sent when there is neither argument nor context: a constant or a default. None: nothing.
    `map`       JMESPath over the argument: its outcome is sent in place of the argument. None: the argument itself.
    """

    location: Location
    name: str
    argument: str | None = None
    style: Style | None = None
    explode: bool | None = None
    allow_reserved: bool = False
    context: str | None = None
    value: Json = None
    map: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """Template of one upstream request. `path` starts with "/" and holds `{name}` for each path parameter.

    `media_type`     of the body: JSON of any kind, a form, a multipart form or text; any other holds bytes, which the
                     argument gives in Base64.
    `accept`         media type of the answer that is asked for. With ANY_KIND, JSON is asked for, and whatever comes is
                     an answer.
    `body_required`  a body is sent even if no argument gives a part of it.
    `redirects`      a redirect is a documented answer: its Location is the result, and is not followed.
    `auth`           replaces the catalogue's; None: the catalogue's.
    """

    verb: str
    path: str
    parameters: tuple[Parameter, ...] = ()
    media_type: str = JSON_MEDIA_TYPE
    accept: str = JSON_MEDIA_TYPE
    body_required: bool = False
    redirects: bool = False
    auth: Auth | None = None


@dataclass(frozen=True, slots=True)
class Pagination:
    """How an upstream pages, behind our `limit` and `next_cursor` arguments.

    `style`     page (1, 2, 3...), offset (0, size, 2*size...), cursor (the upstream's own opaque value).
    `position`  upstream parameter that takes the page number, offset or cursor; `size` the one for the page size.
    `default_size`, `max_size`  items per page.
    `next`      JMESPath over the upstream answer: for cursor, the next cursor; for page and offset, anything truthy
                while there are more pages (a URL, a boolean). None: a full page means there may be more.
    `collect`   pages fetched in one call before answering (1 = one page, the cursor goes to the caller).
    `carry`     query parameters that the next request takes from the link that `next` finds, where the link has them,
                e.g. the place of the last item, by which no item is skipped or repeated while others come and go.
    """

    style: Literal["page", "offset", "cursor"]
    position: Parameter
    size: Parameter | None
    default_size: int
    max_size: int
    next: str | None = None
    collect: int = 1
    carry: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hint:
    """A sentence on what comes next, in the results for which the JMESPath `when` finds something.

    `text`  may hold keys of the result in braces, e.g. "{order_id}"; without all of them it is not shown.
    `tool`  the tool that the text names; a server without it does not show the text.
    """

    when: str
    text: str
    tool: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How an upstream answer becomes the tool's result, in this order.

    `rename`, `drop`  keys, applied to the root object and to the objects of the arrays it is or holds.
    `map`             JMESPath over the whole answer.
    `items`           JMESPath to the array that is the point of the answer ("results", "@"); it makes the tool
                      list-like: `fields`, `max_tokens` and the caps work on these items.
    `sort`            JMESPath over one item; items are put in ascending order of it.
    `distinct`        JMESPath over one item; an item with the text of an earlier one is left out, and counted.
    `newest_first`    JMESPath over one item; the items that fit are shown in descending order of it. Which ones fit is
                      decided by the order in which they came.
    `fields`          an example of the `fields` argument, made of the first members of an item; None where the tool
                      does not take that argument.
    `total`           JMESPath over the upstream answer to the number of all items, which a paged list then says.
    `hide`            keys of the root object, or of each item, that a result leaves out. What a pin is judged by may be
                      among them.
    `nulls`           False: keys whose value is null are left out as well.
    `hints`           sentences that follow a result.
    `long_text`       the key of an object, not of a list, whose text may be longer than a result holds: the argument
                      `from_character` reads it by part.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    map: str | None = None
    items: str | None = None
    sort: str | None = None
    distinct: str | None = None
    newest_first: str | None = None
    fields: str | None = None
    total: str | None = None
    hide: tuple[str, ...] = ()
    nulls: bool = True
    hints: tuple[Hint, ...] = ()
    long_text: str | None = None


@dataclass(frozen=True, slots=True)
class PinArguments:
    """The pins are arguments of the same names.

    `ids`       the ids that can be pinned and are arguments. Under a pin on another id the tool is not offered. A write
                puts each into what it creates. So on a pinned server a write may name only the pins, and other ids that
                the config lists.
    `splits`    ids for which the upstream splits one write into several, one for each id. If one of them is pinned,
                callers may not pass the others; a server pinned to two or more does not offer the tool.
    `required`  the tool cannot work without a pin: only pinned servers offer it.
    """

    ids: tuple[str, ...]
    splits: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinFilter:
    """The pins are ANDed into the filter object `argument`, as the named dialect says it.

    `dialect`   a file of `functions/gateway/pins/dialects/`. The gate refuses a filter that it does not describe.
    `required`  as above; `argument` is then not in the input schema, so that the pins are the whole filter.
    """

    argument: str
    dialect: str
    splits: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinObject:
    """The object that `argument` names is read first with tool `read`; it must carry every pinned id. Where `read` is
    the tool itself, its answer is judged instead."""

    argument: str
    read: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinObjects:
    """The same for each entry of the array `argument`: its member `id` names the object."""

    argument: str
    id: str
    read: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinEntity:
    """Arguments `argument` (the type of an entity) and `id` (its id) must name the pinned entity. `types` maps the name
    of a pin to the value of `argument`, e.g. {"owner_id": "owner"}; under another pin the tool is not offered."""

    argument: str
    id: str
    types: Mapping[str, str]
    required: bool = False


@dataclass(frozen=True, slots=True)
class PinAnswer:
    """The answer, or each object of a list-like one, carries the ids at JMESPath `at`; foreign objects are withheld."""

    at: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class NoPin:
    """The tool touches nothing that belongs to an entity, so that pinned servers offer it as it is."""


Pin = PinArguments | PinFilter | PinObject | PinObjects | PinEntity | PinAnswer | NoPin
"""How a pin is put on a tool. A tool without one is not offered by a pinned server."""

PIN_KINDS: Mapping[PinKind, type[Pin]] = {
    "arguments": PinArguments,
    "filter": PinFilter,
    "object": PinObject,
    "objects": PinObjects,
    "entity": PinEntity,
    "answer": PinAnswer,
    "none": NoPin,
}
"""The key `kind` of a record and of a compiled file -> the class of the other keys."""


@dataclass(frozen=True, slots=True)
class Check:
    """What the input schema cannot or should not say to a model: arguments that match `schema` are refused.

    `schema`   JSON Schema 2020-12 over the whole arguments object; it may hold `$defs` and local `$ref`, because no
               client ever sees it.
    `message`  what is wrong and the form that works, written by the record's author.
    """

    schema: Mapping[str, Json]
    message: str


@dataclasses.dataclass(frozen=True)
class Tool:
    """One tool. `definition` is the MCP tool object: name, title, description, both schemas, annotations."""

    name: str
    resource: str
    method: str
    access: Access
    tags: tuple[str, ...]
    definition: Mapping[str, Json]
    request: Request
    pagination: Pagination | None
    result: Result
    pin: Pin | None
    checks: tuple[Check, ...]
    example: Mapping[str, Json]
    """Arguments of a call that works."""
    aliases: tuple[str, ...] = field(default_factory=tuple)
    """Names under which models look for this tool; no server lists them, and none is called."""
    core: bool = False
    """One of the few tools that the profile `core` shows."""
    tokens: int = 0
    """About what its name, description and input schema cost a model, as an unpinned server shows them."""

    @property
    def wire(self) -> bytes | None:
        """The definition that a client receives, as compact JSON; None for a tool that is not from a compiled file."""
        stored: _Stored | None = self.__dict__.get("stored")
        return None if stored is None else stored.definition()

    @property
    def listed(self) -> Mapping[str, Json]:
        """The definition that a client receives: the compiled one, or the tool's own where it is not from a file."""
        own = self.definition  # reads the file's part, which leaves the compiled one here
        found: Mapping[str, Json] = self.__dict__.get("compiled", own)
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A part that the file holds, when it is asked for the first time."""
            stored = self.__dict__.get("stored")
            if stored is None or name not in _STORED:
                raise AttributeError(name)
            self.__dict__.update(_parts(json.loads(stored.definition()), json.loads(stored.call())))
            return self.__dict__[name]

    @property
    def enveloped(self) -> bool:
        """True when the answer is `{result, next_cursor, result_count}`: list methods, and every other paged tool."""
        return self.method == "list" or self.pagination is not None

    @property
    def custom(self) -> bool:
        """True for every method except list, get, create, update and delete."""
        return self.method not in STANDARD_METHODS

    @property
    def needs_pin(self) -> bool:
        """True for a tool that only pinned servers offer."""
        return self.pin is not None and not isinstance(self.pin, NoPin) and self.pin.required

    @property
    def destructive(self) -> bool:
        """True when the annotations say that a call can remove or overwrite data."""
        return bool(self.definition["annotations"]["destructiveHint"])


_STORED = ("definition", "request", "pagination", "result", "checks", "example", "aliases")
"""Parts of a tool that are read when they are asked for."""


class _Stored:
    """Where a tool's two lines stand in the content of a compiled file."""

    __slots__ = ("_call", "_content", "_definition")

    def __init__(self, content: bytes, definition: slice, call: slice) -> None:
        self._content, self._definition, self._call = content, definition, call

    def definition(self) -> bytes:
        return self._content[self._definition]

    def call(self) -> bytes:
        return self._content[self._call]


STANDARD_METHODS = ("list", "get", "create", "update", "delete")
"""Methods with a name pattern of their own; `read` = list and get, `write` = create, update and delete."""


@dataclass(frozen=True, slots=True)
class Auth:
    """How a credential is attached. `value` is a template over the credential's fields, e.g. "Token {api_key}".

    header: `name: value`. query: `?name=value`. cookie: `Cookie: name=value`. bearer: `Authorization: Bearer value`.
    basic: `Authorization: Basic base64(username:password)`, both templates. none: nothing is attached.
    `also` holds what is attached in addition, for an API that asks for several credentials together.
    """

    scheme: Literal["header", "query", "cookie", "bearer", "basic", "none"]
    name: str = ""
    value: str = ""
    username: str = ""
    password: str = ""
    also: tuple[Auth, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """One harmless request that proves a credential; `context` maps context keys to JMESPath over its answer."""

    verb: str
    path: str
    context: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PromptArgument:
    """An argument of a prompt. Without a `default` it must be given; `values` are those a host may offer."""

    name: str
    description: str
    default: str | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A workflow that a person starts by name. `text` has `{argument}` where a value belongs; `tools` are those that it
    names."""

    name: str
    title: str
    description: str
    arguments: tuple[PromptArgument, ...]
    text: str
    tools: tuple[str, ...]


DISCOVERY_NAMES = ("search_tools", "get_tool_schema", "call_tool")
"""Names of the three tools that a server with the profile `discovery` lists; no record may give them to another."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All tools of one integration, by name, in the order they are listed.

    `website`, `icon`  of the upstream, for people: an https URL, and a picture as a data: URL; "" where there is none.
    `search_index`  JSON of the index that the profile `discovery` searches (see tool_catalog/search_index.py).
    """

    integration: str
    label: str
    base_url: str
    instructions: str
    auth: Auth
    credentials: Mapping[str, Mapping[str, Json]]
    context: Mapping[str, Mapping[str, Json]]
    probe: Probe | None
    rate_limits: Mapping[str, str]
    pinnable: tuple[str, ...]
    source_sha256: str
    tools: Mapping[str, Tool]
    search_index: bytes = field(default=b"{}", repr=False)
    prompts: Mapping[str, Prompt] = field(default_factory=dict)
    website: str = ""
    icon: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag in use, sorted."""
        return tuple(sorted({tag for tool in self.tools.values() for tag in tool.tags}))

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method in use, sorted."""
        return tuple(sorted({tool.method for tool in self.tools.values()}))


def media_kind(media_type: str) -> MediaKind | None:
    """How a body of `media_type` is made of arguments and read back; None for a type that only bytes can hold."""
    name = media_type.partition(";")[0].strip().lower()
    if name in (ANY_KIND, "application/*+json") or re.fullmatch(r"[\w.-]+/([\w.-]+\+)?json", name):
        return "json"
    if name in (FORM_MEDIA_TYPE, "multipart/form-data"):
        return "form" if name == FORM_MEDIA_TYPE else "multipart"
    texts = name.startswith("text/") or name.endswith(("+xml", "+yaml")) or name in _TEXTS
    return "text" if texts else None


_TEXTS = frozenset(
    f"application/{name}"
    for name in (
        *("xml", "yaml", "x-yaml", "toml", "csv", "graphql", "sql", "javascript", "x-sh"),
        *("x-ndjson", "ndjson", "jsonl", "x-jsonl", "json-lines", "jsonlines", "json-seq"),
    )
)
"""Media types of texts whose names do not say so, e.g. lines that are JSON each."""


def available(directory: Path = COMPILED) -> tuple[str, ...]:
    """Names of the integrations that have a compiled catalogue, sorted."""
    return tuple(sorted(path.stem for path in directory.glob("*.json")))


@functools.cache
def load(integration: str, directory: Path = COMPILED) -> Catalog:
    """Read a compiled catalogue. Raises CatalogError when there is none of that name or its format is not ours."""
    if integration not in available(directory):
        known = ", ".join(available(directory)) or "none"
        raise CatalogError(f'no compiled catalogue for integration "{integration}"; available: {known}')
    path = directory / f"{integration}.json"
    return read(path.read_bytes(), path.name)


def read(content: bytes, source: str) -> Catalog:
    """The catalogue of a compiled file's content; `source` names it in errors. Raises CatalogError."""
    try:
        head = json.loads(content[: content.find(b"\n")] + AFTER_HEAD)
        found = head["format"]
    except (ValueError, KeyError, TypeError):
        found = "unknown"
    if found != FORMAT:
        raise CatalogError(f"{source}: format {found!r} is not {FORMAT}; run `tool-catalog compile` with this version")
    probe = head["probe"]
    return Catalog(
        integration=head["integration"],
        label=head["label"],
        base_url=head["base_url"],
        instructions=head["instructions"],
        auth=_auth(head["auth"]),
        credentials=head["credentials"],
        context=head["context"],
        probe=Probe(**probe) if probe else None,
        rate_limits=head["rate_limits"],
        pinnable=tuple(head["pinnable"]),
        source_sha256=head["source_sha256"],
        tools=_tools(content, head["index"]),
        prompts={entry["name"]: _prompt(entry) for entry in head["prompts"]},
        website=head["website"],
        icon=head["icon"],
        search_index=content[content.rfind(BEFORE_SEARCH) + len(BEFORE_SEARCH) : -len(AFTER_SEARCH)],
    )


AFTER_HEAD = b"]}"
"""What makes a JSON document of the first line."""

BETWEEN_LINES = b",\n"
BEFORE_CALLS = b'\n],"calls":[\n'
BEFORE_SEARCH = b'\n],"search":\n'
AFTER_SEARCH = b"\n}\n"


def _tools(content: bytes, index: list[list[Json]]) -> dict[str, Tool]:
    definition = content.find(b"\n") + 1
    call = definition + sum(entry[-2] + len(BETWEEN_LINES) for entry in index) - len(BETWEEN_LINES) + len(BEFORE_CALLS)
    tools: dict[str, Tool] = {}
    for name, resource, method, access, tags, pin, core, tokens, definition_bytes, call_bytes in index:
        tool = tools[name] = object.__new__(Tool)
        stored = _Stored(content, slice(definition, definition + definition_bytes), slice(call, call + call_bytes))
        tool.__dict__.update(
            name=name,
            resource=resource,
            method=method,
            access=access,
            tags=tuple(tags),
            pin=_pin(pin) if pin else None,
            core=core,
            tokens=tokens,
            stored=stored,
        )
        definition += definition_bytes + len(BETWEEN_LINES)
        call += call_bytes + len(BETWEEN_LINES)
    return tools


def _parts(shown: Mapping[str, Json], entry: Mapping[str, Json]) -> dict[str, Any]:
    """The parts of a tool that its two lines hold."""
    request, pagination, result = entry["request"], entry["pagination"], entry["result"]
    return {
        "compiled": shown,
        "definition": {**shown, "inputSchema": entry["inputSchema"]},
        "request": Request(
            verb=request["verb"],
            path=request["path"],
            parameters=tuple(Parameter(**parameter) for parameter in request["parameters"]),
            media_type=request.get("media_type", JSON_MEDIA_TYPE),
            accept=request.get("accept", JSON_MEDIA_TYPE),
            body_required=request.get("body_required", False),
            redirects=request.get("redirects", False),
            auth=_auth(request["auth"]) if "auth" in request else None,
        ),
        "pagination": _pagination(pagination) if pagination else None,
        "result": _result(result),
        "checks": tuple(Check(**check) for check in entry["checks"]),
        "example": entry["example"],
        "aliases": tuple(entry["aliases"]),
    }


def _result(entry: Mapping[str, Json]) -> Result:
    tuples = {key: tuple(entry.get(key, ())) for key in ("drop", "hide")}
    return Result(**{**entry, **tuples, "hints": tuple(Hint(**hint) for hint in entry.get("hints", ()))})


def _pin(entry: Mapping[str, Json]) -> Pin:
    values: dict[str, Json] = {key: value for key, value in entry.items() if key != "kind"}
    for key in ("ids", "splits"):
        if key in values:
            values[key] = tuple(values[key])
    return PIN_KINDS[entry["kind"]](**values)


def _prompt(entry: Mapping[str, Json]) -> Prompt:
    arguments = tuple(
        PromptArgument(**{**argument, "values": tuple(argument.get("values", ()))}) for argument in entry["arguments"]
    )
    return Prompt(**{**entry, "arguments": arguments, "tools": tuple(entry["tools"])})


def _auth(entry: Mapping[str, Json]) -> Auth:
    return Auth(**{**entry, "also": tuple(map(_auth, entry.get("also", ())))})


def _pagination(entry: Mapping[str, Json]) -> Pagination:
    size = entry.get("size")
    return Pagination(
        **{
            **entry,
            "position": Parameter(**entry["position"]),
            "size": Parameter(**size) if size else None,
            "carry": tuple(entry.get("carry", ())),
        }
    )
