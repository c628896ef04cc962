"""What a catalogue says of the requests to an upstream: where each value stands, how it is written, what is attached.

Plain immutable values, as in `catalog.py`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, Literal

from functions.gateway.value_classes import dataclass

JSON_MEDIA_TYPE = "application/json"
FORM_MEDIA_TYPE = "application/x-www-form-urlencoded"
ANY_KIND = "*/*"

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
"""Location -> the styles it has, the default first, as in OpenAPI. `form` and `multipart` are bodies of these media
types. A part without a style is JSON for an object, and text for anything else. Swagger 2.0 has delimited lists in
paths and headers, too."""

MediaKind = Literal["json", "form", "multipart", "text"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of an upstream request, and where it comes from: an argument, the account's context, or a constant.

    `location`  path, query, body, header or cookie; `result` marks an argument (`fields`, `max_tokens`, `limit`,
                `next_cursor`) that shapes our answer or our paging and is never sent as it is.
    `name`      the upstream name. In a body, a name that starts with "/" is a path of keys ("/entities/user/schema").
                The empty name is the whole body, for an upstream that wants a bare array.
    `argument`  the tool argument it is taken from; None for a constant or a value of the account only.
    `style`     how the value is written into a path, query, header, cookie or form. None: the default of the location.
                Beyond the styles of OpenAPI there are `json` (as JSON text), `brackets` (a[]=1), `tabDelimited`,
                `querystring` (the members of an object are the query) and `file` (a part of a multipart form).
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
    value: Any = None
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
    `next`      JMESPath over the upstream answer. For cursor, it finds the next cursor. For page and offset, it finds
                anything truthy while there are more pages, e.g. a URL. None: a full page means there may be more.
    `collect`   pages fetched in one call before answering (1 = one page, the cursor goes to the caller).
    `carry`     query parameters that the next request takes from the link that `next` finds, where the link has them.
                E.g. by the place of the last item, no item is skipped or repeated while others come and go.
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


MEDIA_TYPES_KEPT = 64
"""Media types whose kind is kept; each call asks for three."""


@functools.lru_cache(maxsize=MEDIA_TYPES_KEPT)
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
